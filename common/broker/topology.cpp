#include "common/broker/topology.hpp"

#include <charconv>

#include "common/broker/settings.hpp"

namespace karreg::broker {

namespace key {
std::string host_desired(const std::string& host_id) {
  return "host." + host_id + ".desired";
}
std::string proxy_snapshot(const std::string& proxy_id) {
  return "proxy." + proxy_id + ".snapshot";
}
std::string proxy_certificate_snapshot(const std::string& proxy_id) {
  return "proxy." + proxy_id + ".certificates";
}
}  // namespace key

QueueSpec scheduler_queue() {
  return {"scheduler-news", true, false, true, 1000, {"scheduler.#"}, {"scheduler"}};
}

QueueSpec builder_queue() {
  return {"builder", true, false, true, std::nullopt, {key::builder_wake}};
}

QueueSpec host_queue(const std::string& host_id) {
  return {"host." + host_id, true, false, false, 1, {key::host_desired(host_id)}};
}

QueueSpec proxy_queue(const std::string& proxy_id, const std::string& unique) {
  return {"proxy." + proxy_id + "." + unique,
          false,
          true,
          false,
          10'000,
          {key::proxy_routes, key::proxy_snapshot(proxy_id)}};
}

QueueSpec proxy_certificates_queue(const std::string& proxy_id, const std::string& unique) {
  return {"proxy-certificates." + proxy_id + "." + unique,
          false,
          true,
          false,
          1'000,
          {key::proxy_certificates, key::proxy_certificate_snapshot(proxy_id)}};
}

QueueSpec api_queue(const std::string& unique) {
  return {"api." + unique, false, true, false, 10'000, {key::api_event}};
}

std::string log_stream(const std::string& app_id) {
  return "logs." + app_id;
}

std::string access_stream(const std::string& app_id) {
  return "access." + app_id;
}

std::vector<Setting> settings() {
  return {
      {"broker.host", "address of the RabbitMQ node", "127.0.0.1", false},
      {"broker.port", "AMQP port of the RabbitMQ node, 1 to 65535", "5672", false},
      {"broker.user", "user at the broker", "guest", false},
      {"broker.password", "password at the broker", "guest", false},
      {"broker.vhost", "virtual host at the broker", "/", false},
  };
}

Result<Address> address(const Config& config) {
  auto port = config.number("broker.port", 1, 65535);
  if (!port) return port.error();
  return Address{config.text("broker.host"), static_cast<int>(*port), config.text("broker.user"),
                 config.text("broker.password"), config.text("broker.vhost")};
}

Result<Address> parse_address(const std::string& url) {
  auto bad = [&] {
    return Error(ErrorKind::invalid,
                 "\"" + url + "\" must look like amqp://user:password@host:port/vhost");
  };
  const std::string scheme = "amqp://";
  if (!url.starts_with(scheme)) return bad();
  const std::string rest = url.substr(scheme.size());
  const auto at = rest.find('@');
  const auto slash = rest.find('/', at == std::string::npos ? 0 : at);
  if (at == std::string::npos) return bad();
  const std::string credentials = rest.substr(0, at);
  const auto colon = credentials.find(':');
  auto endpoint = parse_endpoint(
      rest.substr(at + 1, slash == std::string::npos ? std::string::npos : slash - at - 1));
  if (colon == std::string::npos || !endpoint) return bad();
  const std::string vhost = slash == std::string::npos ? "" : rest.substr(slash + 1);
  return Address{endpoint->host, endpoint->port, credentials.substr(0, colon),
                 credentials.substr(colon + 1), vhost.empty() ? "/" : vhost};
}

}  // namespace karreg::broker
