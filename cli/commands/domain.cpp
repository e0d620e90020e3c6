#include "cli/commands/commands.hpp"
#include "common/http/message.hpp"
#include "common/suggest.hpp"

namespace karreg::cli {
namespace {

struct Options {
  AppChoice choice;
  std::string domain;
  bool unset = false;
};

/// The favourite, or "" when none is set.
Result<std::string> favourite(const Api& api, const Target& target) {
  auto answer = api.get(target.path() + "/vhosts/favourite");
  if (!answer && answer.error().kind() == ErrorKind::not_found) return std::string();
  if (!answer) return answer.error();
  return answer->value("fqdn", "");
}

/// "example.com" and "example.com/" are one.
std::string without_slash(std::string domain) {
  if (domain.ends_with('/')) domain.pop_back();
  return domain;
}

Result<int> list(Session& session, const Options& options) {
  auto target = session.target(options.choice);
  if (!target) return target.error();
  auto api = session.api();
  if (!api) return api.error();
  auto app = session.app(*target);
  if (!app) return app.error();
  auto best = favourite(**api, *target);
  if (!best) return best.error();
  Json all = Json::array();
  for (const std::string& domain : app->domains)
    all.push_back({{"domain", without_slash(domain)},
                   {"favourite", without_slash(domain) == without_slash(*best)}});
  if (session.print_json(all)) return 0;
  for (const Json& each : all)
    session.terminal().print(each["domain"].get<std::string>() +
                             (each["favourite"].get<bool>() ? "  (favourite)" : ""));
  if (all.empty()) session.terminal().note(target->name + " has no domain.");
  return 0;
}

Result<int> add_domain_to(Session& session, const Options& options) {
  auto target = session.target(options.choice);
  if (!target) return target.error();
  auto api = session.api();
  if (!api) return api.error();
  if (auto done = (*api)->put(target->path() + "/vhosts/" + http::percent_encode(options.domain));
      !done)
    return done.error();
  if (session.print_json({{"domain", options.domain}})) return 0;
  session.terminal().note(options.domain + " leads to " + target->name +
                          " once its DNS points at the platform.");
  return 0;
}

Result<int> rm(Session& session, const Options& options) {
  auto target = session.target(options.choice);
  if (!target) return target.error();
  auto api = session.api();
  if (!api) return api.error();
  auto done = (*api)->remove(target->path() + "/vhosts/" + http::percent_encode(options.domain));
  if (!done && done.error().kind() == ErrorKind::not_found) {
    auto app = session.app(*target);
    if (!app) return app.error();
    std::vector<std::string> known;
    for (const std::string& domain : app->domains) known.push_back(without_slash(domain));
    return Error(ErrorKind::not_found, target->name + " has no domain `" + options.domain + "`." +
                                           did_you_mean(options.domain, known));
  }
  if (!done) return done.error();
  if (session.print_json({{"domain", options.domain}})) return 0;
  session.terminal().note(options.domain + " no longer leads to " + target->name + ".");
  return 0;
}

Result<int> favour(Session& session, const Options& options) {
  if (options.unset && !options.domain.empty())
    return Error(ErrorKind::invalid, "--unset takes no domain.");
  auto target = session.target(options.choice);
  if (!target) return target.error();
  auto api = session.api();
  if (!api) return api.error();
  const std::string path = target->path() + "/vhosts/favourite";
  if (options.unset)
    if (auto done = (*api)->remove(path); !done) return done.error();
  if (!options.domain.empty())
    if (auto done = (*api)->put(path, Json({{"fqdn", options.domain}})); !done) return done.error();
  auto best = favourite(**api, *target);
  if (!best) return best.error();
  if (session.print_json({{"favourite", best->empty() ? Json() : Json(without_slash(*best))}}))
    return 0;
  if (best->empty())
    session.terminal().note(target->name + " has no favourite domain.");
  else
    session.terminal().print(without_slash(*best));
  return 0;
}

}  // namespace

void add_domain(CLI::App& app, Session& session) {
  CLI::App* group = app.add_subcommand("domain", "The domains of an app");
  group->require_subcommand(1);
  auto options = std::make_shared<Options>();
  const char* domain = "The domain, with a path when it is for a part of the site: example.com/api";
  add_app_command(*group, session, "list", "Show the domains", options, list);
  add_app_command(*group, session, "add", "Lead a domain to the app", options, add_domain_to)
      ->add_option("DOMAIN", options->domain, domain)
      ->required();
  add_app_command(*group, session, "rm", "Lead a domain no longer to the app", options, rm)
      ->add_option("DOMAIN", options->domain, domain)
      ->required();
  CLI::App* favouring = add_app_command(*group, session, "favourite",
                                        "Show or set the favourite domain", options, favour);
  favouring->add_option("DOMAIN", options->domain, "The new favourite");
  favouring->add_flag("--unset", options->unset, "Have none");
}

}  // namespace karreg::cli
