#pragma once
/// What the sessions of both sides, visitors' and instances', have of nghttp2: handles, its bytes
/// as text and back, and how it is told of our callbacks.

#include <nghttp2/nghttp2.h>

#include <new>
#include <string_view>

#include "common/handle.hpp"

namespace karreg::proxy::http2 {

using Options = Handle<nghttp2_option, nghttp2_option_del>;
using CallbackTable = Handle<nghttp2_session_callbacks, nghttp2_session_callbacks_del>;

/// Frames that wait to be sent: a peer that makes us say things and does not read is ended.
inline constexpr std::size_t max_waiting_frames = 1'000;

inline std::string_view text_of(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}
/// For nghttp2, which only reads them.
inline std::uint8_t* bytes_of(std::string_view text) {
  return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
}

/// The functions of @p Callbacks, named as nghttp2 names its events; made once. Throws
/// std::bad_alloc.
template <class Callbacks>
const nghttp2_session_callbacks* callback_table() {
  static const CallbackTable made = [] {
    CallbackTable table;
    if (nghttp2_session_callbacks_new(Out(table)) != 0) throw std::bad_alloc();
    auto* t = table.get();
    nghttp2_session_callbacks_set_on_begin_headers_callback(t, Callbacks::begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(t, Callbacks::header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(t, Callbacks::received);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(t, Callbacks::data);
    nghttp2_session_callbacks_set_send_data_callback(t, Callbacks::send_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(t, Callbacks::sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(t, Callbacks::close);
    nghttp2_session_callbacks_set_on_invalid_header_callback(t, Callbacks::invalid_header);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(t, Callbacks::invalid_frame);
    return table;
  }();
  return made.get();
}

}  // namespace karreg::proxy::http2
