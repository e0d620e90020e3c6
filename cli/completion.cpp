#include "cli/completion.hpp"

namespace karreg::cli {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

/// "karreg env set" -> what may follow: subcommands, then options.
void cases(const CommandNode& node, const std::string& path, std::string& text) {
  std::vector<std::string> words;
  for (const CommandNode& each : node.commands) words.push_back(each.name);
  words.insert(words.end(), node.options.begin(), node.options.end());
  text += "    '" + path + "') words='" + joined(words) + "' ;;\n";
  for (const CommandNode& each : node.commands) cases(each, path + " " + each.name, text);
}

/// The commands among the words so far choose the case; bash and zsh (with bashcompinit) share it.
std::string bash_script(const CommandNode& root) {
  std::string known;
  for (const CommandNode& each : root.commands) {
    known += " '" + each.name + "'";
    for (const CommandNode& inner : each.commands)
      known += " '" + each.name + " " + inner.name + "'";
  }
  std::string text =
      "_karreg() {\n"
      "  local current=${COMP_WORDS[COMP_CWORD]} path='' word words='' known\n"
      "  local commands=(" +
      known +
      ")\n"
      "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
      "    for known in \"${commands[@]}\"; do\n"
      "      if [ \"${path:+$path }$word\" = \"$known\" ]; then path=$known; break; fi\n"
      "    done\n"
      "  done\n"
      "  case \"karreg${path:+ $path}\" in\n";
  cases(root, root.name, text);
  text +=
      "  esac\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
      "}\n"
      "complete -F _karreg karreg";
  return text;
}

std::string fish_quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "'";
}

std::string fish_options(const CommandNode& node, const std::string& condition) {
  std::string text;
  for (const std::string& option : node.options)
    text += "complete -c karreg -n " + fish_quoted(condition) +
            (option.starts_with("--") ? " -l " + option.substr(2) : " -s " + option.substr(1)) +
            "\n";
  return text;
}

std::string fish_script(const CommandNode& root) {
  std::string text = "complete -c karreg -f\n";
  for (const CommandNode& each : root.commands) {
    text += "complete -c karreg -n __fish_use_subcommand -a " + each.name + " -d " +
            fish_quoted(each.text) + "\n";
    const std::string seen = "__fish_seen_subcommand_from " + each.name;
    for (const CommandNode& inner : each.commands) {
      text += "complete -c karreg -n " + fish_quoted(seen) + " -a " + inner.name + " -d " +
              fish_quoted(inner.text) + "\n";
      text += fish_options(inner, seen + "; and __fish_seen_subcommand_from " + inner.name);
    }
    if (each.commands.empty()) text += fish_options(each, seen);
  }
  text.pop_back();
  return text;
}

void describe(CLI::App& app, const std::string& path, std::string& text) {
  for (CLI::App* command :
       app.get_subcommands([](CLI::App* a) { return !a->get_group().empty(); })) {
    const std::string name = path + " " + command->get_name();
    if (command->get_subcommands([](CLI::App*) { return true; }).empty())
      text += "### " + name + "\n\n```\n" + command->help(path) + "```\n\n";
    describe(*command, name, text);
  }
}

}  // namespace

CommandNode command_tree(const CLI::App& app) {
  CommandNode node{app.get_name(), app.get_description(), {}, {}};
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) node.options.push_back("--" + name);
    for (const std::string& name : option->get_snames()) node.options.push_back("-" + name);
  }
  for (const CLI::App* command :
       app.get_subcommands([](const CLI::App* a) { return !a->get_group().empty(); }))
    node.commands.push_back(command_tree(*command));
  return node;
}

std::string completion_script(const CommandNode& root, const std::string& shell) {
  if (shell == "fish") return fish_script(root);
  if (shell == "zsh") return "autoload -U +X bashcompinit && bashcompinit\n" + bash_script(root);
  return bash_script(root);
}

std::string reference(CLI::App& app) {
  std::string text;
  describe(app, app.get_name(), text);
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

}  // namespace karreg::cli
