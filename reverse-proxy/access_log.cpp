#include "reverse-proxy/access_log.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "reverse-proxy/answers.hpp"

namespace karreg::proxy {

namespace {
constexpr std::size_t max_pending = 8UL * 1024 * 1024;
constexpr std::size_t write_at = 64UL * 1024;
constexpr std::chrono::milliseconds write_after{100};
constexpr std::size_t max_target = 2048;

double in_ms(std::chrono::microseconds time) {
  return static_cast<double>(time.count()) / 1000.0;
}
}  // namespace

void append_access_line(std::string& out, const AccessRecord& record) {
  const auto whole = std::chrono::floor<std::chrono::seconds>(record.begun);
  const auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(record.begun - whole).count();
  fmt::format_to(std::back_inserter(out), "{{\"time\":\"{:%Y-%m-%dT%H:%M:%S}.{:03}Z\"",
                 fmt::gmtime(std::chrono::system_clock::to_time_t(whole)), ms);
  auto text = [&](std::string_view name, std::string_view value) {
    if (value.empty()) return;
    out += ",\"";
    out += name;
    out += "\":";
    append_json_string(out, value);
  };
  text("request_id", record.request_id);
  text("client", record.client);
  text("method", record.method);
  text("host", record.host);
  text("target", record.target.substr(0, max_target));
  fmt::format_to(std::back_inserter(out), ",\"status\":{},\"ms\":{:.3f}", record.status,
                 in_ms(record.took));
  if (record.to_first_byte.count() > 0)
    fmt::format_to(std::back_inserter(out), ",\"first_byte_ms\":{:.3f}",
                   in_ms(record.to_first_byte));
  fmt::format_to(std::back_inserter(out), ",\"bytes_in\":{},\"bytes_out\":{}", record.bytes_in,
                 record.bytes_out);
  text("app", record.app);
  text("instance", record.instance);
  if (record.attempts > 1)
    fmt::format_to(std::back_inserter(out), ",\"attempts\":{}", record.attempts);
  text("user_agent", record.user_agent.substr(0, max_target));
  text("error", record.error);
  out += "}\n";
}

Result<std::unique_ptr<AccessLog>> AccessLog::open(const std::string& where) {
  if (where == "off") return std::make_unique<AccessLog>(-1, false);
  if (where == "stdout") return std::make_unique<AccessLog>(STDOUT_FILENO, false);
  const int fd = ::open(where.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0)
    return Error(ErrorKind::invalid,
                 "setting proxy.access_log: cannot open " + where + ": " + std::strerror(errno));
  return std::make_unique<AccessLog>(fd, true);
}

AccessLog::AccessLog(int fd, bool owned) : fd_(fd), owned_(owned) {
  if (fd_ >= 0) thread_ = std::thread([this] { run(); });
}

AccessLog::~AccessLog() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
  if (owned_) ::close(fd_);
}

void AccessLog::write(const AccessRecord& record) {
  if (!enabled()) return;
  thread_local std::string line;
  line.clear();
  append_access_line(line, record);
  bool full = false;
  {
    const std::lock_guard lock(mutex_);
    if (pending_.size() + line.size() > max_pending) {
      ++dropped_;
      return;
    }
    const bool below = pending_.size() < write_at;
    pending_ += line;
    full = below && pending_.size() >= write_at;
  }
  if (full) wake_.notify_one();
}

void AccessLog::run() {
  std::string batch;
  for (;;) {
    bool last = false;
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, write_after, [&] { return stopping_ || pending_.size() >= write_at; });
      last = stopping_;
      batch.swap(pending_);
      if (dropped_ > 0) {
        batch += fmt::format("{{\"dropped_lines\":{}}}\n", dropped_);
        dropped_ = 0;
      }
    }
    std::string_view rest = batch;
    while (!rest.empty()) {
      const auto n = ::write(fd_, rest.data(), rest.size());
      if (n < 0 && errno == EINTR) continue;
      // A full disk or a closed reader must not stop requests: these lines are lost.
      if (n <= 0) break;
      rest.remove_prefix(static_cast<std::size_t>(n));
    }
    batch.clear();
    if (last) return;
  }
}

}  // namespace karreg::proxy
