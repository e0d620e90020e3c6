#include "reverse-proxy/settings.hpp"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <thread>

namespace karreg::proxy {

std::vector<Setting> declared_settings() {
  std::vector<Setting> all = {
      {"data.dir", "the platform's data folder", "", true},
      {"proxy.id", "name of this proxy, unique in the platform", "proxy-1", false},
      {"proxy.listen", "address and port that visitors connect to", "127.0.0.1:8080", false},
      {"proxy.tls_listen",
       "address and port that visitors connect to by https; empty: there is no https", "", false},
      {"proxy.tcp_listen",
       "address at which the ports of TCP services (tcp.ports) are opened when applications have "
       "them; empty: none is",
       "", false},
      tcp_ports_setting(),
      {"proxy.certificates",
       "folder of NAME.pem files, each a certificate, its chain and its key; looked at every two "
       "seconds; default.pem is for visitors who name no host that another one is for",
       "", false},
      {"proxy.admin_listen", "address and port of /healthz, /metrics and /routes; not for visitors",
       "127.0.0.1:8101", false},
      {"proxy.user",
       "user of this machine that the serving process becomes, when karreg-proxy is started by "
       "root; gets the folder proxy/ of the data folder, and must be able to read "
       "proxy.certificates; empty: it stays who started it",
       "", false},
      {"proxy.sandbox",
       "true: the serving process gets no system calls but those that it needs (seccomp)", "true",
       false},
      {"proxy.workers", "threads, each with its own connections; 0: one per core", "0", false},
      {"proxy.access_log", "one line per request: stdout, off, or a file's path", "stdout", false},
      {"proxy.access_log_format", "json, or clf: the Combined Log Format of httpd", "json", false},
      {"proxy.access_streams",
       "true: each request is told to its application's access log, `karreg accesslogs`", "true",
       false},
      {"proxy.max_connections",
       "connections of visitors, 1 to 1000000, those of TCP services among them; further ones get "
       "503, or are reset",
       "20000", false},
      {"proxy.app_share",
       "percent of proxy.max_connections, 1 to 100, that requests in hand at one application may "
       "take; further ones get 503, so that one that hangs does not take all",
       "25", false},
      {"proxy.header_timeout", "for the whole header of a request; then 408", "30s", false},
      {"proxy.idle_timeout", "connection of a visitor without a request; then closed", "75s",
       false},
      {"proxy.client_timeout", "visitor neither sends nor takes a byte; then closed", "60s", false},
      {"proxy.connect_timeout", "instance does not accept; then another one, or 502", "3s", false},
      {"proxy.answer_timeout",
       "instance sends nothing, before its answer (then 504) or within it (then cut)", "180s",
       false},
      {"proxy.tunnel_timeout", "WebSocket without a byte in either direction; then closed", "1h",
       false},
      {"proxy.tcp_idle_timeout",
       "connection of a TCP service without a byte in either direction; then reset", "1h", false},
      {"proxy.udp_idle_timeout",
       "datagrams of one sender to a service: none in either direction; then it is forgotten, and "
       "its next one may reach another instance",
       "60s", false},
      {"proxy.backend_idle_timeout",
       "connection to an instance kept for the next request; less than the application's own", "4s",
       false},
      {"proxy.bad_answers",
       "answers of an instance in a row, 1 to 1000, that did not come in time or were no HTTP, "
       "after "
       "which it is set aside; one that refuses or breaks off a connection is at once",
       "5", false},
      {"proxy.aside_time",
       "the longest that an instance is set aside: at first 0.5s, then twice as long each time, "
       "until "
       "a request that tries it out is answered",
       "10s", false},
      {"proxy.retry_share",
       "percent of the requests in hand at an application, 0 to 100, that may be sent once more "
       "after "
       "an instance broke off without an answer; three may always",
       "20", false},
      {"proxy.hold_timeout",
       "application that sleeps has no instance after a request came; then 503", "60s", false},
      {"proxy.held_per_app",
       "requests, 1 to 100000, that wait for one application that sleeps; further ones get 503",
       "500", false},
      {"proxy.held_requests",
       "the same for all applications together; each of them costs up to 64 KiB", "2000", false},
      {"proxy.drain_timeout", "for requests in hand when the proxy stops; then cut", "30s", false},
      {"proxy.upgrade_timeout",
       "for connections of the old process after an upgrade; then it stops as by "
       "proxy.drain_timeout",
       "10m", false},
      {"proxy.proxy_protocol",
       "true when each connection begins with a header of the PROXY protocol, version 1 or 2, from "
       "a balancer of yours; others are closed",
       "false", false},
      {"proxy.trust_forwarded",
       "true when visitors come through a proxy of yours whose X-Forwarded-* are to be believed",
       "false", false},
      {"proxy.https_port",
       "port at which visitors reach https, for applications that force https, where that is not "
       "the port of proxy.tls_listen; 0: that one, and without it they are served by http",
       "0", false},
      {"secrets.key_file",
       "file with the key that seals secrets; the proxy opens the keys of certificates with it "
       "that "
       "the platform got, and without it uses only those of proxy.certificates",
       "", false},
      {"log.level", "debug, info, warn or error", "info", false},
  };
  for (auto& s : broker::settings()) all.push_back(std::move(s));
  return all;
}

namespace {

/// Reads settings one after the other and keeps the first error.
class Reader {
 public:
  explicit Reader(const Config& config) : config_(config) {}
  template <class T>
  void take(Result<T> value, auto set) {
    if (value)
      set(*value);
    else if (!error_)
      error_ = value.error();
  }
  void duration(const std::string& name, std::chrono::milliseconds& into) {
    take(config_.duration(name), [&](std::chrono::milliseconds value) {
      into = value;
      if (value.count() == 0 && !error_)
        error_ = Error(ErrorKind::invalid, "setting " + name + " must be longer than 0");
    });
  }
  void endpoint(const std::string& name, Endpoint& into) {
    auto parsed = parse_endpoint(config_.text(name));
    if (!parsed) parsed = parsed.error().within("setting " + name);
    take(std::move(parsed), [&](const Endpoint& value) { into = value; });
  }
  const std::optional<Error>& error() const { return error_; }

 private:
  const Config& config_;
  std::optional<Error> error_;
};

/// Whether TCP services can be where @p s says.
Result<void> check_tcp(const Settings& s) {
  if (s.tcp_listen.empty()) return ok();
  auto bad = [&](const std::string& why) {
    return Error(ErrorKind::invalid, "setting proxy.tcp_listen = \"" + s.tcp_listen + "\" " + why);
  };
  boost::system::error_code ec;
  boost::asio::ip::make_address(s.tcp_listen, ec);
  if (ec && s.tcp_listen != "localhost")
    return bad("must be an address without a port, such as 0.0.0.0");
  if (s.tcp_ports.empty()) return bad("needs setting tcp.ports, the ports that it may open");
  // Its sockets share their ports with others of this user: the kernel would not refuse.
  auto taken = [&](const char* name, const std::optional<Endpoint>& at) -> std::optional<Error> {
    if (!at || !s.tcp_ports.contains(at->port)) return std::nullopt;
    return bad("cannot have the port of setting " + std::string(name) +
               ": choose other ones in setting tcp.ports");
  };
  for (const auto& error :
       {taken("proxy.listen", s.options.listen), taken("proxy.tls_listen", s.options.tls_listen),
        taken("proxy.admin_listen", s.admin_listen)})
    if (error) return *error;
  return ok();
}

}  // namespace

Result<Settings> read_settings(const Config& config) {
  Settings s;
  s.id = config.text("proxy.id");
  if (s.id.empty() ||
      s.id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos)
    return Error(ErrorKind::invalid, "setting proxy.id = \"" + s.id +
                                         "\" must be lower-case letters, digits and dashes");
  s.saved_routes = std::filesystem::path(config.text("data.dir")) / "proxy" / (s.id + ".json");
  s.saved_certificates =
      std::filesystem::path(config.text("data.dir")) / "proxy" / (s.id + ".certificates");
  s.key_file = config.text("secrets.key_file");
  s.access_log = config.text("proxy.access_log");
  const auto& format = config.text("proxy.access_log_format");
  if (format != "json" && format != "clf")
    return Error(ErrorKind::invalid,
                 "setting proxy.access_log_format = \"" + format + "\" must be json or clf");
  if (format == "clf") s.access_log_format = AccessFormat::clf;
  Reader read(config);
  auto& limits = s.options.limits;
  read.endpoint("proxy.listen", s.options.listen);
  read.endpoint("proxy.admin_listen", s.admin_listen);
  s.certificates = config.text("proxy.certificates");
  if (!config.text("proxy.tls_listen").empty()) {
    read.endpoint("proxy.tls_listen", s.options.tls_listen.emplace());
    if (s.certificates.empty() && s.key_file.empty())
      return Error(ErrorKind::invalid,
                   "setting proxy.tls_listen needs certificates: give setting proxy.certificates "
                   "a folder with them, or setting secrets.key_file the platform's key, with which "
                   "those are opened that the platform gets");
  }
  read.take(config.number("proxy.workers", 0, 256), [&](std::int64_t n) {
    const auto cores = std::max(1U, std::thread::hardware_concurrency());
    s.options.workers = n > 0 ? static_cast<int>(n) : static_cast<int>(cores);
  });
  read.take(config.number("proxy.max_connections", 1, 1'000'000),
            [&](std::int64_t n) { limits.connections = static_cast<std::size_t>(n); });
  read.take(config.number("proxy.app_share", 1, 100),
            [&](std::int64_t n) { limits.app_share_percent = static_cast<int>(n); });
  read.take(config.number("proxy.held_per_app", 1, 100'000),
            [&](std::int64_t n) { limits.held_per_app = static_cast<std::size_t>(n); });
  read.take(config.number("proxy.held_requests", 1, 100'000),
            [&](std::int64_t n) { limits.held = static_cast<std::size_t>(n); });
  read.take(config.number("proxy.https_port", 0, 65'535),
            [&](std::int64_t n) { s.options.https_port = static_cast<std::uint16_t>(n); });
  s.user = config.text("proxy.user");
  read.take(config.flag("proxy.sandbox"), [&](bool sandbox) { s.sandbox = sandbox; });
  read.take(config.flag("proxy.access_streams"), [&](bool wanted) { s.access_streams = wanted; });
  read.take(config.flag("proxy.proxy_protocol"),
            [&](bool expected) { s.options.proxy_protocol = expected; });
  read.take(config.flag("proxy.trust_forwarded"),
            [&](bool trust) { s.options.trust_forwarded = trust; });
  read.duration("proxy.header_timeout", limits.header_time);
  read.duration("proxy.idle_timeout", limits.idle_time);
  read.duration("proxy.client_timeout", limits.client_time);
  read.duration("proxy.connect_timeout", limits.connect_time);
  read.duration("proxy.answer_timeout", limits.answer_time);
  read.duration("proxy.tunnel_timeout", limits.tunnel_time);
  read.duration("proxy.tcp_idle_timeout", limits.tcp_idle_time);
  read.duration("proxy.udp_idle_timeout", limits.udp_idle_time);
  read.duration("proxy.backend_idle_timeout", limits.backend_idle_time);
  read.duration("proxy.aside_time", limits.aside.longest);
  read.take(config.number("proxy.bad_answers", 1, 1000),
            [&](std::int64_t n) { limits.aside.bad_answers = static_cast<int>(n); });
  read.take(config.number("proxy.retry_share", 0, 100),
            [&](std::int64_t n) { limits.retry_percent = static_cast<int>(n); });
  read.duration("proxy.hold_timeout", limits.hold_time);
  read.duration("proxy.drain_timeout", s.drain_time);
  read.duration("proxy.upgrade_timeout", s.leave_time);
  read.take(broker::address(config), [&](const broker::Address& address) { s.broker = address; });
  read.take(tcp_ports(config), [&](const PortRange& range) { s.tcp_ports = range; });
  if (read.error()) return *read.error();
  s.tcp_listen = config.text("proxy.tcp_listen");
  auto checked = check_tcp(s);
  if (!checked) return checked.error();
  return s;
}

}  // namespace karreg::proxy
