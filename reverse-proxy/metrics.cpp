#include "reverse-proxy/metrics.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "reverse-proxy/access_log.hpp"
#include "reverse-proxy/backend.hpp"
#include "reverse-proxy/traffic.hpp"

namespace karreg::proxy {

namespace {

class Text {
 public:
  explicit Text(std::span<const WorkerMetrics* const> workers) : workers_(workers) {}

  template <class Get>
  std::uint64_t sum(Get get) const {
    std::uint64_t total = 0;
    for (const auto* worker : workers_) total += get(*worker).get();
    return total;
  }
  void head(std::string_view name, std::string_view type, std::string_view help) {
    out_ +=
        fmt::format("# HELP karreg_proxy_{0} {2}\n# TYPE karreg_proxy_{0} {1}\n", name, type, help);
  }
  template <class T>
  void line(std::string_view name, std::string_view labels, T value) {
    out_ += fmt::format("karreg_proxy_{}{} {}\n", name, labels, value);
  }
  void one(std::string_view name, std::string_view type, std::string_view help,
           Counter WorkerMetrics::* member) {
    head(name, type, help);
    line(name, "", sum([&](const WorkerMetrics& m) -> const Counter& { return m.*member; }));
  }
  std::string take() { return std::move(out_); }

 private:
  std::span<const WorkerMetrics* const> workers_;
  std::string out_;
};

void append_times(Text& text) {
  text.head("request_seconds", "histogram",
            "time from a request's first byte to its answer's last");
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < time_buckets_ms.size(); ++i) {
    below += text.sum([&](const WorkerMetrics& m) -> const Counter& { return m.times.at(i); });
    text.line("request_seconds_bucket",
              fmt::format("{{le=\"{}\"}}", time_buckets_ms.at(i) / 1000.0), below);
  }
  below += text.sum([](const WorkerMetrics& m) -> const Counter& { return m.times.back(); });
  text.line("request_seconds_bucket", "{le=\"+Inf\"}", below);
  const auto us = text.sum([](const WorkerMetrics& m) -> const Counter& { return m.times_us; });
  text.line("request_seconds_sum", "", static_cast<double>(us) / 1e6);
  text.line("request_seconds_count", "", below);
}

/// @p what: "app" or "instance", which is the name of the label, too.
void append_traffic(Text& text, const std::string& what,
                    const std::map<std::string, Traffic>& all) {
  auto lines = [&](const std::string& name, std::string_view type, std::string_view help,
                   auto append) {
    text.head(what + name, type, help);
    for (const auto& [who, traffic] : all)
      append(what + name, fmt::format("{}=\"{}\"", what, who), traffic);
  };
  auto number = [&](const std::string& name, std::string_view help,
                    std::uint64_t Traffic::* member) {
    lines(name, "counter", help,
          [&](const std::string& full, const std::string& labels, const Traffic& traffic) {
            text.line(full, fmt::format("{{{}}}", labels), traffic.*member);
          });
  };
  lines("_answers_total", "counter", "answers by class of status, 0xx: the client left before one",
        [&](const std::string& name, const std::string& labels, const Traffic& traffic) {
          for (std::size_t digit = 0; digit < traffic.answers.size(); ++digit)
            if (traffic.answers.at(digit) > 0)
              text.line(name, fmt::format("{{{},class=\"{}xx\"}}", labels, digit),
                        traffic.answers.at(digit));
        });
  lines("_request_seconds", "histogram", "time from a request's first byte to its answer's last",
        [&](const std::string& name, const std::string& labels, const Traffic& traffic) {
          std::uint64_t below = 0;
          for (std::size_t i = 0; i < time_buckets_ms.size(); ++i) {
            below += traffic.times.at(i);
            text.line(name + "_bucket",
                      fmt::format("{{{},le=\"{}\"}}", labels, time_buckets_ms.at(i) / 1000.0),
                      below);
          }
          below += traffic.times.back();
          text.line(name + "_bucket", fmt::format("{{{},le=\"+Inf\"}}", labels), below);
          text.line(name + "_sum", fmt::format("{{{}}}", labels),
                    static_cast<double>(traffic.times_us) / 1e6);
          text.line(name + "_count", fmt::format("{{{}}}", labels), below);
        });
  number("_retries_total", "attempts after the first", &Traffic::retries);
  number("_tcp_connections_total", "ended connections of TCP services", &Traffic::tcp_connections);
  number("_tcp_failures_total", "connections of TCP services that reached no instance",
         &Traffic::tcp_failures);
  number("_bytes_in_total", "bytes of requests, and from clients of TCP services",
         &Traffic::bytes_in);
  number("_bytes_out_total", "bytes of answers, and to clients of TCP services",
         &Traffic::bytes_out);
}

}  // namespace

void WorkerMetrics::answered(int status, std::chrono::microseconds took) {
  answers.at(status_class(status)).add();
  times.at(time_bucket(took)).add();
  times_us.add(static_cast<std::uint64_t>(took.count()));
}

std::string render_metrics(std::span<const WorkerMetrics* const> workers, std::uint64_t version,
                           std::span<const std::shared_ptr<Backend>> backends,
                           const std::map<std::string, int>& draining, const AllTraffic& traffic,
                           const AccessLog& access_log) {
  Text text(workers);
  text.head("answers_total", "counter", "answers by class of status");
  for (std::size_t digit = 1; digit < 6; ++digit)
    text.line(
        "answers_total", fmt::format("{{class=\"{}xx\"}}", digit),
        text.sum([&](const WorkerMetrics& m) -> const Counter& { return m.answers.at(digit); }));
  append_times(text);
  using M = WorkerMetrics;
  text.one("connections_accepted_total", "counter", "connections of clients",
           &M::connections_accepted);
  text.one("connections_refused_total", "counter", "connections over the limit",
           &M::connections_refused);
  text.one("connections_open", "gauge", "connections of clients now", &M::connections_open);
  text.one("tls_handshakes_total", "counter", "TLS handshakes", &M::handshakes);
  text.one("tls_handshake_failures_total", "counter", "TLS handshakes that did not come to stand",
           &M::handshake_failures);
  text.one("client_certificates_refused_total", "counter",
           "TLS handshakes that ended since a visitor showed no certificate, or a wrong one, to an "
           "application that asks for one",
           &M::client_certificates_refused);
  text.one("unknown_host_total", "counter", "requests for a host without a route",
           &M::unknown_host);
  text.one("no_backend_total", "counter", "requests for an application without an instance",
           &M::no_backend);
  text.one("app_refused_total", "counter", "requests over the share of one application",
           &M::app_refused);
  text.one("by_rules_total", "counter", "requests that a rule of the application has answered",
           &M::by_rules);
  text.one("compressed_total", "counter", "answers that the proxy has compressed", &M::compressed);
  text.one("backend_failures_total", "counter", "requests that ended in 502", &M::backend_failures);
  text.one("backend_timeouts_total", "counter", "requests that ended in 504", &M::backend_timeouts);
  text.one("client_left_total", "counter", "requests whose client left early", &M::client_left);
  text.one("truncated_total", "counter", "answers that the application broke off", &M::truncated);
  text.one("cut_total", "counter", "requests that the proxy cut when it stopped", &M::cut);
  text.one("malformed_total", "counter", "requests refused as malformed", &M::malformed);
  text.one("retries_total", "counter", "attempts after the first", &M::retries);
  text.one("retries_refused_total", "counter",
           "requests that were not repeated since too many others were", &M::retries_refused);
  text.one("set_aside_total", "counter", "times that an instance was set aside since it failed",
           &M::set_aside);
  text.one("stale_total", "counter", "kept connections that were closed when used", &M::stale);
  text.one("backend_connects_total", "counter", "connections made to instances",
           &M::backend_connects);
  text.one("backend_connect_failures_total", "counter", "connections that instances refused",
           &M::backend_connect_failures);
  text.one("backend_reuses_total", "counter", "requests over a kept connection",
           &M::backend_reuses);
  text.one("held_now", "gauge", "requests that wait for an application to wake", &M::held_now);
  text.one("held_total", "counter", "requests that have waited for an application to wake",
           &M::held);
  text.head("held_seconds_total", "counter", "how long they have waited, all together");
  text.line("held_seconds_total", "",
            static_cast<double>(
                text.sum([](const WorkerMetrics& m) -> const Counter& { return m.held_us; })) /
                1e6);
  text.one("held_late_total", "counter", "requests whose application did not wake in time",
           &M::held_late);
  text.one("held_left_total", "counter", "requests whose client left before it woke",
           &M::held_left);
  text.one("held_refused_total", "counter", "requests that were too many to be held",
           &M::held_refused);
  text.one("tunnels_total", "counter", "WebSocket connections", &M::tunnels);
  text.one("tunnels_open", "gauge", "WebSocket connections now", &M::tunnels_open);
  text.one("tcp_connections_total", "counter", "connections of TCP services", &M::tcp_connections);
  text.one("tcp_open", "gauge", "connections of TCP services now", &M::tcp_open);
  text.one("tcp_failures_total", "counter", "connections of TCP services that reached no instance",
           &M::tcp_failures);
  text.one("tcp_no_backend_total", "counter",
           "connections of TCP services for an application without an instance",
           &M::tcp_no_backend);
  text.one("udp_flows_total", "counter", "senders of datagrams to services", &M::udp_flows);
  text.one("udp_open", "gauge", "senders of datagrams that are known now", &M::udp_open);
  text.one("udp_dropped_total", "counter", "datagrams that found no place or no instance",
           &M::udp_dropped);
  text.one("udp_failures_total", "counter", "senders whose instance takes no datagrams",
           &M::udp_failures);
  text.one("udp_no_backend_total", "counter",
           "datagrams of new senders for an application without an instance", &M::udp_no_backend);
  text.one("bytes_in_total", "counter", "bytes from clients", &M::bytes_in);
  text.one("bytes_out_total", "counter", "bytes to clients", &M::bytes_out);
  text.head("access_log_dropped_total", "counter", "lines of the access log that were lost");
  text.line("access_log_dropped_total", "", access_log.dropped());
  text.head("access_streams_dropped_total", "counter",
            "requests that the access logs of their applications lost");
  text.line("access_streams_dropped_total", "", access_log.dropped_by_sink());
  text.head("routes_version", "gauge", "version of the table in use");
  text.line("routes_version", "", version);
  text.head("backend_in_flight", "gauge", "requests at an instance now");
  // Those that were never asked, of 100 000 most, would be lines without news.
  for (const auto& backend : backends)
    if (backend->requests() > 0)
      text.line("backend_in_flight", fmt::format("{{instance=\"{}\"}}", backend->instance_id),
                backend->in_flight());
  text.head("backend_requests_total", "counter", "requests sent to an instance");
  for (const auto& backend : backends)
    if (backend->requests() > 0)
      text.line("backend_requests_total", fmt::format("{{instance=\"{}\"}}", backend->instance_id),
                backend->requests());
  text.head("backend_set_aside", "gauge", "1: an instance is set aside since it failed");
  const auto now = std::chrono::steady_clock::now();
  for (const auto& backend : backends)
    if (backend->requests() > 0)
      text.line("backend_set_aside", fmt::format("{{instance=\"{}\"}}", backend->instance_id),
                backend->aside(now) ? 1 : 0);
  text.head("draining_in_flight", "gauge", "requests at an instance that left the table");
  for (const auto& [instance, in_flight] : draining)
    text.line("draining_in_flight", fmt::format("{{instance=\"{}\"}}", instance), in_flight);
  append_traffic(text, "app", traffic.apps);
  append_traffic(text, "instance", traffic.instances);
  return text.take();
}

}  // namespace karreg::proxy
