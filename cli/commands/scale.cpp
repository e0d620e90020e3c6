#include "cli/commands/commands.hpp"
#include "cli/scaling.hpp"

namespace karreg::cli {
namespace {

struct Options {
  AppChoice choice;
  ScaleWish wish;
};

Result<int> scale(Session& session, const Options& options) {
  if (auto good = check_wish(options.wish); !good) return good.error();
  auto target = session.target(options.choice);
  if (!target) return target.error();
  auto app = session.app(*target);
  if (!app) return app.error();
  auto api = session.api();
  if (!api) return api.error();
  auto answer = (*api)->put(target->path(), scale_body(options.wish, *app));
  if (!answer) return answer.error();
  auto changed = parse_app(*answer);
  if (!changed) return changed.error();
  if (session.print_json(to_output(*changed))) return 0;
  session.terminal().note(scale_text(*changed));
  return 0;
}

}  // namespace

void add_scale(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  ScaleWish& wish = options->wish;
  CLI::App* command = app.add_subcommand("scale", "Change number and size of instances");
  add_app_options(*command, options->choice);
  const CLI::Range instances(1, 40);
  command->add_option("--instances", wish.instances, "Number of instances, 1 to 40")
      ->check(instances)
      ->type_name("NUMBER");
  command->add_option("--min-instances", wish.min_instances, "At least")
      ->check(instances)
      ->type_name("NUMBER");
  command->add_option("--max-instances", wish.max_instances, "At most")
      ->check(instances)
      ->type_name("NUMBER");
  command
      ->add_option("--flavor", wish.flavor,
                   "Size of instances: pico, nano, XS, S, M, L, XL, 2XL or 3XL")
      ->type_name("FLAVOR");
  command->add_option("--min-flavor", wish.min_flavor, "At least")->type_name("FLAVOR");
  command->add_option("--max-flavor", wish.max_flavor, "At most")->type_name("FLAVOR");
  command
      ->add_option("--build-flavor", wish.build_flavor,
                   "Size of the build VM, or disabled for that of the instances")
      ->type_name("FLAVOR");
  add_format_option(*command, session);
  when_chosen(*command, session, options, scale);
}

}  // namespace karreg::cli
