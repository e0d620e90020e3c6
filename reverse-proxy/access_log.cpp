#include "reverse-proxy/access_log.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/log.hpp"
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

namespace {

/// As httpd writes what clients say: no quote ends it, no control character gets through.
void append_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte >= 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
}

void append_clf_line(std::string& out, const AccessRecord& record) {
  const auto whole = std::chrono::floor<std::chrono::seconds>(record.begun);
  fmt::format_to(std::back_inserter(out), "{} - - [{:%d/%b/%Y:%H:%M:%S} +0000] \"",
                 record.client.empty() ? std::string_view("-") : record.client,
                 fmt::gmtime(std::chrono::system_clock::to_time_t(whole)));
  if (record.port != 0) {
    fmt::format_to(std::back_inserter(out), "TCP :{} -", record.port);
  } else if (record.method.empty()) {
    out += '-';
  } else {
    append_escaped(out, record.method);
    out += ' ';
    append_escaped(out, record.target.substr(0, max_target));
    out += ' ';
    out += record.protocol;
  }
  fmt::format_to(std::back_inserter(out), "\" {} {}", record.status, record.bytes_out);
  for (const auto text : {record.referer, record.user_agent}) {
    out += " \"";
    append_escaped(out, text.empty() ? std::string_view("-") : text.substr(0, max_target));
    out += '"';
  }
  out += '\n';
}

void append_json_line(std::string& out, const AccessRecord& record) {
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
  // A trace that began here has the request's id.
  if (record.trace != record.request_id) text("trace", record.trace);
  text("client", record.client);
  text("method", record.method);
  if (!record.method.empty()) text("scheme", record.tls ? "https" : "http");
  text("host", record.host);
  text("target", record.target.substr(0, max_target));
  if (record.port != 0)
    fmt::format_to(std::back_inserter(out), ",\"protocol\":\"{}\",\"port\":{}", record.protocol,
                   record.port);
  else
    fmt::format_to(std::back_inserter(out), ",\"status\":{}", record.status);
  fmt::format_to(std::back_inserter(out), ",\"ms\":{:.3f}", in_ms(record.took));
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
  text("ended_by", record.ended_by);
  text("error", record.error);
  out += "}\n";
}

}  // namespace

void append_access_line(std::string& out, const AccessRecord& record, AccessFormat format) {
  if (format == AccessFormat::clf)
    append_clf_line(out, record);
  else
    append_json_line(out, record);
}

Result<std::unique_ptr<AccessLog>> AccessLog::open(const std::string& where, AccessFormat format) {
  if (where == "off") return std::make_unique<AccessLog>(-1, false);
  if (where == "stdout") return std::make_unique<AccessLog>(STDOUT_FILENO, false, format);
  const int fd = ::open(where.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0)
    return Error(ErrorKind::invalid,
                 "setting proxy.access_log: cannot open " + where + ": " + std::strerror(errno));
  return std::make_unique<AccessLog>(fd, true, format);
}

AccessLog::AccessLog(int fd, bool owned, AccessFormat format)
    : fd_(fd), owned_(owned), format_(format) {
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
  if (sink_ != nullptr) sink_->write(record);
  if (fd_ < 0) return;
  thread_local std::string line;
  line.clear();
  append_access_line(line, record, format_);
  bool full = false;
  {
    const std::lock_guard lock(mutex_);
    if (pending_.size() + line.size() > max_pending) {
      ++dropped_;
      all_dropped_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    const bool below = pending_.size() < write_at;
    pending_ += line;
    full = below && pending_.size() >= write_at;
  }
  if (full) wake_.notify_one();
}

void AccessLog::append_loss() {
  if (format_ == AccessFormat::json) {
    batch_ += fmt::format("{{\"dropped_lines\":{}}}\n", told_);
    return;
  }
  const auto words = fmt::format("karreg-proxy: {} lines before this one were lost", told_);
  append_access_line(batch_, {.begun = std::chrono::system_clock::now(), .user_agent = words},
                     format_);
}

void AccessLog::write_batch() {
  // After a line that was cut off, the next one must not become a part of it.
  const bool mended = torn_ && !batch_.empty();
  if (mended) batch_.insert(0, "\n");
  std::string_view rest = batch_;
  int error = 0;
  while (!rest.empty() && error == 0) {
    const auto n = ::write(fd_, rest.data(), rest.size());
    if (n > 0)
      rest.remove_prefix(static_cast<std::size_t>(n));
    else if (n == 0 || errno != EINTR)
      error = n == 0 ? EIO : errno;
  }
  const auto written = batch_.size() - rest.size();
  if (written > 0) torn_ = batch_[written - 1] != '\n';
  if (error == 0) {
    if (failing_ && !batch_.empty()) {
      failing_ = false;
      log::info("the access log is written again", {log::field("lost_lines", dropped())});
    }
    return;
  }
  // Requests do not wait for the log: these lines are lost. The line that tells of others is the
  // last one, and those are still to be told.
  auto lost = static_cast<std::uint64_t>(std::ranges::count(rest, '\n'));
  if (mended && written == 0) --lost;
  if (told_ > 0) --lost;
  all_dropped_.fetch_add(lost, std::memory_order_relaxed);
  {
    const std::lock_guard lock(mutex_);
    dropped_ += lost + told_;
  }
  if (!std::exchange(failing_, true))
    log::error(
        "the access log cannot be written, its lines are lost: see that the disk has room, or that "
        "its reader reads",
        {log::field("why", std::strerror(error))});
}

void AccessLog::run() {
  for (;;) {
    bool last = false;
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, write_after, [&] { return stopping_ || pending_.size() >= write_at; });
      last = stopping_;
      batch_.swap(pending_);
      told_ = std::exchange(dropped_, 0);
    }
    if (told_ > 0) append_loss();
    write_batch();
    batch_.clear();
    if (last) return;
  }
}

}  // namespace karreg::proxy
