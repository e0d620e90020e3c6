#include "reverse-proxy/http2/outgoing.hpp"

#include <algorithm>

#include "reverse-proxy/http2/frames.hpp"

namespace karreg::proxy::http2 {

namespace {

/// Of a frame's head (RFC 9113 §4.1).
constexpr std::size_t frame_head_bytes = 9;
/// Of DATA in one frame: with its head as much as one record of TLS holds.
constexpr std::size_t largest_data = 16'384 - frame_head_bytes;
/// Less room than this is not worth a frame.
constexpr std::size_t least_room = 512;

}  // namespace

std::string_view Outgoing::gather(nghttp2_session* frames, bool& failed) {
  buffers_.lend(out_);
  out_.clear();
  take_waiting();
  while (waiting_.empty() && out_.free().size() >= least_room) {
    const std::uint8_t* frame = nullptr;
    const auto size = nghttp2_session_mem_send(frames, &frame);
    failed = size < 0;
    if (size <= 0) break;
    waiting_ = text_of(frame, static_cast<std::size_t>(size));
    take_waiting();
  }
  return out_.view();
}

void Outgoing::take_waiting() {
  const auto fits = waiting_.substr(0, out_.free().size());
  fits.copy(out_.free().data(), fits.size());
  out_.grow(fits.size());
  waiting_.remove_prefix(fits.size());
}

std::size_t Outgoing::data_room() const {
  return std::min(largest_data, out_.room() - frame_head_bytes);
}

int Outgoing::put_data(const std::uint8_t* head, std::span<const char> bytes) {
  text_of(head, frame_head_bytes).copy(out_.free().data(), frame_head_bytes);
  out_.grow(frame_head_bytes);
  std::ranges::copy(bytes, out_.free().data());
  out_.grow(bytes.size());
  return out_.free().size() < least_room ? NGHTTP2_ERR_PAUSE : 0;
}

}  // namespace karreg::proxy::http2
