#pragma once
/// A client that speaks HTTP/2, by nghttp2 over TlsPeer: every wait with a deadline.

#include <nghttp2/nghttp2.h>

#include <map>
#include <string>
#include <vector>

#include "reverse-proxy/tls_peer.hpp"

namespace karreg::proxy::testing {

class Http2Peer {
 public:
  using Fields = std::vector<std::pair<std::string, std::string>>;
  struct Answer {
    std::vector<std::string> statuses;  ///< informational ones before the last
    Fields fields;                      ///< of all of them
    std::string body;
    bool closed = false;
    std::uint32_t error = 0;  ///< with which it was closed

    std::string status() const { return statuses.empty() ? "none" : statuses.back(); }
    std::string field(const std::string& name) const {
      for (const auto& [n, value] : fields)
        if (n == name) return value;
      return "absent";
    }
  };

  explicit Http2Peer(std::uint16_t port) : Http2Peer(port, {.protocols = "\x02h2"}) {}
  Http2Peer(std::uint16_t port, const TlsPeer::Wish& wish) : tls_(port, wish) {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                      std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                      std::uint8_t, void* self) {
          auto& answer = of(self, frame->hd.stream_id);
          const std::string n(reinterpret_cast<const char*>(name), name_size);
          const std::string v(reinterpret_cast<const char*>(value), value_size);
          if (n == ":status")
            answer.statuses.push_back(v);
          else
            answer.fields.emplace_back(n, v);
          return 0;
        });
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        callbacks, [](nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* bytes,
                      std::size_t size, void* self) {
          of(self, id).body.append(reinterpret_cast<const char*>(bytes), size);
          return 0;
        });
    nghttp2_session_callbacks_set_on_stream_close_callback(
        callbacks, [](nghttp2_session*, std::int32_t id, std::uint32_t error, void* self) {
          of(self, id).closed = true;
          of(self, id).error = error;
          return 0;
        });
    nghttp2_session_callbacks_set_on_frame_recv_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* self) {
          if (frame->hd.type == NGHTTP2_GOAWAY) {
            static_cast<Http2Peer*>(self)->going_away_ = true;
            static_cast<Http2Peer*>(self)->going_away_because_ = frame->goaway.error_code;
          }
          return 0;
        });
    nghttp2_option* options = nullptr;
    nghttp2_option_new(&options);
    // So that what a careless client sends can be sent.
    nghttp2_option_set_no_http_messaging(options, 1);
    // Until the proxy's settings are read, nothing holds requests back.
    nghttp2_option_set_peer_max_concurrent_streams(options, 10'000'000);
    nghttp2_session_client_new2(&session_, callbacks, this, options);
    nghttp2_option_del(options);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, nullptr, 0);
    flush();
  }
  ~Http2Peer() { nghttp2_session_del(session_); }
  Http2Peer(const Http2Peer&) = delete;
  Http2Peer& operator=(const Http2Peer&) = delete;

  TlsPeer& tls() { return tls_; }
  nghttp2_session* session() { return session_; }
  bool going_away() const { return going_away_; }
  std::uint32_t going_away_because() const { return going_away_because_; }

  static Fields get(const std::string& path = "/", const std::string& host = "a.test") {
    return {{":method", "GET"}, {":scheme", "https"}, {":authority", host}, {":path", path}};
  }
  static Fields post(const Fields& more = {}) {
    Fields all{{":method", "POST"}, {":scheme", "https"}, {":authority", "a.test"}, {":path", "/"}};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  /// Sends a request; with @p body if there is one. @p open: more of the body comes, by add().
  std::int32_t ask(const Fields& fields, const std::string& body = "", bool open = false) {
    std::vector<nghttp2_nv> list;
    for (const auto& [name, value] : fields)
      list.push_back({bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
    nghttp2_data_provider provider{};
    provider.read_callback = [](nghttp2_session* session, std::int32_t id, std::uint8_t* into,
                                std::size_t size, std::uint32_t* flags, nghttp2_data_source*,
                                void* self) -> ssize_t {
      // The first call comes before ask() knows the id.
      auto& peer = *static_cast<Http2Peer*>(self);
      (void)session;
      auto& sending = peer.sending_[id];
      const auto n = std::min(size, sending.rest.size());
      sending.rest.copy(reinterpret_cast<char*>(into), n);
      sending.rest.erase(0, n);
      if (sending.rest.empty() && !sending.open) *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (n == 0 && sending.open) return NGHTTP2_ERR_DEFERRED;
      return static_cast<ssize_t>(n);
    };
    const bool has_body = !body.empty() || open;
    const auto id = nghttp2_submit_request(session_, nullptr, list.data(), list.size(),
                                           has_body ? &provider : nullptr, nullptr);
    sending_[id] = {body, open};
    flush();
    return id;
  }
  void add(std::int32_t id, const std::string& more, bool open) {
    sending_[id].rest += more;
    sending_[id].open = open;
    nghttp2_session_resume_data(session_, id);
    flush();
  }
  /// In one piece.
  void ask_and_reset(const Fields& fields) {
    std::vector<nghttp2_nv> list;
    for (const auto& [name, value] : fields)
      list.push_back({bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
    const auto id =
        nghttp2_submit_request(session_, nullptr, list.data(), list.size(), nullptr, nullptr);
    std::string out;
    auto take = [&] {
      const std::uint8_t* frame = nullptr;
      for (ssize_t n = 0; (n = nghttp2_session_mem_send(session_, &frame)) > 0;)
        out.append(reinterpret_cast<const char*>(frame), static_cast<std::size_t>(n));
    };
    take();
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    take();
    tls_.send(out);
  }
  void reset(std::int32_t id) {
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    flush();
  }
  /// Its answer once it is closed; what is there when nothing more came.
  const Answer& wait(std::int32_t id) {
    while (!answers_[id].closed && more()) {
    }
    return answers_[id];
  }
  const Answer& answer(std::int32_t id) { return answers_[id]; }
  /// Takes what comes until @p holds.
  template <class Fn>
  bool until(Fn holds) {
    while (!holds())
      if (!more()) return false;
    return true;
  }
  Answer fetch(const Fields& fields, const std::string& body = "") {
    return wait(ask(fields, body));
  }
  bool flush() {
    std::string out;
    for (;;) {
      const std::uint8_t* frame = nullptr;
      const auto size = nghttp2_session_mem_send(session_, &frame);
      if (size <= 0) break;
      out.append(reinterpret_cast<const char*>(frame), static_cast<std::size_t>(size));
    }
    return out.empty() || tls_.send(out);
  }

 private:
  struct Sending {
    std::string rest;
    bool open = false;
  };
  static std::uint8_t* bytes(const std::string& text) {
    return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
  }
  static Answer& of(void* self, std::int32_t id) {
    return static_cast<Http2Peer*>(self)->answers_[id];
  }
  bool more() {
    const auto came = tls_.read_some();
    if (came.empty()) return false;
    const auto taken = nghttp2_session_mem_recv(
        session_, reinterpret_cast<const std::uint8_t*>(came.data()), came.size());
    return taken >= 0 && flush();
  }

  TlsPeer tls_;
  nghttp2_session* session_ = nullptr;
  std::map<std::int32_t, Answer> answers_;
  std::map<std::int32_t, Sending> sending_;
  bool going_away_ = false;
  std::uint32_t going_away_because_ = 0;
};

inline std::string letters(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i % 23);
  return text;
}

}  // namespace karreg::proxy::testing
