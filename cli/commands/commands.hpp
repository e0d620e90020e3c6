#pragma once
/// The command tree: one function a command, each in a file of its own. A command's options live in
/// a struct that its callback holds; the callback only stores what to do in `session.action`.

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/session.hpp"

namespace karreg::cli {

void add_activity(CLI::App& app, Session& session);
void add_build(CLI::App& app, Session& session);
void add_cancel_deploy(CLI::App& app, Session& session);
void add_completion(CLI::App& app, Session& session);
void add_cron(CLI::App& app, Session& session);
void add_create(CLI::App& app, Session& session);
void add_certificate(CLI::App& app, Session& session);
void add_delete(CLI::App& app, Session& session);
void add_deploy(CLI::App& app, Session& session);
void add_doctor(CLI::App& app, Session& session);
void add_domain(CLI::App& app, Session& session);
void add_env(CLI::App& app, Session& session);
void add_images(CLI::App& app, Session& session);
void add_jobs(CLI::App& app, Session& session);
void add_link(CLI::App& app, Session& session);
void add_list(CLI::App& app, Session& session);
void add_login(CLI::App& app, Session& session);
void add_logout(CLI::App& app, Session& session);
void add_logs(CLI::App& app, Session& session);
void add_access_logs(CLI::App& app, Session& session);
void add_open(CLI::App& app, Session& session);
void add_reference(CLI::App& app, Session& session);
void add_restart(CLI::App& app, Session& session);
void add_rules(CLI::App& app, Session& session);
void add_run(CLI::App& app, Session& session);
void add_scale(CLI::App& app, Session& session);
void add_sleep(CLI::App& app, Session& session);
void add_status(CLI::App& app, Session& session);
void add_stop(CLI::App& app, Session& session);
void add_tcp_redirs(CLI::App& app, Session& session);
void add_unlink(CLI::App& app, Session& session);
void add_version(CLI::App& app, Session& session);

/// The whole tree.
void add_commands(CLI::App& app, Session& session);

/// --app and --alias.
void add_app_options(CLI::App& command, AppChoice& choice);
/// --format.
void add_format_option(CLI::App& command, Session& session);

/// When @p command is chosen, its action is @p run with the parsed @p options.
template <class Options>
void when_chosen(CLI::App& command, Session& session, std::shared_ptr<Options> options,
                 Result<int> (*run)(Session&, const Options&)) {
  command.callback([&session, run, options] {
    session.action = [&session, run, options] { return run(session, *options); };
  });
}

/// A command of @p group about one app, with --app, --alias and --format. @p options has a member
/// AppChoice choice.
template <class Options>
CLI::App* add_app_command(CLI::App& group, Session& session, const char* name, const char* text,
                          const std::shared_ptr<Options>& options,
                          Result<int> (*run)(Session&, const Options&)) {
  CLI::App* command = group.add_subcommand(name, text);
  add_app_options(*command, options->choice);
  add_format_option(*command, session);
  when_chosen(*command, session, options, run);
  return command;
}

}  // namespace karreg::cli
