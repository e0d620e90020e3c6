#include "reverse-proxy/http2/client_session.hpp"

#include <array>

#include "reverse-proxy/http2/client_stream.hpp"
#include "reverse-proxy/http2/frames.hpp"

namespace karreg::proxy::http2 {

namespace {

/// Of an answer's body, on the way and not handed out yet; as much as two reads of HTTP/1.1.
constexpr std::int32_t stream_window = 128 * 1024;
/// So much that streams whose visitors take nothing never hold the others back: nghttp2 opens it
/// anew when half of it was taken, and these hold half of it at most.
constexpr std::int32_t connection_window =
    2 * stream_window * static_cast<std::int32_t>(ClientSession::most_streams);

}  // namespace

/// nghttp2's calls back into a session.
class ClientSession::Callbacks {
 public:
  static ClientStream* stream_of(nghttp2_session* frames, std::int32_t id) {
    return static_cast<ClientStream*>(nghttp2_session_get_stream_user_data(frames, id));
  }

  static int begin_headers(nghttp2_session*, const nghttp2_frame* frame, void*) {
    // Pushed before our settings were read: nobody has asked for it.
    return frame->hd.type == NGHTTP2_PUSH_PROMISE ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : 0;
  }

  static int header(nghttp2_session* frames, const nghttp2_frame* frame, const std::uint8_t* name,
                    std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                    std::uint8_t, void*) {
    auto* stream = stream_of(frames, frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_HEADERS && stream != nullptr)
      stream->field(text_of(name, name_size), text_of(value, value_size));
    return 0;
  }

  static int received(nghttp2_session* frames, const nghttp2_frame* frame, void* self) {
    auto& session = *static_cast<ClientSession*>(self);
    const bool acknowledged = (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;
    switch (frame->hd.type) {
      case NGHTTP2_SETTINGS:
        if (acknowledged) return 0;
        session.greeted_ = true;
        session.changed_();
        return 0;
      case NGHTTP2_PING:
        if (!acknowledged) return 0;
        session.asked_for_life_ = false;
        session.changed_();
        return 0;
      case NGHTTP2_GOAWAY:
        session.leave();
        return 0;
      default:
        break;
    }
    auto* stream = stream_of(frames, frame->hd.stream_id);
    if (stream == nullptr) return 0;
    const bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (frame->hd.type == NGHTTP2_HEADERS)
      stream->head_ended(ends);
    else if (frame->hd.type == NGHTTP2_DATA && ends)
      stream->body_ended();
    else if (frame->hd.type == NGHTTP2_RST_STREAM)
      stream->was_reset_ = true;
    return 0;
  }

  static int data(nghttp2_session* frames, std::uint8_t, std::int32_t id, const std::uint8_t* bytes,
                  std::size_t size, void*) {
    if (auto* stream = stream_of(frames, id))
      stream->add_body(text_of(bytes, size));
    else
      nghttp2_session_consume(frames, id, size);
    return 0;
  }

  static int send_data(nghttp2_session* frames, nghttp2_frame* frame, const std::uint8_t* head,
                       std::size_t size, nghttp2_data_source*, void* self) {
    auto& session = *static_cast<ClientSession*>(self);
    auto* stream = stream_of(frames, frame->hd.stream_id);
    // Its read callback has named that size just before.
    KARREG_INVARIANT(stream != nullptr);
    return session.out_.put_data(head, stream->take_request(size));
  }

  static int sent(nghttp2_session* frames, const nghttp2_frame* frame, void* self) {
    auto& violation = static_cast<ClientSession*>(self)->violation_;
    // What nghttp2 says in our name about what it could not take.
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR &&
        violation == nullptr)
      violation = nghttp2_http2_strerror(frame->goaway.error_code);
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    if (auto* stream = stream_of(frames, frame->hd.stream_id))
      stream->head_sent((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0);
    return 0;
  }

  static int invalid_header(nghttp2_session* frames, const nghttp2_frame* frame,
                            const std::uint8_t*, std::size_t, const std::uint8_t*, std::size_t,
                            std::uint8_t, void*) {
    if (auto* stream = stream_of(frames, frame->hd.stream_id))
      stream->break_rule("a field of the answer has characters that are not allowed");
    // The stream is reset: without it the field would just be missing.
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }

  static int invalid_frame(nghttp2_session* frames, const nghttp2_frame* frame, int error,
                           void* self) {
    auto* stream = stream_of(frames, frame->hd.stream_id);
    if (stream != nullptr)
      stream->break_rule(nghttp2_strerror(error));
    else
      static_cast<ClientSession*>(self)->violation_ = nghttp2_strerror(error);
    return 0;
  }

  static int close(nghttp2_session* frames, std::int32_t id, std::uint32_t error, void* self) {
    if (auto* stream = stream_of(frames, id)) stream->close(error);
    static_cast<ClientSession*>(self)->changed_();
    return 0;
  }
};

ClientSession::ClientSession(Loop& loop, BufferPool& buffers, const Bounds& bounds,
                             std::function<void()> changed)
    : loop_(loop),
      bounds_(bounds),
      changed_(std::move(changed)),
      out_(buffers),
      words_(loop),
      heard_(loop.now()) {
  Options options;
  if (nghttp2_option_new(Out(options)) != 0) throw std::bad_alloc();
  // Windows open when a piece was handed out, not when it came.
  nghttp2_option_set_no_auto_window_update(options.get(), 1);
  // Answers to floods of SETTINGS and PING that the instance does not read.
  nghttp2_option_set_max_outbound_ack(options.get(), 100);
  if (nghttp2_session_client_new2(Out(frames_), callback_table<Callbacks>(), this, options.get()) !=
      0)
    throw std::bad_alloc();
  const std::array<nghttp2_settings_entry, 4> settings{{
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, stream_window},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
       static_cast<std::uint32_t>(bounds.head.bytes + 32 * bounds.head.fields)},
  }};
  nghttp2_submit_settings(frames_.get(), NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(frames_.get(), NGHTTP2_FLAG_NONE, 0, connection_window);
}

ClientSession::~ClientSession() {
  end("the connection was closed");
}

bool ClientSession::take(std::string_view bytes) {
  if (over_) return false;
  heard_ = loop_.now();
  if (!greeted_ && bytes.starts_with("HTTP/1")) {
    why_ = "it answers with HTTP/1.1, not with HTTP/2";
    return false;
  }
  const auto taken = nghttp2_session_mem_recv(
      frames_.get(), reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  wake();
  if (taken < 0 && violation_ == nullptr) violation_ = nghttp2_strerror(static_cast<int>(taken));
  // What breaks the protocol beyond an answer; what can be answered, nghttp2 answers.
  if (taken < 0) return false;
  if (nghttp2_session_get_outbound_queue_size(frames_.get()) <= max_waiting_frames) return true;
  violation_ = "it asks for more than it reads";
  return false;
}

std::string_view ClientSession::gather() {
  bool failed = false;
  const auto bytes = out_.gather(frames_.get(), failed);
  if (failed) end("its frames cannot be answered");
  return over_ ? std::string_view() : bytes;
}

bool ClientSession::done() const {
  if (over_) return true;
  if (leaving_ && streams_.empty() && nghttp2_session_want_write(frames_.get()) == 0) return true;
  return nghttp2_session_want_read(frames_.get()) == 0 &&
         nghttp2_session_want_write(frames_.get()) == 0;
}

void ClientSession::leave() {
  if (over_ || std::exchange(leaving_, true)) return;
  nghttp2_submit_goaway(frames_.get(), NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, nullptr, 0);
  changed_();
  wake();
}

void ClientSession::end(std::string_view why) {
  if (over_) return;
  over_ = true;
  if (violation_ != nullptr && why_.empty())
    why_ = std::string("it does not keep to HTTP/2: ") + violation_;
  if (why_.empty()) why_ = why;
  while (!streams_.empty()) {
    auto& stream = streams_.front();
    if (violation_ != nullptr) stream.break_rule(violation_);
    stream.close(NGHTTP2_CONNECT_ERROR);
  }
  changed_();
  wake();
}

std::size_t ClientSession::room() const {
  if (over_ || leaving_ || !greeted_) return 0;
  if (nghttp2_session_check_request_allowed(frames_.get()) == 0) return 0;
  const std::size_t taken =
      nghttp2_session_get_remote_settings(frames_.get(), NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
  const auto most = std::min(taken, most_streams);
  return most > streams_.size() ? most - streams_.size() : 0;
}

void ClientSession::ping() {
  if (over_ || asked_for_life_) return;
  asked_for_life_ = true;
  nghttp2_submit_ping(frames_.get(), NGHTTP2_FLAG_NONE, nullptr);
  wake();
}

void ClientSession::sweep(SteadyTime now) {
  for (auto& stream : streams_) stream.sweep(now);
}

}  // namespace karreg::proxy::http2
