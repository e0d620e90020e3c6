#include "reverse-proxy/http1/body.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "common/text.hpp"

namespace karreg::proxy::http1 {

namespace {

/// Extensions and trailers of one body together: nobody needs more, and they cost without bound.
constexpr std::size_t max_overhead = 16UL * 1024;
/// Hexadecimal digits of a chunk's size.
constexpr int max_digits = 15;

std::optional<std::uint64_t> parse_length(std::string_view text) {
  std::uint64_t value = 0;
  const auto* end = text.data() + text.size();
  const bool digits =
      !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  if (!digits) return std::nullopt;
  auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

FramingOr declared_framing(const Head& head) {
  const auto& known = head.known;
  if (known.transfer_encodings > 0) {
    if (known.content_lengths > 0)
      return Refusal{400, "Content-Length and Transfer-Encoding contradict each other"};
    if (head.minor_version == 0) return Refusal{400, "HTTP/1.0 has no Transfer-Encoding"};
    if (known.transfer_encodings > 1)
      return Refusal{400, "Transfer-Encoding is there more than once"};
    if (!text::iequals(known.transfer_encoding, "chunked"))
      return Refusal{501, "the only Transfer-Encoding is chunked"};
    return Framing{BodyKind::chunked, 0};
  }
  if (known.content_lengths == 0) return Framing{};
  if (known.content_lengths > 1) return Refusal{400, "Content-Length is there more than once"};
  const auto length = parse_length(known.content_length);
  if (!length) return Refusal{400, "Content-Length is not a number of bytes"};
  return Framing{BodyKind::length, *length};
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

FramingOr request_framing(const RequestHead& head) {
  auto framing = declared_framing(head);
  if (auto* f = std::get_if<Framing>(&framing); f != nullptr && f->kind == BodyKind::length) {
    if (f->length == 0) f->kind = BodyKind::none;
  }
  return framing;
}

FramingOr response_framing(const ResponseHead& head, bool head_request) {
  if (head_request || head.status < 200 || head.status == 204 || head.status == 304)
    return Framing{};
  auto framing = declared_framing(head);
  if (auto* refusal = std::get_if<Refusal>(&framing)) {
    refusal->status = 502;
    return framing;
  }
  auto& f = std::get<Framing>(framing);
  const auto& known = head.known;
  if (f.kind == BodyKind::none && known.content_lengths == 0) f.kind = BodyKind::until_close;
  return framing;
}

std::optional<std::string_view> ChunkDecoder::take_trailer() {
  if (!trailing_ || trailing_->line.empty()) {
    state_ = State::done;
    return std::nullopt;
  }
  state_ = State::trailer;
  const auto why = trailing_->fields.add_line(trailing_->line, HeadLimits{});
  trailing_->line.clear();
  return why;
}

std::optional<std::string_view> ChunkDecoder::take(char c) {
  auto count = [&]() -> std::optional<std::string_view> {
    if (++overhead_ > max_overhead) return "chunk extensions or trailers are too long";
    return std::nullopt;
  };
  switch (state_) {
    case State::size: {
      const int digit = hex_value(c);
      if (digit >= 0) {
        if (++digits_ > max_digits) return "a chunk is too large";
        size_ = size_ * 16 + static_cast<std::uint64_t>(digit);
        return std::nullopt;
      }
      if (digits_ == 0) return "a chunk has no size";
      if (c == '\r') {
        state_ = State::size_lf;
        return std::nullopt;
      }
      if (c != ';') return "a chunk's size is not hexadecimal";
      state_ = State::extension;
      return count();
    }
    case State::extension:
      if (c == '\r') {
        state_ = State::size_lf;
        return std::nullopt;
      }
      if (static_cast<unsigned char>(c) < 0x20 && c != '\t')
        return "a chunk extension has a control character";
      return count();
    case State::size_lf:
      if (c != '\n') return "a chunk's size does not end in CR LF";
      digits_ = 0;
      state_ = size_ == 0 ? State::trailer : State::data;
      return std::nullopt;
    case State::data_cr:
      if (c != '\r') return "a chunk is longer than its size";
      state_ = State::data_lf;
      return std::nullopt;
    case State::data_lf:
      if (c != '\n') return "a chunk is longer than its size";
      state_ = State::size;
      return std::nullopt;
    case State::trailer:
      if (c == '\r') {
        state_ = State::trailer_lf;
        return std::nullopt;
      }
      if (static_cast<unsigned char>(c) < 0x20 && c != '\t')
        return "a trailer has a control character";
      if (!trailing_) trailing_ = std::make_unique<Trailing>();
      trailing_->line += c;
      return count();
    case State::trailer_lf:
      if (c != '\n') return "a trailer does not end in CR LF";
      return take_trailer();
    case State::data:
    case State::done:
      break;
  }
  return "unexpected chunk state";
}

ChunkDecoder::Step ChunkDecoder::decode(std::span<char> bytes) {
  Step step;
  while (step.consumed < bytes.size() && state_ != State::done) {
    if (state_ == State::data) {
      const auto left = bytes.size() - step.consumed;
      const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(size_, left));
      if (step.payload != step.consumed)
        std::memmove(bytes.data() + step.payload, bytes.data() + step.consumed, n);
      step.payload += n;
      step.consumed += n;
      size_ -= n;
      if (size_ == 0) state_ = State::data_cr;
      continue;
    }
    if (auto why = take(bytes[step.consumed])) {
      step.refusal = Refusal{400, *why};
      return step;
    }
    ++step.consumed;
  }
  step.done = state_ == State::done;
  return step;
}

}  // namespace karreg::proxy::http1
