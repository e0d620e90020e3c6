#pragma once
/// The sockets of TCP services that the master holds, and those for datagrams to the same ports:
/// opened when a serving process says that its routes need them, only within the range that the
/// operator gave, handed over its line, and closed when nobody needs them any more
/// (port_wishes.hpp).

#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/descriptor.hpp"
#include "common/port_range.hpp"
#include "reverse-proxy/master/port_wishes.hpp"

namespace karreg::proxy {

class TcpPorts {
 public:
  using Process = PortWishes::Process;
  using Time = std::chrono::steady_clock::time_point;
  /// Tells @p process something (line.hpp), with open descriptors; false: it did not hear.
  using Tell = std::function<bool(Process process, const std::string& message,
                                  std::span<const int> descriptors)>;

  /// @p address: where ports are opened; empty: nowhere. @p sockets: for each port and kind, each
  /// with a queue of its own.
  TcpPorts(std::string address, PortRange allowed, int sockets, Tell tell);

  /// @p process needs the ports in @p list, "4000,4001", and no others any more.
  void needs(Process process, std::string_view list, Time now);
  /// @p process has taken what it was told last, and may be told more.
  void taken(Process process, Time now);
  /// @p process has ended, or another one serves in its place.
  void gone(Process process);
  /// Closes all, for good.
  void close();

  /// When pass() has something to do: ports that could not be opened are tried again.
  Time next() const { return try_again_at_; }
  void pass(Time now);

  /// All there is as text, with the numbers of the descriptors; they stay open in what this process
  /// becomes by exec if @p keep was said.
  std::string state() const;
  void keep_on_exec(bool keep) const;
  /// Takes over what state() told before an exec. Throws nlohmann::json::exception for anything
  /// else.
  void adopt(const std::string& state, Time now);

 private:
  struct Recipient {
    PortWishes::Ports given;
    std::map<std::uint16_t, std::string> told_why;  ///< it has not got them
    bool busy = false;                              ///< it has not taken the last ones
  };
  void reconcile(Time now);
  /// Why it is not open; empty: it is.
  std::string open(std::uint16_t port);
  /// Opens what there are fewer of than workers now.
  void add_missing(std::uint16_t port);
  void serve(Process process, Time now);

  const std::string address_;
  const PortRange allowed_;
  const int sockets_;
  const Tell tell_;
  PortWishes wishes_;
  std::map<std::uint16_t, std::vector<Descriptor>> open_;
  std::map<std::uint16_t, std::string> refused_;  ///< and why
  std::map<Process, Recipient> recipients_;
  Time try_again_at_ = Time::max();
  bool closed_ = false;
};

}  // namespace karreg::proxy
