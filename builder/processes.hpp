#pragma once
/// What runs beside the web process: workers, and commands that come at their times. One source
/// (the environment, a karreg.toml, clevercloud/cron.json, the Procfile) is taken as a whole: its
/// workers take the place of all workers of weaker sources, and so do its times.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "builder/overrides.hpp"
#include "common/error.hpp"
#include "common/wire/plan.hpp"

namespace karreg::builder {

inline constexpr std::size_t max_workers = 20;
inline constexpr std::size_t max_cron_entries = 50;
inline constexpr std::size_t max_process_name_bytes = 32;
/// Of one command: all those of a VM go to it in one message.
inline constexpr std::size_t max_process_command_bytes = 8192;

/// A worker, and who said so.
struct SaidWorker {
  std::string name;
  Given command;
};

/// A command with its times, and who said so.
struct SaidCron {
  wire::CronEntry entry;
  std::string origin;
};

/// The workers or the times of one source; @c source is its name for sentences.
template <class T>
struct SaidBy {
  std::string source;
  std::vector<T> all;
};

/// Adds @p worker to those of its source, without the blanks around its command. Error `invalid`, a
/// sentence without its place: a name that is none, a command that is blank or too long, too many.
Result<void> add_worker(std::vector<SaidWorker>& all, SaidWorker worker);

/// The same of a time, with single blanks between the fields of its schedule: a schedule that
/// cannot be read, one that is there twice (blanks and capitals make no other schedule).
Result<void> add_cron(std::vector<SaidCron>& all, SaidCron cron);

/// The workers `worker`, `worker-0` ... `worker-99` of CC_WORKER_COMMAND and CC_WORKER_COMMAND_0
/// ... _99 in @p given; blank ones are unset. Error `invalid` names the variable.
Result<std::vector<SaidWorker>> numbered_workers(const std::map<std::string, Given>& given);

/// Writes @p workers, the release command and @p cron into @p plan, each with a reason. Error
/// `invalid`: a bad CC_WORKER_RESTART, CC_WORKER_RESTART_DELAY or CC_RELEASE_COMMAND of @p
/// settings.
Result<void> plan_processes(const std::vector<SaidWorker>& workers,
                            const std::vector<SaidCron>& cron, const Overrides& settings,
                            wire::BuildPlan& plan);

/// "worker and worker_mail of Procfile": for a sentence.
std::string names_of(const SaidBy<SaidWorker>& workers);

}  // namespace karreg::builder
