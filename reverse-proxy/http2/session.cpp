#include "reverse-proxy/http2/session.hpp"

#include <array>

#include "reverse-proxy/http2/frames.hpp"

namespace karreg::proxy::http2 {

namespace {

/// Requests in hand at once on one connection.
constexpr std::uint32_t max_streams = 128;
/// With those that are over for the client. More than max_streams: a client that uses all of them
/// asks anew as soon as one is answered, and would be refused a moment too early.
constexpr std::size_t most_unended = 2UL * max_streams;
/// Of bodies, on the way and not handed out yet: of one stream, of all of a connection.
constexpr std::int32_t stream_window = 256 * 1024;
constexpr std::int32_t connection_window = 1024 * 1024;
/// Streams that may be reset, and as many more as end well: who resets as fast as he asks has the
/// applications work for nobody.
constexpr std::uint64_t failures_forgiven = 1'000;
/// For requests that are on their way when we say that none is taken any more (RFC 9113 §6.8).
constexpr std::chrono::milliseconds last_call_time{1'000};

}  // namespace

/// nghttp2's calls back into a session.
class Session::Callbacks {
 public:
  static Stream* stream_of(nghttp2_session* frames, std::int32_t id) {
    return static_cast<Stream*>(nghttp2_session_get_stream_user_data(frames, id));
  }

  static int begin_headers(nghttp2_session* frames, const nghttp2_frame* frame, void* self) {
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    auto& session = *static_cast<Session*>(self);
    const auto id = frame->hd.stream_id;
    // Streams that were reset, or answered, do not count for nghttp2, but may still be ours to end.
    if (session.streams_.size() >= most_unended) {
      nghttp2_submit_rst_stream(frames, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
      return 0;
    }
    session.head_by_ = session.client_.now() + session.worker_.limits().header_time;
    session.forget_coming();
    session.coming_ = std::make_unique<Stream>(session, id);
    nghttp2_session_set_stream_user_data(frames, id, session.coming_.get());
    return 0;
  }

  static int header(nghttp2_session* frames, const nghttp2_frame* frame, const std::uint8_t* name,
                    std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                    std::uint8_t, void*) {
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    auto* stream = stream_of(frames, frame->hd.stream_id);
    if (stream == nullptr) return 0;
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
      stream->add_field(text_of(name, name_size), text_of(value, value_size));
    else
      stream->add_trailer(text_of(name, name_size), text_of(value, value_size));
    return 0;
  }

  static int received(nghttp2_session* frames, const nghttp2_frame* frame, void* self) {
    auto* stream = stream_of(frames, frame->hd.stream_id);
    if (stream == nullptr) return 0;
    const bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (ends && (frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS))
      stream->body_ended();
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
      // RFC 9113 §8.5.
      if (stream->is_tunnel())
        nghttp2_submit_rst_stream(frames, NGHTTP2_FLAG_NONE, stream->id(), NGHTTP2_PROTOCOL_ERROR);
      return 0;
    }
    stream->head_ended(!ends);
    auto& session = *static_cast<Session*>(self);
    session.streams_.push_back(*stream);
    session.begun_.push_back(std::move(session.coming_));
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
    auto& session = *static_cast<Session*>(self);
    auto* stream = stream_of(frames, frame->hd.stream_id);
    // Its read callback has named that size just before.
    KARREG_INVARIANT(stream != nullptr);
    return session.out_.put_data(head, stream->take_answer(size));
  }

  static int sent(nghttp2_session* frames, const nghttp2_frame* frame, void*) {
    if (frame->hd.type != NGHTTP2_HEADERS || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
      return 0;
    if (auto* stream = stream_of(frames, frame->hd.stream_id)) stream->answer_sent();
    return 0;
  }

  static int invalid_header(nghttp2_session*, const nghttp2_frame*, const std::uint8_t*,
                            std::size_t, const std::uint8_t*, std::size_t, std::uint8_t,
                            void* self) {
    static_cast<Session*>(self)->worker_.count().malformed.add();
    // The stream is reset: without it the field would just be missing.
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }

  static int invalid_frame(nghttp2_session*, const nghttp2_frame*, int, void* self) {
    static_cast<Session*>(self)->worker_.count().malformed.add();
    return 0;
  }

  static int close(nghttp2_session* frames, std::int32_t id, std::uint32_t error, void* self) {
    auto& session = *static_cast<Session*>(self);
    ++(error == NGHTTP2_NO_ERROR ? session.done_ : session.failed_);
    auto* stream = stream_of(frames, id);
    if (stream == nullptr) return 0;
    nghttp2_session_set_stream_user_data(frames, id, nullptr);
    stream->closed();
    // If its head was still coming, it never was a request.
    if (stream == session.coming_.get()) session.coming_.reset();
    return 0;
  }
};

Session::Session(Worker& worker, Connection& client, Buffer& in, const Door& door,
                 std::string_view client_address)
    : worker_(worker),
      client_(client),
      in_(in),
      door_(door),
      client_address_(client_address),
      out_(worker.buffers()),
      to_write_(worker.loop()),
      stream_ended_(worker.loop()) {
  Options options;
  if (nghttp2_option_new(Out(options)) != 0) throw std::bad_alloc();
  // Windows open when a piece was handed out, not when it came.
  nghttp2_option_set_no_auto_window_update(options.get(), 1);
  // Answers to floods of SETTINGS and PING that the client does not read.
  nghttp2_option_set_max_outbound_ack(options.get(), 100);
  // Of closed streams nothing is needed: priorities are not kept.
  nghttp2_option_set_no_closed_streams(options.get(), 1);
  if (nghttp2_session_server_new2(Out(frames_), callback_table<Callbacks>(), this, options.get()) !=
      0)
    throw std::bad_alloc();
  const auto& head = worker.limits().head;
  const std::array<nghttp2_settings_entry, 5> settings{{
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, max_streams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, stream_window},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
       static_cast<std::uint32_t>(head.bytes + 32 * head.fields)},
      // A page must not starve beside a long download that its browser ranks higher.
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
      // For WebSockets (RFC 8441 §3).
      {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
  }};
  nghttp2_submit_settings(frames_.get(), NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(frames_.get(), NGHTTP2_FLAG_NONE, 0, connection_window);
  worker_.http2_sessions_.insert(this);
}

Session::~Session() {
  worker_.http2_sessions_.erase(this);
  streams_.clear();
  coming_.reset();
}

SteadyTime Session::patience() const {
  return client_.now() + worker_.limits().client_time;
}

void Session::drain() {
  if (last_call_ != SteadyTime::max()) return;
  last_call_ = client_.now() + last_call_time;
  nghttp2_submit_shutdown_notice(frames_.get());
  wake_writer();
}

void Session::sweep(SteadyTime now) {
  for (auto& stream : streams_) stream.sweep(now);
  if (now < last_call_ || refusing_) return;
  refusing_ = true;
  wake_writer();
}

Task<void> Session::run() {
  if (worker_.draining()) drain();
  co_await Both(read(), write());
  for (auto& stream : streams_) stream.closed();
  while (!streams_.empty()) co_await stream_ended_;
}

void Session::end() {
  over_ = true;
  client_.cancel();
  wake_writer();
}

SteadyTime Session::expected_by() const {
  const auto& limits = worker_.limits();
  if (!greeted_) return client_.now() + limits.header_time;
  if (coming_) return head_by_;
  // Streams have their own time.
  return streams_.empty() ? client_.now() + limits.idle_time : SteadyTime::max();
}

bool Session::take_frames() {
  greeted_ = true;
  const auto bytes = in_.view();
  const auto taken = nghttp2_session_mem_recv(
      frames_.get(), reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  worker_.buffers().take_back(in_);
  wake_writer();
  for (auto& stream : begun_) worker_.loop().spawn("http2 stream", serve(std::move(stream)));
  begun_.clear();
  if (failed_ > failures_forgiven + done_)
    nghttp2_session_terminate_session(frames_.get(), NGHTTP2_ENHANCE_YOUR_CALM);
  // What breaks the protocol beyond an answer; what can be answered, nghttp2 answers.
  return taken >= 0 && nghttp2_session_get_outbound_queue_size(frames_.get()) <= max_waiting_frames;
}

Task<void> Session::read() {
  while (!over_) {
    if (!in_.empty() && !take_frames()) break;
    const auto read = co_await client_.read_some(in_, expected_by());
    if (read.ok()) continue;
    const bool idle = client_.expired() && greeted_ && !coming_ && !refusing_;
    if (!idle || over_) break;
    // Told, in case a request is on its way.
    drain();
  }
  end();
}

void Session::forget_coming() {
  if (!coming_) return;
  // What it said was refused in the middle of its head: it is reset, and never becomes a request.
  nghttp2_session_set_stream_user_data(frames_.get(), coming_->id(), nullptr);
  coming_.reset();
}

std::string_view Session::gather() {
  // Now, so that no stream begins before it is on its way: it names the last one that is served.
  if (refusing_ && !std::exchange(refused_, true))
    nghttp2_submit_goaway(frames_.get(), NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(frames_.get()), NGHTTP2_NO_ERROR,
                          nullptr, 0);
  bool failed = false;
  const auto bytes = out_.gather(frames_.get(), failed);
  if (failed) end();
  return bytes;
}

Task<void> Session::write() {
  for (;;) {
    const auto bytes = gather();
    if (bytes.empty()) {
      out_.release();
      // Nothing more is expected in either direction: all streams ended after a GOAWAY.
      const bool done = nghttp2_session_want_read(frames_.get()) == 0 &&
                        nghttp2_session_want_write(frames_.get()) == 0;
      if (done && !over_) end();
      if (over_) co_return;
      co_await to_write_;
      continue;
    }
    const auto ec = co_await client_.write(bytes, patience());
    if (ec) {
      end();
      co_return;
    }
  }
}

void Session::ended(Stream& stream) {
  // nghttp2 may still have frames of it to send.
  nghttp2_session_set_stream_user_data(frames_.get(), stream.id(), nullptr);
  streams_.erase(StreamList::s_iterator_to(stream));
  if (streams_.empty() && !coming_) client_.extend_read(client_.now() + worker_.limits().idle_time);
  stream_ended_.tell();
}

Task<void> Session::serve(std::unique_ptr<Stream> stream) {
  // Also when it throws: nobody may find it after this.
  struct Ending {
    Ending(Session& of, Stream& ends) : session(of), stream(ends) {}
    ~Ending() { session.ended(stream); }
    Ending(const Ending&) = delete;
    Ending& operator=(const Ending&) = delete;
    Session& session;
    Stream& stream;
  };
  const Ending ending(*this, *stream);
  co_await stream->serve();
}

}  // namespace karreg::proxy::http2
