#include "api/settings.hpp"

#include "common/db/database.hpp"
#include "common/http/message.hpp"
#include "common/text.hpp"

namespace karreg::api {

std::vector<Setting> declared_settings() {
  std::vector<Setting> all = {
      {"data.dir", "the platform's data folder", "", true},
      {"api.listen", "address and port of the REST API, git and the console", "127.0.0.1:8080",
       false},
      {"api.public_url", "how clients reach the API, without a slash at the end",
       "http://127.0.0.1:8080", false},
      {"api.allow_plain_http",
       "true: api.listen may be reachable from other machines with an http api.public_url; tokens "
       "and passwords then cross the network readable",
       "false", false},
      {"api.webui_dir", "folder of the built web console; empty: none", "", false},
      {"api.apps_domain", "applications get <name>.<this>", "localhost", false},
      {"api.apps_scheme", "http or https: how visitors reach applications", "http", false},
      {"api.apps_port", "port at which visitors reach the reverse proxy, 1 to 65535", "80", false},
      {"api.hook_socket", "unix socket of the git hooks; empty: <data.dir>/run/api-hook.sock", "",
       false},
      {"api.max_push_bytes", "largest pack that a push may send, bytes", "268435456", false},
      {"api.shortest_sleep_after",
       "time without a request after which applications may sleep, the shortest that their owners "
       "can choose, 1s to 30 days",
       "60s", false},
      {"api.log_readers", "how many log streams may be read at once", "128", false},
      {"api.log_readers_per_user", "how many of them one user may read", "16", false},
      tcp_ports_setting(),
      {"api.tcp_redirections",
       "ports of TCP services that one application may have at most, 1 to 1000", "4", false},
      {"api.tcp_quarantine",
       "for how long nobody else gets the port of a TCP service that was given back", "24h", false},
      {"secrets.key_file", "file with the key that seals secrets", "", true},
      {"log.level", "debug, info, warn or error", "info", false},
  };
  for (auto& s : db::settings()) all.push_back(std::move(s));
  for (auto& s : broker::settings()) all.push_back(std::move(s));
  return all;
}

namespace {

/// Where clients reach the API, and that what they send stays secret on its way.
Result<void> read_address(const Config& config, Settings& s) {
  auto listen = parse_endpoint(config.text("api.listen"));
  if (!listen) return listen.error().within("setting api.listen");
  s.listen = *listen;
  s.public_url = config.text("api.public_url");
  if (s.public_url.ends_with('/'))
    return Error(ErrorKind::invalid, "setting api.public_url = \"" + s.public_url +
                                         "\" must be a URL without a slash at the end");
  auto url = http::parse_url(s.public_url);
  if (!url) return url.error().within("setting api.public_url");
  s.public_host = text::lower(url->host);
  auto plain = config.flag("api.allow_plain_http");
  if (!plain) return plain.error();
  const bool loopback = s.listen.host.starts_with("127.") || s.listen.host == "::1";
  if (!loopback && url->scheme == "http" && !*plain)
    return Error(ErrorKind::invalid,
                 "setting api.listen = \"" + config.text("api.listen") +
                     "\" is reachable from other machines while api.public_url is http: tokens and "
                     "passwords would cross the network readable. Listen on 127.0.0.1 behind a "
                     "TLS server and give its https address as api.public_url, or set "
                     "api.allow_plain_http = true in a network that you trust");
  return ok();
}

Result<void> read_tcp(const Config& config, TcpPolicy& tcp) {
  auto ports = tcp_ports(config);
  if (!ports) return ports.error();
  tcp.ports = *ports;
  auto per_app = config.number("api.tcp_redirections", 1, 1000);
  if (!per_app) return per_app.error();
  tcp.per_app = static_cast<int>(*per_app);
  auto quarantine = config.duration("api.tcp_quarantine");
  if (!quarantine) return quarantine.error();
  tcp.quarantine = *quarantine;
  return ok();
}

}  // namespace

Result<Settings> read_settings(const Config& config) {
  Settings s;
  s.data_dir = config.text("data.dir");
  s.repositories = s.data_dir + "/repos";
  auto address_read = read_address(config, s);
  if (!address_read) return address_read.error();
  s.webui_dir = config.text("api.webui_dir");
  s.apps_domain = config.text("api.apps_domain");
  s.apps_scheme = config.text("api.apps_scheme");
  if (s.apps_scheme != "http" && s.apps_scheme != "https")
    return Error(ErrorKind::invalid, "setting api.apps_scheme must be http or https");
  auto port = config.number("api.apps_port", 1, 65535);
  if (!port) return port.error();
  s.apps_port = static_cast<int>(*port);
  s.hook_socket = config.text("api.hook_socket");
  if (s.hook_socket.empty()) s.hook_socket = s.data_dir + "/run/api-hook.sock";
  auto push = config.number("api.max_push_bytes", 1024, 1LL << 40U);
  if (!push) return push.error();
  s.max_push_bytes = *push;
  auto sleep = config.duration("api.shortest_sleep_after");
  if (!sleep) return sleep.error();
  if (*sleep < std::chrono::seconds(1) || *sleep > std::chrono::hours(720))
    return Error(ErrorKind::invalid, "setting api.shortest_sleep_after = \"" +
                                         config.text("api.shortest_sleep_after") +
                                         "\" must be from 1s to 720h");
  s.shortest_sleep_after = *sleep;
  auto readers = config.number("api.log_readers", 1, 4096);
  if (!readers) return readers.error();
  s.log_readers = static_cast<std::size_t>(*readers);
  auto per_user = config.number("api.log_readers_per_user", 1, 4096);
  if (!per_user) return per_user.error();
  s.log_readers_per_user = static_cast<std::size_t>(*per_user);
  auto tcp_read = read_tcp(config, s.tcp);
  if (!tcp_read) return tcp_read.error();
  s.database_url = config.text("database.url");
  s.key_file = config.text("secrets.key_file");
  auto address = broker::address(config);
  if (!address) return address.error();
  s.broker = *address;
  return s;
}

}  // namespace karreg::api
