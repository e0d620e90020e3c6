#include "cli/commands/commands.hpp"
#include "cli/times.hpp"

namespace karreg::cli {
namespace {

struct Options {
  AppChoice choice;
  std::string after;
};

std::string in_words(const App& app) {
  if (app.sleep_after_s == 0) return app.name + ": never sleeps.";
  return app.name + ": sleeps after " + span_text(app.sleep_after_s) +
         " without a request, and wakes with the next one.";
}

Result<int> sleep(Session& session, const Options& options) {
  std::int64_t after = 0;
  if (!options.after.empty() && options.after != "never") {
    auto span = parse_span(options.after);
    if (!span) return span.error();
    if (*span == 0)
      return Error(ErrorKind::invalid, "An app cannot sleep at once; `never` has it never sleep.");
    after = *span;
  }
  auto target = session.target(options.choice);
  if (!target) return target.error();
  auto app = session.app(*target);
  if (!app) return app.error();
  if (!options.after.empty()) {
    auto api = session.api();
    if (!api) return api.error();
    auto answer = (*api)->put(target->path(), {{"sleepAfter", after}});
    if (!answer) return answer.error();
    app = parse_app(*answer);
    if (!app) return app.error();
  }
  if (session.print_json(to_output(*app))) return 0;
  session.terminal().note(in_words(*app));
  return 0;
}

}  // namespace

void add_sleep(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  CLI::App* command = add_app_command(
      app, session, "sleep", "Let an app sleep while nobody asks for it, or say when it does",
      options, sleep);
  command
      ->add_option(
          "AFTER", options->after,
          "Time without a request, such as 30m, 2h or 3d, or never; without it the present "
          "setting is shown")
      ->type_name("");
}

}  // namespace karreg::cli
