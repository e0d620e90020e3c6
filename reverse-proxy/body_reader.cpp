#include "reverse-proxy/body_reader.hpp"

#include <algorithm>

namespace karreg::proxy {

using http1::BodyKind;

BodyReader::BodyReader(Connection& from, Buffer& buffer, std::size_t offset, http1::Framing framing)
    : from_(from), buffer_(buffer), offset_(offset), framing_(framing) {
  if (framing.kind == BodyKind::none || (framing.kind == BodyKind::length && framing.length == 0))
    end_ = End::complete;
}

void BodyReader::finish() {
  buffer_.erase(offset_, consumed_);
  consumed_ = 0;
}

BodyReader::Piece BodyReader::hand_out() {
  const auto bytes = buffer_.bytes(offset_);
  if (bytes.empty()) return {{}, end_};
  switch (framing_.kind) {
    case BodyKind::none:
      break;
    case BodyKind::length: {
      consumed_ = static_cast<std::size_t>(std::min<std::uint64_t>(framing_.length, bytes.size()));
      framing_.length -= consumed_;
      if (framing_.length == 0) end_ = End::complete;
      return {bytes.first(consumed_), end_};
    }
    case BodyKind::chunked: {
      const auto step = chunks_.decode(bytes);
      consumed_ = step.consumed;
      if (step.done) end_ = End::complete;
      if (step.refusal) {
        end_ = End::malformed;
        why_ = step.refusal->why;
      }
      return {bytes.first(step.payload), end_};
    }
    case BodyKind::until_close:
      consumed_ = bytes.size();
      return {bytes, end_};
  }
  return {{}, end_};
}

BodyReader::Piece BodyReader::buffered() {
  if (end_ != End::none) return {{}, end_};
  finish();
  return hand_out();
}

Task<BodyReader::Piece> BodyReader::next(std::chrono::milliseconds patience) {
  interrupted_ = false;
  auto piece = buffered();
  while (piece.bytes.empty() && piece.end == End::none) {
    finish();
    const auto by = from_.now() + patience;
    const auto read = co_await from_.read_some(buffer_, by);
    if (read.ok()) {
      piece = hand_out();
      continue;
    }
    if (interrupted_ && !from_.expired() && from_.is_open()) co_return Piece{};
    if (framing_.kind == BodyKind::until_close && read.end())
      end_ = End::complete;
    else
      end_ = from_.expired() ? End::expired : End::closed;
    piece = {{}, end_};
  }
  co_return piece;
}

}  // namespace karreg::proxy
