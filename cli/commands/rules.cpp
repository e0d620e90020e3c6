#include "common/wire/rules.hpp"

#include <iostream>
#include <iterator>

#include "cli/commands/commands.hpp"
#include "cli/rules_file.hpp"
#include "cli/whole_file.hpp"

namespace karreg::cli {
namespace {

struct Options {
  AppChoice choice;
  std::string file = "-";
  std::vector<std::string> assignments;
  std::string user;
};

struct Place {
  const Api* api;
  std::string path;
  std::string name;  ///< of the app
};

Result<Place> place_of(Session& session, const Options& options) {
  auto target = session.target(options.choice);
  if (!target) return target.error();
  auto api = session.api();
  if (!api) return api.error();
  return Place{*api, target->path() + "/rules", target->name};
}

Result<Json> read_file(const std::string& file) {
  std::string text;
  if (file == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else {
    auto read = read_whole(file);
    if (!read) return read.error();
    text = std::move(*read);
  }
  auto rules = parse_rules(text);
  if (!rules) return rules.error().within(file == "-" ? "standard input" : file);
  return rules;
}

/// Checked here first: what is wrong is told without a platform.
Result<Json> checked(const Json& rules) {
  auto read = wire::read_rules(rules);
  if (!read) return read.error();
  return wire::rules_json(*read);
}

Result<int> put(Session& session, const Place& place, const Json& rules) {
  auto plain = checked(rules);
  if (!plain) return plain.error();
  auto done = place.api->put(place.path, *plain);
  if (!done) return done.error();
  if (session.print_json(*done)) return 0;
  session.terminal().note("The proxies take the rules of " + place.name +
                          " over now; no restart is needed.");
  return 0;
}

Result<int> show(Session& session, const Options& options) {
  auto place = place_of(session, options);
  if (!place) return place.error();
  auto rules = place->api->get(place->path);
  if (!rules) return rules.error();
  if (session.print_json(*rules)) return 0;
  if (rules->empty())
    session.terminal().note(place->name + " has no rules.");
  else
    session.terminal().print(rules->dump(2));
  return 0;
}

Result<int> set(Session& session, const Options& options) {
  auto rules = read_file(options.file);
  if (!rules) return rules.error();
  auto plain = checked(*rules);
  if (!plain) return plain.error();
  auto place = place_of(session, options);
  if (!place) return place.error();
  return put(session, *place, *plain);
}

Result<int> check(Session& session, const Options& options) {
  auto rules = read_file(options.file);
  if (!rules) return rules.error();
  auto plain = checked(*rules);
  if (!plain) return plain.error();
  if (session.print_json(*plain)) return 0;
  session.terminal().note("The rules can be set.");
  return 0;
}

Result<int> edit(Session& session, const Options& options) {
  auto place = place_of(session, options);
  if (!place) return place.error();
  auto rules = place->api->get(place->path);
  if (!rules) return rules.error();
  for (const std::string& assignment : options.assignments)
    if (auto edited = edit_rules(*rules, assignment); !edited) return edited.error();
  return put(session, *place, *rules);
}

Result<int> clear(Session& session, const Options& options) {
  auto place = place_of(session, options);
  if (!place) return place.error();
  auto done = place->api->remove(place->path);
  if (!done) return done.error();
  if (session.print_json(Json::object())) return 0;
  session.terminal().note(place->name + " has no rules now.");
  return 0;
}

Result<int> password(Session& session, const Options& options) {
  auto hash = hash_password(session.terminal().ask_secret("Password:"));
  if (!hash) return hash.error();
  if (options.user.empty()) {
    if (!session.print_json({{"hash", *hash}})) session.terminal().print(*hash);
    return 0;
  }
  auto place = place_of(session, options);
  if (!place) return place.error();
  auto rules = place->api->get(place->path);
  if (!rules) return rules.error();
  (*rules)["basic_auth"]["users"][options.user] = *hash;
  return put(session, *place, *rules);
}

}  // namespace

void add_rules(CLI::App& app, Session& session) {
  CLI::App* group = app.add_subcommand(
      "rules", "What the proxy keeps for an app: redirects, passwords, addresses, limits, headers");
  group->require_subcommand(1);
  auto options = std::make_shared<Options>();
  const char* file = "The rules as JSON or TOML (default: -, standard input)";
  add_app_command(*group, session, "show", "Show the rules", options, show);
  add_app_command(*group, session, "set", "Replace all rules by those of a file", options, set)
      ->add_option("FILE", options->file, file);
  add_app_command(*group, session, "edit", "Change single fields of the rules", options, edit)
      ->add_option("FIELD=VALUE", options->assignments,
                   "As in maintenance.on=true; without a value the field is taken away")
      ->required();
  add_app_command(*group, session, "clear", "Have no rules", options, clear);
  CLI::App* checking =
      group->add_subcommand("check", "Say what is wrong in a file, without setting it");
  checking->add_option("FILE", options->file, file);
  add_format_option(*checking, session);
  when_chosen(*checking, session, options, check);
  add_app_command(*group, session, "password",
                  "Read a password, and print its hash or give it to a user", options, password)
      ->add_option("USER", options->user, "The name that the visitor logs in with");
}

}  // namespace karreg::cli
