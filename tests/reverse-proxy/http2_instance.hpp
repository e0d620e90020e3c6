#pragma once
/// An application that speaks HTTP/2, by nghttp2: in clear, or by TLS. What it does with a request
/// is the test's.

#include <nghttp2/nghttp2.h>

#include <map>
#include <string>
#include <vector>

#include "reverse-proxy/tls_peer.hpp"

namespace karreg::proxy::testing {

class Http2Instance {
 public:
  using Fields = std::vector<std::pair<std::string, std::string>>;
  struct Request {
    std::int32_t id = 0;
    int connection = 0;
    Fields fields;
    Fields trailers;
    std::string body;
    bool head = false;
    bool ended = false;
    bool closed = false;
    std::uint32_t error = 0;  ///< with which it was closed

    std::string field(const std::string& name) const {
      for (const auto& [n, value] : fields)
        if (n == name) return value;
      return "absent";
    }
    std::string path() const { return field(":path"); }
  };

  /// One connection; of its own thread.
  class Server {
   public:
    Server(Http2Instance& of, Peer& peer, int nth);
    ~Server() { nghttp2_session_del(session_); }
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    int nth() const { return nth_; }
    nghttp2_session* session() { return session_; }
    /// @p open: more comes by add().
    void answer(std::int32_t id, const Fields& fields, const std::string& body = "",
                bool open = false, const Fields& trailers = {});
    void add(std::int32_t id, const std::string& body, bool open, const Fields& trailers = {});
    void inform(std::int32_t id, const Fields& fields);
    void reset(std::int32_t id, std::uint32_t error) {
      nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, error);
    }
    /// Streams above @p last were not looked at.
    void go_away(std::int32_t last, std::uint32_t error = NGHTTP2_NO_ERROR) {
      nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, last, error, nullptr, 0);
    }
    /// Bytes as they are, after all frames.
    void raw(const std::string& bytes) { raw_ += bytes; }
    /// The connection ends when all was sent.
    void close() { closing_ = true; }
    /// Bytes of an answer that wait here to be sent.
    std::size_t left_of(std::int32_t id) { return sending_[id].rest.size(); }
    /// What is not read opens no window.
    void take_nothing() { taking_ = false; }

    void run();

   private:
    friend class Http2Instance;
    struct Sending {
      std::string rest;
      bool open = false;
      Fields trailers;
    };
    bool secure();
    std::string read();
    bool write(const std::string& bytes);
    static nghttp2_data_provider provider();
    static Server& of(void* self) { return *static_cast<Server*>(self); }

    Http2Instance& instance_;
    Peer& peer_;
    const int nth_;
    nghttp2_session* session_ = nullptr;
    Handle<SSL, SSL_free> ssl_;
    std::map<std::int32_t, Request> requests_;
    std::map<std::int32_t, Sending> sending_;
    std::string raw_;
    bool closing_ = false;
    bool taking_ = true;
  };

  struct Behaviour {
    /// When its head is there; when a piece of its body came; when it is whole.
    std::function<void(Server&, Request&)> head = {};
    std::function<void(Server&, Request&, const std::string&)> piece = {};
    std::function<void(Server&, Request&)> whole = {};
    /// When the connection stands, before a frame came.
    std::function<void(Server&)> begun = {};
    std::vector<nghttp2_settings_entry> settings = {};
    std::string certificate = {};     ///< and key, PEM; empty: in clear
    std::string protocol = "\x02h2";  ///< that ALPN chooses
  };

  explicit Http2Instance(Behaviour behaviour);
  /// Answers each request with @p body when it is whole.
  static Behaviour hello(const std::string& body = "hello") {
    Behaviour behaviour;
    behaviour.whole = [body](Server& server, Request& request) {
      server.answer(request.id, {{":status", "200"}}, body);
    };
    return behaviour;
  }

  App& app() { return app_; }
  /// Has the thread of each connection that stands call @p work.
  void tell(std::function<void(Server&)> work) {
    const std::lock_guard lock(mutex_);
    for (auto& [server, queue] : queues_) queue.push_back(work);
  }
  /// All requests whose head came, oldest first.
  std::vector<Request> requests() const {
    const std::lock_guard lock(mutex_);
    std::vector<Request> all;
    for (const auto& [key, request] : seen_) all.push_back(request);
    return all;
  }
  Request only() const {
    const auto all = requests();
    return all.empty() ? Request{} : all.back();
  }
  /// Requests in hand at one time, at most, on any connection.
  std::size_t most_at_once() const { return most_at_once_; }
  /// What the proxy said to one connection at last, when it ended it: the error of a GOAWAY.
  std::string went_away() const {
    const std::lock_guard lock(mutex_);
    return went_away_;
  }

 private:
  void keep(const Request& request);

  Behaviour behaviour_;
  mutable std::mutex mutex_;
  std::map<Server*, std::vector<std::function<void(Server&)>>> queues_;
  std::map<std::pair<int, std::int32_t>, Request> seen_;
  std::string went_away_ = "not";
  std::atomic<std::size_t> most_at_once_{0};
  App app_;
};

/// The application at a.test, whose instances are spoken to by @p protocol.
wire::Route spoken_to(const std::string& protocol, const std::vector<const App*>& apps,
                      const std::string& ca = "", const std::string& name = "");

}  // namespace karreg::proxy::testing
