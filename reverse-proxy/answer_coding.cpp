#include "reverse-proxy/answer_coding.hpp"

#include "reverse-proxy/exchange.hpp"
#include "reverse-proxy/worker.hpp"

namespace karreg::proxy {

using http1::BodyKind;
using rules::Encoder;

AnswerCoding::~AnswerCoding() {
  if (encoder_) --worker_.compressing();
}

std::optional<std::span<const char>> AnswerCoding::encode(std::span<const char> piece,
                                                          Encoder::Then then) {
  const auto made = encoder_->encode(piece, then);
  if (!made) return std::nullopt;
  return std::span(made->data(), made->size());
}

http1::Framing AnswerCoding::begin(const Request& request, http1::ResponseHead& answer,
                                   const http1::Framing& framing, BodyReader::Piece& first) {
  // First: it sees what the visitor would.
  request.rules->edit_answer(answer, request.https);
  const auto& compression = request.rules->compression();
  auto coding = compression.coding_for(*request.head, answer, framing);
  const bool varies = compression.varies(answer);
  const bool all = first.end == BodyReader::End::complete;
  if (all && first.bytes.size() < compression.min_bytes()) coding = rules::Coding::identity;
  // Each holds up to 1.5 MiB.
  if (worker_.compressing() >= worker_.limits().compressing) coding = rules::Coding::identity;
  std::optional<std::uint64_t> bytes;
  if (all) bytes = first.bytes.size();
  if (framing.kind == BodyKind::length) bytes = framing.length;
  encoder_ = Encoder::make(coding, bytes);
  if (encoder_) ++worker_.compressing();
  auto to_visitor = framing;
  if (encoder_ && all) {
    const auto made = encode(first.bytes, Encoder::Then::end);
    whole_ = true;
    if (!made || made->size() >= first.bytes.size()) {
      coding = rules::Coding::identity;
    } else {
      first.bytes = *made;
      to_visitor = {BodyKind::length, made->size()};
    }
  } else if (encoder_) {
    to_visitor = {BodyKind::chunked, 0};
  } else {
    coding = rules::Coding::identity;
  }
  if (varies) rules::add_vary(answer);
  if (coding != rules::Coding::identity) {
    rules::mark_coded(answer, coding, etag_);
    worker_.count().compressed.add();
  }
  return to_visitor;
}

}  // namespace karreg::proxy
