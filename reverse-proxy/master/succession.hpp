#pragma once
/// Which serving process serves, which one comes and which ones leave. Pure: news in, things to do
/// out; master.cpp does them.
///
/// A takeover never leaves an instance unprotected. The scheduler stops an instance that left the
/// routes as soon as no proxy reports requests in flight there, so the process that serves first
/// steps aside: it goes on serving, but reports under a name of its own, and the scheduler has been
/// told so. Only then does its successor load the routes, report under the proxy's name and serve;
/// and only when it does, the predecessor takes no new connections and ends with those it has.
///
///   coming:  start -> ready -> (predecessor is aside) -> told to serve -> serves
///   serving: -> asked to step aside -> aside -> told to leave -> leaves
///
/// Whatever goes wrong on the way ends the one that comes, and the one that serves goes on.

#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace karreg::proxy {

class Succession {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Process = int;  ///< counted from 1, never used twice

  enum class Do {
    start,       ///< the process, which says when it is ready
    serve,       ///< tell it
    step_aside,  ///< tell it
    come_back,   ///< tell it: report under the proxy's name again
    leave,       ///< tell it
    terminate,   ///< SIGTERM: it drains, or cuts when it drains already
    kill,        ///< SIGKILL
    check,       ///< whether the program, as it is on disk now, is fit to take over
    exec,        ///< become that program; it goes on with begin()
    warn,        ///< say `why`
    exit,        ///< with `code`
  };
  struct Action {
    Do what;
    Process process = 0;
    std::string why;
    int code = 0;
    bool operator==(const Action&) const = default;
  };
  using Actions = std::vector<Action>;

  /// What may take no longer.
  struct Times {
    std::chrono::milliseconds ready{60'000};
    std::chrono::milliseconds aside{30'000};
    std::chrono::milliseconds serves{120'000};
    std::chrono::milliseconds stop{60'000};
    std::chrono::milliseconds lived_well{5'000};     ///< who served for less failed at once
    std::chrono::milliseconds first_pause{100};      ///< before the next start then; doubles ...
    std::chrono::milliseconds longest_pause{5'000};  ///< ... up to this
  };

  explicit Succession(const Times& times) : times_(times) {}

  /// What there was before an exec: the next number, who serves, who leaves.
  void adopt(Process next, std::optional<Process> serving, std::set<Process> leaving);
  /// A process comes; to take over from the one that serves, if there is one.
  Actions begin(Time now);

  Actions ready(Process process, Time now);
  Actions is_aside(Process process, Time now);
  Actions stays(Process process, const std::string& why);
  Actions serves(Process process, Time now);
  /// @p code: of its exit, or 128 and the signal that ended it.
  Actions ended(Process process, int code, Time now);

  /// SIGHUP.
  Actions upgrade_wanted();
  /// The check has ended.
  Actions checked(int code);
  /// SIGTERM or SIGINT.
  Actions stop(Time now, std::chrono::milliseconds grace);

  /// When pass() has something to do.
  Time next() const;
  Actions pass(Time now);

  std::optional<Process> serving() const { return serving_; }
  const std::set<Process>& leaving() const { return leaving_; }
  Process next_process() const { return next_; }

 private:
  enum class Stage { starting, waits, loading };

  Action start(Time now);
  Actions let_serve(Time now);
  Actions successor_ended(int code, Time now);
  Actions one_ended_while_stopping(int code);
  void start_later(Time now);

  const Times times_;
  Process next_ = 1;
  std::optional<Process> serving_;
  bool aside_ = false;  ///< it reports under a name of its own
  Time serving_since_{};
  std::optional<Process> coming_;
  Stage stage_ = Stage::starting;
  Time coming_by_ = Time::max();
  std::set<Process> leaving_;
  bool ever_served_ = false;
  int failures_ = 0;  ///< in a row
  Time start_at_ = Time::max();
  bool checking_ = false;
  bool stopping_ = false;
  Time stop_by_ = Time::max();
  int exit_code_ = 0;
};

}  // namespace karreg::proxy
