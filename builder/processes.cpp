#include "builder/processes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "builder/shell_line.hpp"
#include "common/cron.hpp"
#include "common/text.hpp"

namespace karreg::builder {
namespace {

constexpr std::string_view worker_variable = "CC_WORKER_COMMAND";
constexpr int last_worker_number = 99;
constexpr int max_restart_delay_s = 3600;

bool is_process_name(std::string_view name) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  };
  return !name.empty() && name.size() <= max_process_name_bytes && std::ranges::all_of(name, good);
}

Result<void> check_command(const std::string& what, const std::string& command) {
  if (command.empty()) return Error(ErrorKind::invalid, what + " has no command.");
  if (command.size() > max_process_command_bytes)
    return Error(
        ErrorKind::invalid,
        fmt::format("the command of {} has {} bytes, and may have {}. Put it into a script "
                    "of the repository.",
                    what, command.size(), max_process_command_bytes));
  return ok();
}

/// @p schedule with one blank between its fields, so that it is one line and spelled in one way.
std::string with_single_blanks(std::string_view schedule) {
  std::string line;
  for (const std::string_view word : text::words(schedule))
    line += (line.empty() ? "" : " ") + std::string(word);
  return line;
}

/// The number of "CC_WORKER_COMMAND_7": 7; nothing for what is not written so.
std::optional<int> number_of(std::string_view variable) {
  variable.remove_prefix(worker_variable.size());
  if (!variable.starts_with('_')) return std::nullopt;
  variable.remove_prefix(1);
  int number = -1;
  const auto [end, error] =
      std::from_chars(variable.data(), variable.data() + variable.size(), number);
  if (error != std::errc() || number < 0 || number > last_worker_number ||
      variable != std::to_string(number))
    return std::nullopt;
  return number;
}

/// How a worker that ended is started again.
struct Restart {
  std::string when = "on-failure";
  int delay_s = 1;
};

Result<Restart> restart_of(const Overrides& settings) {
  Restart restart;
  if (const auto given = settings.find("CC_WORKER_RESTART")) {
    if (given->value != "always" && given->value != "on-failure" && given->value != "no")
      return Error(ErrorKind::invalid,
                   given->origin + "=" + given->value +
                       ": a worker that ended is started again `always`, `on-failure` or `no` (not "
                       "at all).");
    restart.when = given->value;
  }
  if (const auto given = settings.find("CC_WORKER_RESTART_DELAY")) {
    const std::string& text = given->value;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), restart.delay_s);
    if (error != std::errc() || end != text.data() + text.size() || restart.delay_s < 0 ||
        restart.delay_s > max_restart_delay_s)
      return Error(
          ErrorKind::invalid,
          fmt::format("{}={}: the delay before a worker is started again is a whole number "
                      "of seconds, 0 to {}.",
                      given->origin, text, max_restart_delay_s));
  }
  return restart;
}

std::string told(const Restart& restart) {
  if (restart.when == "no") return "A worker that ended is not started again";
  return fmt::format("A worker that {} is started again after {} s",
                     restart.when == "always" ? "ended" : "failed", restart.delay_s);
}

}  // namespace

Result<void> add_worker(std::vector<SaidWorker>& all, SaidWorker worker) {
  if (!is_process_name(worker.name))
    return Error(ErrorKind::invalid,
                 fmt::format("`{}` is no name of a worker: letters, digits, - and _ make one, at "
                             "most {}.",
                             worker.name, max_process_name_bytes));
  worker.command.value = trimmed(worker.command.value);
  if (auto good = check_command("the worker " + worker.name, worker.command.value); !good)
    return good.error();
  if (all.size() == max_workers)
    return Error(ErrorKind::invalid, fmt::format("`{}` is one worker too many: an app may have {}.",
                                                 worker.name, max_workers));
  all.push_back(std::move(worker));
  return ok();
}

Result<void> add_cron(std::vector<SaidCron>& all, SaidCron cron) {
  if (auto read = CronSchedule::parse(cron.entry.schedule); !read)
    return Error(ErrorKind::invalid,
                 "the schedule cannot be read: " + read.error().message() + ".");
  cron.entry.schedule = with_single_blanks(cron.entry.schedule);
  cron.entry.command = trimmed(cron.entry.command);
  if (auto good = check_command("this entry of cron", cron.entry.command); !good)
    return good.error();
  const bool twice = std::ranges::any_of(all, [&](const SaidCron& other) {
    return text::iequals(other.entry.schedule, cron.entry.schedule) &&
           other.entry.command == cron.entry.command;
  });
  if (twice)
    return Error(ErrorKind::invalid, fmt::format("`{} {}` is there twice. Remove one of the two.",
                                                 cron.entry.schedule, cron.entry.command));
  if (all.size() == max_cron_entries)
    return Error(ErrorKind::invalid,
                 fmt::format("this is one entry too many: cron may have {}.", max_cron_entries));
  all.push_back(std::move(cron));
  return ok();
}

Result<std::vector<SaidWorker>> numbered_workers(const std::map<std::string, Given>& given) {
  std::map<int, SaidWorker> in_order;  // 2 before 10
  for (const auto& [variable, said] : given) {
    if (!variable.starts_with(worker_variable) || trimmed(said.value).empty()) continue;
    if (variable == worker_variable) {
      in_order[-1] = {"worker", said};
    } else if (const auto number = number_of(variable)) {
      in_order[*number] = {fmt::format("worker-{}", *number), said};
    } else {
      return Error(ErrorKind::invalid,
                   fmt::format("{} is no worker: they are {} and {}_0 to _{}.", said.origin,
                               worker_variable, worker_variable, last_worker_number));
    }
  }
  std::vector<SaidWorker> workers;
  for (auto& [number, worker] : in_order) {
    const std::string origin = worker.command.origin;
    if (auto added = add_worker(workers, std::move(worker)); !added)
      return Error(ErrorKind::invalid, origin + ": " + added.error().message());
  }
  return workers;
}

Result<void> plan_processes(const std::vector<SaidWorker>& workers,
                            const std::vector<SaidCron>& cron, const Overrides& settings,
                            wire::BuildPlan& plan) {
  auto restart = restart_of(settings);
  if (!restart) return restart.error();
  for (const SaidWorker& worker : workers) {
    plan.workers.push_back(
        {worker.name, worker.command.value, restart->when, std::int64_t{restart->delay_s} * 1000});
    plan.reasons.push_back(fmt::format("Worker {}: {} ({}).", worker.name, worker.command.value,
                                       worker.command.origin));
  }
  if (!workers.empty()) {
    std::string origins;
    for (const char* variable : {"CC_WORKER_RESTART", "CC_WORKER_RESTART_DELAY"})
      if (const auto given = settings.find(variable))
        origins += (origins.empty() ? "" : ", ") + given->origin;
    plan.reasons.push_back(told(*restart) + (origins.empty() ? "." : " (" + origins + ")."));
  }
  if (const auto release = settings.find("CC_RELEASE_COMMAND")) {
    if (auto good = check_command("the release", release->value); !good)
      return Error(ErrorKind::invalid, release->origin + ": " + good.error().message());
    plan.release = release->value;
    plan.reasons.push_back("Once a deployment, before its instances start: " + release->value +
                           " (" + release->origin + ").");
  }
  for (const SaidCron& each : cron) {
    plan.cron.push_back(each.entry);
    plan.reasons.push_back(fmt::format("Cron: {} at {} UTC ({}).", each.entry.command,
                                       each.entry.schedule, each.origin));
  }
  return ok();
}

std::string names_of(const SaidBy<SaidWorker>& workers) {
  std::string names;
  for (std::size_t i = 0; i < workers.all.size(); ++i)
    names += (i == 0 ? "" : i + 1 == workers.all.size() ? " and " : ", ") + workers.all[i].name;
  return names + " of " + workers.source;
}

}  // namespace karreg::builder
