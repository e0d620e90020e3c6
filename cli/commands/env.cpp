#include <algorithm>
#include <iostream>
#include <iterator>

#include "cli/commands/commands.hpp"
#include "cli/env_file.hpp"
#include "cli/whole_file.hpp"
#include "common/http/message.hpp"

namespace karreg::cli {
namespace {

struct Options {
  AppChoice choice;
  std::vector<std::string> words;
  std::string file = "-";
  bool from_json = false;
  bool merge = false;
};

Result<std::vector<Variable>> variables(Session& session, const Target& target) {
  auto api = session.api();
  if (!api) return api.error();
  auto answer = (*api)->get(target.path() + "/env");
  if (!answer) return answer.error();
  auto found = parse_variables(*answer);
  if (found) std::ranges::sort(*found, {}, &Variable::name);
  return found;
}

Json as_object(const std::vector<Variable>& variables) {
  Json object = Json::object();
  for (const Variable& each : variables) object[each.name] = each.value;
  return object;
}

std::string counted(std::size_t number) {
  return std::to_string(number) + (number == 1 ? " variable" : " variables");
}

void remind(Session& session, const std::string& what) {
  session.terminal().note(what +
                          " Instances never change: `karreg restart` brings it into service.");
}

Result<int> list(Session& session, const Options& options) {
  auto target = session.target(options.choice);
  if (!target) return target.error();
  auto found = variables(session, *target);
  if (!found) return found.error();
  if (session.print_json(as_object(*found))) return 0;
  for (const Variable& each : *found) session.terminal().print(env_line(each.name, each.value));
  if (found->empty()) session.terminal().note(target->name + " has no variables.");
  return 0;
}

/// "NAME VALUE" or any number of NAME=VALUE.
Result<std::vector<Variable>> assignments(const std::vector<std::string>& words) {
  if (words.size() == 2 && is_variable_name(words[0]))
    return std::vector<Variable>{{words[0], words[1]}};
  std::vector<Variable> set;
  for (const std::string& word : words) {
    auto pair = parse_assignment(word);
    if (!pair) return pair.error();
    set.push_back({pair->first, pair->second});
  }
  return set;
}

Result<int> set(Session& session, const Options& options) {
  auto given = assignments(options.words);
  if (!given) return given.error();
  auto target = session.target(options.choice);
  if (!target) return target.error();
  auto api = session.api();
  if (!api) return api.error();
  for (const Variable& each : *given)
    if (auto done = (*api)->put(target->path() + "/env/" + http::percent_encode(each.name),
                                Json({{"value", each.value}}));
        !done)
      return done.error();
  if (session.print_json(as_object(*given))) return 0;
  remind(session, "Set " + counted(given->size()) + ".");
  return 0;
}

Result<int> rm(Session& session, const Options& options) {
  auto target = session.target(options.choice);
  if (!target) return target.error();
  auto api = session.api();
  if (!api) return api.error();
  for (const std::string& name : options.words)
    if (auto done = (*api)->remove(target->path() + "/env/" + http::percent_encode(name)); !done)
      return done.error();
  if (session.print_json(options.words)) return 0;
  remind(session, "Removed " + counted(options.words.size()) + ".");
  return 0;
}

Result<int> import(Session& session, const Options& options) {
  std::string text;
  if (options.file == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else {
    auto read = read_whole(options.file);
    if (!read) return read.error();
    text = std::move(*read);
  }
  auto given = options.from_json ? parse_env_json(text) : parse_env_file(text);
  if (!given) return given.error().within(options.file == "-" ? "standard input" : options.file);
  auto target = session.target(options.choice);
  if (!target) return target.error();
  Json all = Json::object();
  if (options.merge) {
    auto now = variables(session, *target);
    if (!now) return now.error();
    all = as_object(*now);
  }
  for (const auto& [name, value] : *given) all[name] = value;
  auto api = session.api();
  if (!api) return api.error();
  if (auto done = (*api)->put(target->path() + "/env", all); !done) return done.error();
  if (session.print_json(all)) return 0;
  remind(session, target->name + " has " + counted(all.size()) + " now.");
  return 0;
}

}  // namespace

void add_env(CLI::App& app, Session& session) {
  CLI::App* group = app.add_subcommand("env", "The environment of an app");
  group->require_subcommand(1);
  auto options = std::make_shared<Options>();
  add_app_command(*group, session, "list", "Show the variables", options, list);
  add_app_command(*group, session, "set", "Set variables", options, set)
      ->add_option("VARIABLE", options->words, "NAME VALUE, or NAME=VALUE any number of times")
      ->required();
  add_app_command(*group, session, "rm", "Remove variables", options, rm)
      ->add_option("NAME", options->words, "Their names")
      ->required();
  CLI::App* importing = add_app_command(
      *group, session, "import", "Replace all variables by those of a .env file", options, import);
  importing->add_option("FILE", options->file, "The file (default: -, standard input)");
  importing->add_flag("--json", options->from_json,
                      "The file is a JSON object, or a list of {name, value}");
  importing->add_flag("--merge", options->merge, "Keep the variables that the file does not have");
}

}  // namespace karreg::cli
