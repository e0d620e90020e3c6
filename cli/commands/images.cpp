#include "cli/commands/commands.hpp"
#include "cli/roll.hpp"
#include "cli/times.hpp"

namespace karreg::cli {
namespace {

struct Options {
  std::string org;
  std::string id;  ///< of a roll; empty: the newest
  std::vector<std::string> apps;
  int wave = 0;  ///< 0: as many as the platform thinks
  bool follow = false;
};

/// Where the API keeps the images of an owner.
Result<std::string> images_of(const Api& api, const std::string& org) {
  if (org.empty()) return std::string("/v2/self/images");
  auto owner = find_owner(api, org);
  if (!owner) return owner.error();
  return "/v2/organisations/" + *owner + "/images";
}

/// The answers for one owner, or for all organisations of the user.
Result<Json> all_outdated(const Api& api, const std::string& org) {
  std::vector<std::string> owners;
  if (!org.empty()) {
    auto owner = find_owner(api, org);
    if (!owner) return owner.error();
    owners.push_back(*owner);
  } else {
    auto answer = api.get("/v2/summary");
    if (!answer) return answer.error();
    auto summary = parse_summary(*answer);
    if (!summary) return summary.error();
    for (const auto& organisation : summary->organisations) owners.push_back(organisation.id);
  }
  Json all = Json::array();
  for (const auto& owner : owners) {
    auto found = api.get("/v2/organisations/" + owner + "/images/outdated");
    if (!found) return found.error();
    if (!found->is_array()) return *found;
    for (Json& each : *found) all.push_back(std::move(each));
  }
  return all;
}

Result<int> outdated(Session& session, const Options& options) {
  auto api = session.api();
  if (!api) return api.error();
  auto answer = all_outdated(**api, options.org);
  if (!answer) return answer.error();
  auto apps = parse_outdated(*answer);
  if (!apps) return apps.error();
  const int code = apps->empty() ? 0 : outdated_exit;
  if (session.print_json(*answer)) return code;
  for (const auto& app : *apps)
    for (const auto& line : rendered(app)) session.terminal().print(line);
  session.terminal().note(apps->empty()
                              ? "Every app runs on the present image of its runtime."
                              : "`karreg images roll` brings them onto the newer images.");
  return code;
}

/// The owner of the apps that are named, and their ids.
struct Chosen {
  std::string owner;
  std::vector<std::string> ids;
};

Result<Chosen> choose(Session& session, const Options& options) {
  Chosen chosen;
  for (const auto& name : options.apps) {
    auto target = session.target({name, ""});
    if (!target) return target.error();
    if (!chosen.owner.empty() && chosen.owner != target->owner)
      return Error(ErrorKind::invalid,
                   "A roll is of one owner, and these apps are of several: begin one for each.");
    chosen.owner = target->owner;
    chosen.ids.push_back(target->id);
  }
  return chosen;
}

void show(Session& session, const Roll& roll) {
  Terminal& terminal = session.terminal();
  const auto style = roll.state == "done"      ? Style::green
                     : roll.state == "running" ? Style::yellow
                                               : Style::red;
  terminal.print("Roll " + roll.id + ": " + terminal.styled(harmless(roll.state), style) + ", " +
                 extent(roll) + ", begun " + readable_time(roll.requested_at) + " by " +
                 harmless(roll.author));
  if (!roll.message.empty()) terminal.print("why it ended: " + harmless(roll.message));
  Table table({"WAVE", "APP", "STATE", "MESSAGE"});
  for (const auto& app : roll.apps)
    table.row(
        {std::to_string(app.wave), harmless(app.name), harmless(app.state), harmless(app.message)});
  table.print(terminal);
}

/// The roll that the API has answered, for people or as JSON. The exit code.
Result<int> conclude(Session& session, const Json& answer) {
  auto roll = parse_roll(answer);
  if (!roll) return roll.error();
  if (!session.print_json(answer)) show(session, *roll);
  return exit_code_of(*roll);
}

Result<int> follow(Session& session, const std::string& path) {
  auto last = follow_roll(session, path);
  if (!last) return last.error();
  return conclude(session, *last);
}

Result<int> roll(Session& session, const Options& options) {
  if (!options.org.empty() && !options.apps.empty())
    return Error(ErrorKind::invalid, "Give --org or --app, not both: an app tells its owner.");
  auto api = session.api();
  if (!api) return api.error();
  auto chosen = choose(session, options);
  if (!chosen) return chosen.error();
  auto images = chosen->owner.empty() ? images_of(**api, options.org)
                                      : "/v2/organisations/" + chosen->owner + "/images";
  if (!images) return images.error();
  Json body = Json::object();
  if (!chosen->ids.empty()) body["apps"] = chosen->ids;
  if (options.wave > 0) body["wave"] = options.wave;
  auto answer = (*api)->post(*images + "/rolls", body);
  if (!answer) return answer.error();
  auto begun = parse_roll(*answer);
  if (!begun) return begun.error();
  session.terminal().note("Roll " + begun->id + ": " + extent(*begun) + ".");
  if (options.follow) return follow(session, *images + "/rolls/" + begun->id);
  if (!session.print_json(*answer)) session.terminal().print(begun->id);
  return 0;
}

Result<int> rolls(Session& session, const Options& options) {
  auto api = session.api();
  if (!api) return api.error();
  auto images = images_of(**api, options.org);
  if (!images) return images.error();
  auto answer = (*api)->get(*images + "/rolls");
  if (!answer) return answer.error();
  if (session.print_json(*answer)) return 0;
  Table table({"TIME (UTC)", "STATE", "EXTENT", "AUTHOR", "ID", "MESSAGE"});
  for (const Json& each : *answer) {
    auto roll = parse_roll(each);
    if (!roll) return roll.error();
    table.row({readable_time(roll->requested_at), harmless(roll->state), extent(*roll),
               harmless(roll->author), roll->id, harmless(roll->message)});
  }
  if (table.empty())
    session.terminal().note(
        "There was no roll in the last 30 days; `karreg images roll` begins one.");
  else
    table.print(session.terminal());
  return 0;
}

/// The path of the roll that @p options name, or of the newest.
Result<std::string> path_of(const Api& api, const Options& options) {
  auto images = images_of(api, options.org);
  if (!images) return images.error();
  if (!options.id.empty()) return *images + "/rolls/" + options.id;
  auto answer = api.get(*images + "/rolls");
  if (!answer) return answer.error();
  if (!answer->is_array() || answer->empty())
    return Error(ErrorKind::not_found,
                 "There was no roll in the last 30 days. `karreg images roll` begins one.");
  auto newest = parse_roll(answer->front());
  if (!newest) return newest.error();
  return *images + "/rolls/" + newest->id;
}

Result<int> status(Session& session, const Options& options) {
  auto api = session.api();
  if (!api) return api.error();
  auto path = path_of(**api, options);
  if (!path) return path.error();
  if (options.follow) return follow(session, *path);
  auto answer = (*api)->get(*path);
  if (!answer) return answer.error();
  auto shown = conclude(session, *answer);
  if (!shown) return shown.error();
  return 0;
}

Result<int> cancel(Session& session, const Options& options) {
  auto api = session.api();
  if (!api) return api.error();
  auto path = path_of(**api, options);
  if (!path) return path.error();
  auto done = (*api)->remove(*path);
  if (!done) return done.error();
  const std::string id = path->substr(path->rfind('/') + 1);
  if (session.print_json({{"id", id}, {"cancel_requested", true}})) return 0;
  session.terminal().note("No further wave of " + id +
                          " begins; what is being deployed goes on to its end.");
  return 0;
}

}  // namespace

void add_images(CLI::App& app, Session& session) {
  CLI::App* group = app.add_subcommand("images",
                                       "Security updates: which apps run on older images, and "
                                       "rolls that bring them onto newer ones");
  group->require_subcommand(1);
  auto options = std::make_shared<Options>();
  const auto add = [&](const char* name, const char* text,
                       Result<int> (*what)(Session&, const Options&)) {
    CLI::App* command = group->add_subcommand(name, text);
    command
        ->add_option("-o,--org", options->org,
                     "The organisation, by id or name (default: your own)")
        ->type_name("ORG");
    add_format_option(*command, session);
    when_chosen(*command, session, options, what);
    return command;
  };
  CLI::App* listing =
      add("outdated", "The apps on older images, and the packages that differ", outdated);
  listing->get_option("--org")->description(
      "Only of this organisation, by id or name (default: all of yours)");
  listing->footer("Exit code 10: there is one.");
  CLI::App* begin = add("roll", "Deploy apps on the newer images, wave by wave", roll);
  begin->add_option("--app", options->apps, "Only this app, by id or name; may be repeated")
      ->type_name("APP")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  begin->add_option("--wave", options->wave, "How many apps at a time (default: 5)")
      ->check(CLI::Range(1, 1000))
      ->type_name("NUMBER");
  add("rolls", "The rolls of the last 30 days, newest first", rolls);
  CLI::App* showing = add("status", "What became of each app of a roll", status);
  for (CLI::App* command : {begin, showing}) {
    command->add_flag("-f,--follow", options->follow, "Watch it to its end");
    command->footer("Exit code 1 with --follow: it was stopped, as an app failed, or cancelled.");
  }
  CLI::App* ending = add("cancel", "Begin no further wave of a roll", cancel);
  for (CLI::App* command : {showing, ending})
    command->add_option("ID", options->id, "The roll (default: the newest)")->type_name("");
}

}  // namespace karreg::cli
