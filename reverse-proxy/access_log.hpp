#pragma once
/// One JSON line per request.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "common/error.hpp"

namespace karreg::proxy {

/// AccessRecord::protocol of a connection of a TCP service.
inline constexpr std::string_view tcp_protocol = "tcp";
/// The same of the datagrams of one sender.
inline constexpr std::string_view udp_protocol = "udp";

/// What is told about a request, or a connection of a TCP service.
struct AccessRecord {
  std::chrono::system_clock::time_point begun;
  std::chrono::microseconds took{0};
  std::chrono::microseconds to_first_byte{0};  ///< of the application's answer; 0: none came
  std::string_view request_id = {};
  std::string_view trace = {};  ///< id of the trace that the application was told
  std::string_view client = {};
  std::string_view method = {};
  std::string_view host = {};
  std::string_view target = {};
  std::string_view user_agent = {};
  std::string_view referer = {};
  std::string_view protocol = {};  ///< "HTTP/1.1", tcp_protocol, udp_protocol
  std::uint16_t port = 0;          ///< of a TCP service
  std::string_view app = {};
  std::string_view instance = {};
  int status = 0;  ///< 499: the client left before the answer was complete; 0: there was no answer
  bool tls = false;  ///< the client came by https
  int attempts = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::string_view ended_by = {};  ///< who of a TCP connection said all first: client or instance
  std::string_view error = {};     ///< why it did not go well; empty: it did
};

enum class AccessFormat {
  json,
  clf,  ///< the Combined Log Format of httpd, which much reads; without instance, trace and error
};
/// Appends @p record as one line.
void append_access_line(std::string& out, const AccessRecord& record,
                        AccessFormat format = AccessFormat::json);

/// Who else is told of each request. Any thread.
class AccessSink {
 public:
  AccessSink() = default;
  AccessSink(const AccessSink&) = delete;
  AccessSink& operator=(const AccessSink&) = delete;
  virtual ~AccessSink() = default;
  virtual void write(const AccessRecord& record) = 0;
  /// Records that it had to drop since the start.
  virtual std::uint64_t dropped() const = 0;
};

/// Collects lines from all workers and writes them in batches on its own thread. What comes faster
/// than it can be written, and what a full disk or a closed reader does not take, is dropped and
/// counted in a line of its own.
class AccessLog {
 public:
  enum class Where { off, standard_output, file };
  /// "off", "stdout" or a file's path.
  static Result<std::unique_ptr<AccessLog>> open(const std::string& where,
                                                 AccessFormat format = AccessFormat::json);
  AccessLog(int fd, bool owned, AccessFormat format = AccessFormat::json);
  ~AccessLog();
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  /// From now on @p sink is told, too; it outlives this, or is taken away by nullptr. Not while
  /// requests are served.
  void also_tell(AccessSink* sink) { sink_ = sink; }
  /// Whether anybody is told.
  bool enabled() const { return fd_ >= 0 || sink_ != nullptr; }
  void write(const AccessRecord& record);
  /// Lines that were dropped since the start. Any thread.
  std::uint64_t dropped() const { return all_dropped_.load(std::memory_order_relaxed); }
  /// The same of who else is told.
  std::uint64_t dropped_by_sink() const { return sink_ == nullptr ? 0 : sink_->dropped(); }

 private:
  void run();
  void write_batch();
  /// Tells of told_ lines.
  void append_loss();

  int fd_;
  bool owned_;
  const AccessFormat format_;
  AccessSink* sink_ = nullptr;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::string pending_;
  std::uint64_t dropped_ = 0;  ///< not told in the log yet
  std::atomic<std::uint64_t> all_dropped_{0};
  bool stopping_ = false;

  // Of the writing thread.
  std::string batch_;
  std::uint64_t told_ = 0;  ///< dropped lines that the batch tells
  bool torn_ = false;       ///< the last line that was written has no end
  bool failing_ = false;
  std::thread thread_;
};

}  // namespace karreg::proxy
