#include "reverse-proxy/http2_instance.hpp"

namespace karreg::proxy::testing {

namespace {

std::uint8_t* bytes(const std::string& text) {
  return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
}

std::vector<nghttp2_nv> list_of(const Http2Instance::Fields& fields) {
  std::vector<nghttp2_nv> list;
  for (const auto& [name, value] : fields)
    list.push_back({bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
  return list;
}

int choose(SSL*, const unsigned char** out, unsigned char* size, const unsigned char* in,
           unsigned int in_size, void* wanted) {
  const auto& ours = *static_cast<std::string*>(wanted);
  auto* chosen = const_cast<unsigned char*>(*out);
  const int found =
      SSL_select_next_proto(&chosen, size, reinterpret_cast<const unsigned char*>(ours.data()),
                            static_cast<unsigned int>(ours.size()), in, in_size);
  *out = chosen;
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

}  // namespace

Http2Instance::Http2Instance(Behaviour behaviour)
    : behaviour_(std::move(behaviour)), app_([this](Peer& peer, int nth) {
        Server server(*this, peer, nth);
        {
          const std::lock_guard lock(mutex_);
          queues_[&server];
        }
        server.run();
        const std::lock_guard lock(mutex_);
        queues_.erase(&server);
      }) {}

void Http2Instance::keep(const Request& request) {
  const std::lock_guard lock(mutex_);
  seen_[{request.connection, request.id}] = request;
  std::map<int, std::size_t> open;
  for (const auto& [key, each] : seen_)
    if (!each.closed) ++open[each.connection];
  for (const auto& [connection, count] : open)
    most_at_once_ = std::max<std::size_t>(most_at_once_, count);
}

Http2Instance::Server::Server(Http2Instance& instance, Peer& peer, int nth)
    : instance_(instance), peer_(peer), nth_(nth) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_header_callback(
      callbacks, [](nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                    std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                    std::uint8_t, void* self) {
        auto& request = of(self).requests_[frame->hd.stream_id];
        auto& into = request.head ? request.trailers : request.fields;
        into.emplace_back(std::string(reinterpret_cast<const char*>(name), name_size),
                          std::string(reinterpret_cast<const char*>(value), value_size));
        return 0;
      });
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
      callbacks, [](nghttp2_session* session, std::uint8_t, std::int32_t id,
                    const std::uint8_t* data, std::size_t size, void* self) {
        auto& server = of(self);
        auto& request = server.requests_[id];
        const std::string piece(reinterpret_cast<const char*>(data), size);
        request.body += piece;
        server.instance_.keep(request);
        if (server.taking_) nghttp2_session_consume(session, id, size);
        const auto& act = server.instance_.behaviour_.piece;
        if (act) act(server, request, piece);
        return 0;
      });
  nghttp2_session_callbacks_set_on_frame_recv_callback(
      callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* self) {
        auto& server = of(self);
        const auto& behaviour = server.instance_.behaviour_;
        if (frame->hd.type == NGHTTP2_GOAWAY) {
          const std::lock_guard lock(server.instance_.mutex_);
          server.instance_.went_away_ = std::to_string(frame->goaway.error_code);
        }
        if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
        auto& request = server.requests_[frame->hd.stream_id];
        request.id = frame->hd.stream_id;
        request.connection = server.nth_;
        const bool first = frame->hd.type == NGHTTP2_HEADERS && !request.head;
        request.head = true;
        request.ended = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
        server.instance_.keep(request);
        if (first && behaviour.head) behaviour.head(server, request);
        if (request.ended && behaviour.whole) behaviour.whole(server, request);
        return 0;
      });
  nghttp2_session_callbacks_set_on_stream_close_callback(
      callbacks, [](nghttp2_session*, std::int32_t id, std::uint32_t error, void* self) {
        auto& server = of(self);
        auto& request = server.requests_[id];
        request.closed = true;
        request.error = error;
        server.instance_.keep(request);
        server.sending_.erase(id);
        server.requests_.erase(id);
        return 0;
      });
  nghttp2_option* options = nullptr;
  nghttp2_option_new(&options);
  // So that what a careless application says can be said.
  nghttp2_option_set_no_http_messaging(options, 1);
  nghttp2_option_set_no_auto_window_update(options, 1);
  nghttp2_session_server_new2(&session_, callbacks, this, options);
  nghttp2_option_del(options);
  nghttp2_session_callbacks_del(callbacks);
}

nghttp2_data_provider Http2Instance::Server::provider() {
  nghttp2_data_provider made{};
  made.read_callback = [](nghttp2_session* session, std::int32_t id, std::uint8_t* into,
                          std::size_t size, std::uint32_t* flags, nghttp2_data_source*,
                          void* self) -> ssize_t {
    auto& sending = of(self).sending_[id];
    const auto n = std::min(size, sending.rest.size());
    sending.rest.copy(reinterpret_cast<char*>(into), n);
    sending.rest.erase(0, n);
    if (!sending.rest.empty() || sending.open)
      return n == 0 ? static_cast<ssize_t>(NGHTTP2_ERR_DEFERRED) : static_cast<ssize_t>(n);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (!sending.trailers.empty()) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      const auto list = list_of(sending.trailers);
      nghttp2_submit_trailer(session, id, list.data(), list.size());
    }
    return static_cast<ssize_t>(n);
  };
  return made;
}

void Http2Instance::Server::answer(std::int32_t id, const Fields& fields, const std::string& body,
                                   bool open, const Fields& trailers) {
  const auto list = list_of(fields);
  const auto data = provider();
  sending_[id] = {body, open, trailers};
  const bool has_body = !body.empty() || open || !trailers.empty();
  nghttp2_submit_response(session_, id, list.data(), list.size(), has_body ? &data : nullptr);
}

void Http2Instance::Server::add(std::int32_t id, const std::string& body, bool open,
                                const Fields& trailers) {
  auto& sending = sending_[id];
  sending.rest += body;
  sending.open = open;
  sending.trailers = trailers;
  nghttp2_session_resume_data(session_, id);
}

void Http2Instance::Server::inform(std::int32_t id, const Fields& fields) {
  const auto list = list_of(fields);
  nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, id, nullptr, list.data(), list.size(),
                         nullptr);
}

bool Http2Instance::Server::secure() {
  auto& behaviour = instance_.behaviour_;
  if (behaviour.certificate.empty()) return true;
  const Handle<SSL_CTX, SSL_CTX_free> context(SSL_CTX_new(TLS_server_method()));
  const auto& pem = behaviour.certificate;
  const auto open = [&] {
    return Handle<BIO, BIO_free_all>(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  };
  const auto in = open();
  const Handle<X509, X509_free> leaf(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
  SSL_CTX_use_certificate(context.get(), leaf.get());
  for (;;) {
    X509* more = PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr);
    if (more == nullptr) break;
    SSL_CTX_add_extra_chain_cert(context.get(), more);
  }
  const auto again = open();
  const Handle<EVP_PKEY, EVP_PKEY_free> key(
      PEM_read_bio_PrivateKey(again.get(), nullptr, nullptr, nullptr));
  SSL_CTX_use_PrivateKey(context.get(), key.get());
  SSL_CTX_set_alpn_select_cb(context.get(), choose, &behaviour.protocol);
  ERR_clear_error();
  ssl_.reset(SSL_new(context.get()));
  SSL_set_fd(ssl_.get(), peer_.fd());
  return SSL_accept(ssl_.get()) == 1;
}

std::string Http2Instance::Server::read() {
  if (!ssl_) return peer_.read_some(10ms);
  char into[16'384];
  if (SSL_pending(ssl_.get()) == 0 && !peer_.readable(10ms)) return "";
  const int n = SSL_read(ssl_.get(), into, sizeof into);
  if (n <= 0) closing_ = true;
  ERR_clear_error();
  return n <= 0 ? "" : std::string(into, static_cast<std::size_t>(n));
}

bool Http2Instance::Server::write(const std::string& out) {
  if (!ssl_) return peer_.send(out);
  return out.empty() || SSL_write(ssl_.get(), out.data(), static_cast<int>(out.size())) ==
                            static_cast<int>(out.size());
}

void Http2Instance::Server::run() {
  if (!secure()) return;
  const auto& behaviour = instance_.behaviour_;
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, behaviour.settings.data(),
                          behaviour.settings.size());
  if (behaviour.begun) behaviour.begun(*this);
  for (;;) {
    std::vector<std::function<void(Server&)>> works;
    {
      const std::lock_guard lock(instance_.mutex_);
      works.swap(instance_.queues_[this]);
    }
    for (const auto& work : works) work(*this);
    std::string out;
    for (;;) {
      const std::uint8_t* frame = nullptr;
      const auto size = nghttp2_session_mem_send(session_, &frame);
      if (size <= 0) break;
      out.append(reinterpret_cast<const char*>(frame), static_cast<std::size_t>(size));
    }
    out += std::exchange(raw_, "");
    if (!write(out) || closing_) return;
    const auto came = read();
    if (came.empty() && (peer_.ended() || closing_)) return;
    if (nghttp2_session_mem_recv(session_, bytes(came), came.size()) < 0) return;
  }
}

wire::Route spoken_to(const std::string& protocol, const std::vector<const App*>& apps,
                      const std::string& ca, const std::string& name) {
  auto route = Loopback::a_route("a.test", apps);
  wire::Rules rules;
  rules.instance = {protocol, ca, name};
  route.rules = wire::SharedRules(rules);
  return route;
}

}  // namespace karreg::proxy::testing
