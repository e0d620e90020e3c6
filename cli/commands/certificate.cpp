#include "cli/commands/commands.hpp"
#include "cli/times.hpp"
#include "cli/whole_file.hpp"
#include "common/http/message.hpp"

namespace karreg::cli {
namespace {

struct Options {
  AppChoice choice;
  std::string chain;
  std::string key;
  std::string id;
};

std::string text_in(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::string time_in(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number_integer()
             ? readable_time(found->get<std::int64_t>())
             : "";
}

std::string list_in(const Json& object, const char* name) {
  std::string text;
  for (const auto& each : object.value(name, Json::array()))
    if (each.is_string()) text += (text.empty() ? "" : ", ") + each.get<std::string>();
  return text;
}

Result<int> list(Session& session, const Options& options) {
  auto target = session.target(options.choice);
  if (!target) return target.error();
  auto api = session.api();
  if (!api) return api.error();
  auto answer = (*api)->get(target->path() + "/certificates");
  if (!answer) return answer.error();
  if (session.print_json(*answer)) return 0;
  Table domains({"DOMAIN", "CERTIFICATE", "FROM", "GOOD UNTIL (UTC)"});
  const auto all = answer->value("domains", Json::array());
  for (const auto& each : all)
    domains.row({text_in(each, "domain"), text_in(each, "state"), text_in(each, "origin"),
                 time_in(each, "notAfter")});
  if (!domains.empty()) domains.print(session.terminal());
  for (const auto& each : all) {
    const auto error = text_in(each, "error");
    if (error.empty()) continue;
    const auto next = time_in(each, "nextTry");
    session.terminal().note(text_in(each, "domain") + ": " + harmless(error) +
                            (next.empty() ? "" : ". The next try is at " + next + " UTC."));
  }
  Table uploaded({"UPLOADED", "NAMES", "GOOD UNTIL (UTC)"});
  for (const auto& each : answer->value("uploaded", Json::array()))
    uploaded.row({text_in(each, "id"), list_in(each, "names"), time_in(each, "notAfter")});
  if (!uploaded.empty()) {
    session.terminal().print("");
    uploaded.print(session.terminal());
  }
  if (domains.empty()) session.terminal().note(target->name + " has no domain.");
  return 0;
}

Result<int> upload(Session& session, const Options& options) {
  auto chain = read_whole(options.chain);
  if (!chain) return chain.error();
  auto key = read_whole(options.key);
  if (!key) return key.error();
  auto target = session.target(options.choice);
  if (!target) return target.error();
  auto api = session.api();
  if (!api) return api.error();
  auto answer =
      (*api)->post(target->path() + "/certificates", Json({{"chain", *chain}, {"key", *key}}));
  if (!answer) return answer.error();
  if (session.print_json(*answer)) return 0;
  session.terminal().print(text_in(*answer, "id"));
  session.terminal().note("Visitors of " + list_in(*answer, "domains") +
                          " are shown it in a moment; it is good until " +
                          time_in(*answer, "notAfter") + " UTC.");
  return 0;
}

Result<int> rm(Session& session, const Options& options) {
  auto target = session.target(options.choice);
  if (!target) return target.error();
  auto api = session.api();
  if (!api) return api.error();
  auto done = (*api)->remove(target->path() + "/certificates/" + http::percent_encode(options.id));
  if (!done) return done.error();
  if (session.print_json({{"id", options.id}})) return 0;
  session.terminal().note(
      "The certificate is removed; the platform gets one by itself where it can.");
  return 0;
}

}  // namespace

void add_certificate(CLI::App& app, Session& session) {
  CLI::App* group = app.add_subcommand("certificate", "The certificates of an app's domains");
  group->require_subcommand(1);
  auto options = std::make_shared<Options>();
  add_app_command(*group, session, "list", "Show what visitors get by https, and what went wrong",
                  options, list);
  CLI::App* uploading = add_app_command(*group, session, "upload",
                                        "Show visitors a certificate of your own", options, upload);
  uploading
      ->add_option("CHAIN", options->chain,
                   "File with the certificate and those between it and the root (PEM)")
      ->required();
  uploading->add_option("KEY", options->key, "File with its private key (PEM)")->required();
  add_app_command(*group, session, "rm", "Remove a certificate that was uploaded", options, rm)
      ->add_option("ID", options->id, "As `karreg certificate list` shows it")
      ->required();
}

}  // namespace karreg::cli
