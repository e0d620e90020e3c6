#pragma once
/// Names of exchanges, queues and routing keys: docs/contracts.md §2.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace karreg::broker {

inline constexpr const char* exchange = "karreg";
inline constexpr const char* dead_exchange = "karreg.dead";
inline constexpr const char* dead_queue = "dead-letters";

/// A queue and what it is bound to on `exchange`.
struct QueueSpec {
  std::string name;
  bool durable = true;
  bool exclusive = false;                  ///< gone with its connection
  bool quorum = false;                     ///< replicated where there are several nodes
  std::optional<std::int64_t> max_length;  ///< the oldest are dropped beyond
  std::vector<std::string> bindings;       ///< routing keys
  std::vector<std::string> replaces{};     ///< names it had with other arguments: deleted
};

namespace key {
inline constexpr const char* scheduler_wake = "scheduler.wake";
inline constexpr const char* scheduler_host = "scheduler.host";
inline constexpr const char* scheduler_proxy = "scheduler.proxy";
inline constexpr const char* scheduler_traffic = "scheduler.traffic";
inline constexpr const char* scheduler_certificates = "scheduler.certificates";
inline constexpr const char* builder_wake = "builder.wake";
inline constexpr const char* api_event = "api.event";
inline constexpr const char* proxy_routes = "proxy.routes";
inline constexpr const char* proxy_certificates = "proxy.certificates";
std::string host_desired(const std::string& host_id);
std::string proxy_snapshot(const std::string& proxy_id);
std::string proxy_certificate_snapshot(const std::string& proxy_id);
}  // namespace key

/// Keeps the newest news only: while no scheduler runs, hosts and proxies go on reporting their
/// whole state every few seconds, and the old ones are worth nothing.
QueueSpec scheduler_queue();
QueueSpec builder_queue();
/// Keeps only the newest desired state.
QueueSpec host_queue(const std::string& host_id);
QueueSpec proxy_queue(const std::string& proxy_id, const std::string& unique);
QueueSpec proxy_certificates_queue(const std::string& proxy_id, const std::string& unique);
QueueSpec api_queue(const std::string& unique);
/// Name of the stream that holds an application's log.
std::string log_stream(const std::string& app_id);
/// Name of the stream that holds an application's requests.
std::string access_stream(const std::string& app_id);

}  // namespace karreg::broker
