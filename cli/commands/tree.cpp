#include "cli/commands/commands.hpp"

namespace karreg::cli {

void add_app_options(CLI::App& command, AppChoice& choice) {
  command.add_option("--app", choice.app, "The app, by id or name (default: the linked one)")
      ->type_name("APP");
  command
      .add_option("-a,--alias", choice.alias, "The linked app of this alias (see `karreg link`)")
      ->type_name("ALIAS");
}

void add_format_option(CLI::App& command, Session& session) {
  command
      .add_option_function<std::string>(
          "-F,--format",
          [&session](const std::string& format) {
            if (format != "human" && format != "json")
              throw CLI::ValidationError("--format", "`" + format + "` is neither human nor json");
            session.format = format;
          },
          "Output: human (default) or json")
      ->type_name("FORMAT");
}

void add_commands(CLI::App& app, Session& session) {
  app.require_subcommand(1);
  add_login(app, session);
  add_logout(app, session);
  add_create(app, session);
  add_list(app, session);
  add_delete(app, session);
  add_link(app, session);
  add_unlink(app, session);
  add_build(app, session);
  add_deploy(app, session);
  add_status(app, session);
  add_activity(app, session);
  add_logs(app, session);
  add_access_logs(app, session);
  add_run(app, session);
  add_jobs(app, session);
  add_cron(app, session);
  add_env(app, session);
  add_domain(app, session);
  add_tcp_redirs(app, session);
  add_rules(app, session);
  add_certificate(app, session);
  add_images(app, session);
  add_scale(app, session);
  add_sleep(app, session);
  add_restart(app, session);
  add_stop(app, session);
  add_cancel_deploy(app, session);
  add_open(app, session);
  add_doctor(app, session);
  add_completion(app, session);
  add_reference(app, session);
  add_version(app, session);
}

}  // namespace karreg::cli
