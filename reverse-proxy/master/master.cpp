#include "reverse-proxy/master/master.hpp"

#include <poll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>

#include "common/json.hpp"
#include "common/log.hpp"
#include "common/open_files.hpp"
#include "reverse-proxy/listeners.hpp"
#include "reverse-proxy/master/child.hpp"
#include "reverse-proxy/master/inheritance.hpp"
#include "reverse-proxy/master/line.hpp"
#include "reverse-proxy/master/succession.hpp"
#include "reverse-proxy/master/tcp_ports.hpp"

namespace karreg::proxy {

namespace {
using nlohmann::json;
using std::chrono::steady_clock;
using Do = Succession::Do;
using Process = Succession::Process;

/// What a master leaves for the one that it becomes.
constexpr const char* state_variable = "KARREG_PROXY_MASTER_STATE";
/// This program, also when another one lies on disk by now.
constexpr const char* this_program = "/proc/self/exe";

/// The sockets of one setting.
struct Sockets {
  std::string address;
  std::vector<Descriptor> open;

  std::vector<int> numbers() const {
    std::vector<int> all;
    all.reserve(open.size());
    for (const auto& socket : open) all.push_back(socket.get());
    return all;
  }
};

/// Of each port of a TCP service: on more cores than that, some have none of it.
constexpr int most_sockets_of_a_port = 64;

int exit_code_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// A file without a name that holds @p text, for the program that this process becomes. -1: the
/// system gives none.
int file_of(const std::string& text) {
  const int fd = ::memfd_create("karreg-proxy", 0);
  if (fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()))
    return fd;
  if (fd >= 0) ::close(fd);
  return -1;
}

std::string text_of(const Descriptor& file) {
  std::string text(static_cast<std::size_t>(std::max<off_t>(::lseek(file.get(), 0, SEEK_END), 0)),
                   '\0');
  const auto size = ::pread(file.get(), text.data(), text.size(), 0);
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  return text;
}

class Master {
 public:
  Master(const Settings& settings, std::vector<std::string> command)
      : settings_(settings),
        command_(std::move(command)),
        tcp_ports_(
            settings.tcp_listen, settings.tcp_ports,
            std::min(settings.options.workers, most_sockets_of_a_port),
            [this](Process process, const std::string& message, std::span<const int> descriptors) {
              return tell(process, message, descriptors);
            }) {}

  Result<int> run();

 private:
  Result<void> watch_signals();
  void adopt(const std::string& state);
  /// @p tcp_state: the file with that of TCP services.
  std::string state(int tcp_state) const;
  Result<void> open_sockets();
  Result<Sockets> open_missing(const std::string& setting, const Endpoint& at, int count) const;
  std::vector<std::string> command(std::vector<std::string> words) const;

  void wait_for_news();
  void hear(Process process, Child& child);
  void hear_signals();
  void reap();

  void carry_out(const Succession::Actions& actions);
  void carry_out(const Succession::Action& action);
  void start(Process process);
  void check();
  void become_new_program();
  bool tell(Process process, std::string_view message, std::span<const int> descriptors = {});
  void signal(Process process, int number);

  const Settings& settings_;
  const std::vector<std::string> command_;
  Succession succession_{Succession::Times{}};
  std::map<std::string, Sockets> sockets_;  ///< by setting
  TcpPorts tcp_ports_;
  std::map<Process, Child> children_;
  pid_t checker_ = 0;
  Descriptor signals_;
  std::optional<int> exit_code_;
};

Result<void> Master::watch_signals() {
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) ::sigaddset(&set, number);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  signals_.reset(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!signals_)
    return Error(ErrorKind::internal, std::string("cannot watch signals: ") + std::strerror(errno));
  return ok();
}

std::string Master::state(int tcp_state) const {
  json all{{"next", succession_.next_process()}, {"leaving", succession_.leaving()}};
  if (succession_.serving()) all["serving"] = *succession_.serving();
  for (const auto& [process, child] : children_)
    all["children"].push_back(
        {{"process", process}, {"pid", child.pid}, {"line", child.line.get()}});
  for (const auto& [setting, sockets] : sockets_)
    all["sockets"].push_back(
        {{"setting", setting}, {"address", sockets.address}, {"open", sockets.numbers()}});
  all["tcp"] = tcp_state;
  return all.dump();
}

void Master::adopt(const std::string& state) {
  const auto all = json::parse(state);
  for (const auto& child : all.value("children", json::array())) {
    auto& adopted = children_[child.at("process").get<Process>()];
    adopted.pid = child.at("pid").get<pid_t>();
    adopted.line.reset(child.at("line").get<int>());
    keep_on_exec(adopted.line.get(), false);
  }
  for (const auto& entry : all.value("sockets", json::array())) {
    auto& sockets = sockets_[entry.at("setting").get<std::string>()];
    sockets.address = entry.at("address").get<std::string>();
    for (const int fd : entry.at("open")) {
      sockets.open.emplace_back(fd);
      keep_on_exec(fd, false);
    }
  }
  // More than fits into a variable.
  if (const int fd = all.value("tcp", -1); fd >= 0)
    tcp_ports_.adopt(text_of(Descriptor(fd)), steady_clock::now());
  std::optional<Process> serving;
  if (all.contains("serving")) serving = all.at("serving").get<Process>();
  succession_.adopt(all.at("next").get<Process>(), serving,
                    all.at("leaving").get<std::set<Process>>());
}

/// What there is not yet of the @p count sockets of @p setting.
Result<Sockets> Master::open_missing(const std::string& setting, const Endpoint& at,
                                     int count) const {
  Sockets opened{fmt::format("{}:{}", at.host, at.port), {}};
  auto where = at;
  if (const auto old = sockets_.find(setting);
      old != sockets_.end() && old->second.address == opened.address) {
    count -= static_cast<int>(old->second.open.size());
    where.port = port_of(old->second.open.front());
  }
  auto more = open_listeners(where, count, setting != "proxy.admin_listen", setting);
  if (!more) return more.error();
  opened.open = std::move(*more);
  return opened;
}

Result<void> Master::open_sockets() {
  const auto& options = settings_.options;
  std::map<std::string, Sockets> wanted;
  auto open = [&](const std::string& setting, const std::optional<Endpoint>& at,
                  int count) -> Result<void> {
    if (!at) return ok();
    auto opened = open_missing(setting, *at, count);
    if (!opened) return opened.error();
    wanted[setting] = std::move(*opened);
    return ok();
  };
  auto opened = open("proxy.listen", options.listen, options.workers);
  if (opened) opened = open("proxy.tls_listen", options.tls_listen, options.workers);
  if (opened) opened = open("proxy.admin_listen", settings_.admin_listen, 1);
  if (!opened) return opened;
  // All are there. Those at the same address stay, however few workers there are now: connections
  // wait in them.
  for (auto& [setting, sockets] : wanted) {
    auto& old = sockets_[setting];
    if (old.address != sockets.address) continue;
    std::ranges::move(sockets.open, std::back_inserter(old.open));
    sockets.open = std::move(old.open);
  }
  sockets_ = std::move(wanted);
  return ok();
}

std::vector<std::string> Master::command(std::vector<std::string> words) const {
  words.insert(words.begin(), command_.front());
  words.insert(words.end(), command_.begin() + 1, command_.end());
  return words;
}

void Master::start(Process process) {
  auto give_up = [&](const Error& error) {
    log::error("cannot start a serving process", {log::field("why", error.message())});
    carry_out(succession_.ended(process, exit_code(error.kind()), steady_clock::now()));
  };
  if (const auto opened = open_sockets(); !opened) return give_up(opened.error());
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return give_up(Error(ErrorKind::internal, std::strerror(errno)));
  Descriptor ours(ends[0]);
  const Descriptor theirs(ends[1]);
  const Inheritance inheritance{theirs.get(), process, sockets_["proxy.listen"].numbers(),
                                sockets_["proxy.tls_listen"].numbers(),
                                sockets_["proxy.admin_listen"].numbers().at(0)};
  auto inherited = inheritance.plain;
  inherited.insert(inherited.end(), inheritance.tls.begin(), inheritance.tls.end());
  inherited.push_back(inheritance.admin);
  inherited.push_back(inheritance.line);
  const auto pid = start_process(
      this_program, command({"serve", "--inherited", to_text(inheritance)}), inherited);
  if (!pid) return give_up(pid.error());
  children_[process] = {*pid, std::move(ours)};
  log::info("serving process started", {log::field("number", process), log::field("pid", *pid)});
}

void Master::check() {
  const auto pid = start_process(command_.front(), command({"check"}), {});
  if (pid) {
    checker_ = *pid;
    return;
  }
  log::error(pid.error().message());
  carry_out(succession_.checked(exit_code(ErrorKind::internal)));
}

void Master::become_new_program() {
  auto keep_all = [this](bool keep) {
    for (const auto& [setting, sockets] : sockets_)
      for (const int fd : sockets.numbers()) keep_on_exec(fd, keep);
    for (const auto& [process, child] : children_)
      if (child.line) keep_on_exec(child.line.get(), keep);
  };
  const Descriptor tcp_state(file_of(tcp_ports_.state()));
  if (!tcp_state)
    return log::error("no upgrade",
                      {log::field("why", "the system gives no memory for its state")});
  log::info("becoming the program that lies on disk", {log::field("program", command_.front())});
  tcp_ports_.keep_on_exec(true);
  keep_all(true);
  ::setenv(state_variable, state(tcp_state.get()).c_str(), 1);
  const auto error = become(command_.front(), command_);
  ::unsetenv(state_variable);
  keep_all(false);
  tcp_ports_.keep_on_exec(false);
  log::error("no upgrade", {log::field("why", error.message())});
}

bool Master::tell(Process process, std::string_view message, std::span<const int> descriptors) {
  const auto child = children_.find(process);
  if (child == children_.end()) return false;
  if (send_message(child->second.line, message, descriptors)) return true;
  log::error("a serving process does not listen to the master",
             {log::field("number", process), log::field("told", message.substr(0, 80))});
  return false;
}

void Master::signal(Process process, int number) {
  const auto child = children_.find(process);
  if (child != children_.end()) ::kill(child->second.pid, number);
}

void Master::carry_out(const Succession::Actions& actions) {
  for (const auto& action : actions) carry_out(action);
}

void Master::carry_out(const Succession::Action& action) {
  switch (action.what) {
    case Do::start:
      return start(action.process);
    case Do::serve:
      return (void)tell(action.process, line::serve);
    case Do::step_aside:
      return (void)tell(action.process, line::step_aside);
    case Do::come_back:
      return (void)tell(action.process, line::come_back);
    case Do::leave:
      log::info("a new process serves", {log::field("leaves", action.process)});
      tcp_ports_.gone(action.process);
      return (void)tell(action.process, line::leave);
    case Do::terminate:
      return signal(action.process, SIGTERM);
    case Do::kill:
      return signal(action.process, SIGKILL);
    case Do::check:
      return check();
    case Do::exec:
      return become_new_program();
    case Do::warn:
      return log::warn(action.why);
    case Do::exit:
      exit_code_ = action.code;
  }
}

void Master::hear(Process process, Child& child) {
  const auto now = steady_clock::now();
  for (;;) {
    bool over = false;
    const auto message = take_message(child.line, over);
    if (over) child.line.reset();
    if (message.empty()) return;
    const auto space = std::min(message.find(' '), message.size());
    const std::string_view word(message.data(), space);
    const auto sentence = message.substr(std::min(space + 1, message.size()));
    if (word == line::ready)
      carry_out(succession_.ready(process, now));
    else if (word == line::serves)
      carry_out(succession_.serves(process, now));
    else if (word == line::aside)
      carry_out(succession_.is_aside(process, now));
    else if (word == line::stays)
      carry_out(succession_.stays(process, sentence));
    else if (word == line::tcp_ports)
      tcp_ports_.needs(process, sentence, now);
    else if (word == line::tcp_taken)
      tcp_ports_.taken(process, now);
  }
}

void Master::reap() {
  int status = 0;
  for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    const auto code = exit_code_of(status);
    if (pid == checker_) {
      checker_ = 0;
      carry_out(succession_.checked(code));
      continue;
    }
    const auto child =
        std::ranges::find_if(children_, [&](const auto& entry) { return entry.second.pid == pid; });
    if (child == children_.end()) continue;
    const auto process = child->first;
    // What it said before its end comes before its end.
    hear(process, child->second);
    children_.erase(process);
    tcp_ports_.gone(process);
    log::info("serving process ended",
              {log::field("number", process), log::field("pid", pid), log::field("code", code)});
    carry_out(succession_.ended(process, code, steady_clock::now()));
  }
}

void Master::hear_signals() {
  signalfd_siginfo came{};
  while (::read(signals_.get(), &came, sizeof came) == sizeof came) {
    switch (static_cast<int>(came.ssi_signo)) {
      case SIGCHLD:
        reap();
        break;
      case SIGHUP:
        carry_out(succession_.upgrade_wanted());
        break;
      default:
        log::info("stopping", {log::field("signal", came.ssi_signo)});
        // First of all, so that nobody connects who would wait for nothing.
        sockets_.clear();
        tcp_ports_.close();
        carry_out(succession_.stop(steady_clock::now(), settings_.drain_time));
    }
  }
}

void Master::wait_for_news() {
  std::vector<pollfd> watched{{signals_.get(), POLLIN, 0}};
  std::vector<Process> whose;
  for (const auto& [process, child] : children_) {
    if (!child.line) continue;
    watched.push_back({child.line.get(), POLLIN, 0});
    whose.push_back(process);
  }
  int patience = -1;
  if (const auto next = std::min(succession_.next(), tcp_ports_.next());
      next != Succession::Time::max()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - steady_clock::now());
    patience = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 3'600'000));
  }
  (void)::poll(watched.data(), watched.size(), patience);
  for (std::size_t i = 0; i < whose.size(); ++i) {
    const auto child = children_.find(whose[i]);
    if (watched[i + 1].revents != 0 && child != children_.end()) hear(whose[i], child->second);
  }
  if (watched.front().revents != 0) hear_signals();
  carry_out(succession_.pass(steady_clock::now()));
  tcp_ports_.pass(steady_clock::now());
}

Result<int> Master::run() {
  auto watching = watch_signals();
  if (!watching) return watching.error();
  if (!settings_.tcp_listen.empty())
    (void)possible_connections(settings_.tcp_ports.size(),
                               static_cast<std::size_t>(settings_.options.workers));
  if (const char* state = std::getenv(state_variable); state != nullptr) {
    const std::string text = state;
    ::unsetenv(state_variable);
    adopt(text);
  }
  carry_out(succession_.begin(steady_clock::now()));
  // Those that ended while the program changed told nobody.
  reap();
  while (!exit_code_) wait_for_news();
  return *exit_code_;
}

}  // namespace

Result<int> run_master(const Settings& settings, std::vector<std::string> command) {
  return Master(settings, std::move(command)).run();
}

}  // namespace karreg::proxy
