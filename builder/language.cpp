#include "builder/language.hpp"

#include <fmt/format.h>

namespace karreg::builder {

void choose_version(LanguagePlan& plan, const Inspection& about, std::string_view language,
                    std::string_view title, std::string_view variable,
                    const std::optional<VersionWish>& wish) {
  std::optional<VersionWish> strongest = wish;
  if (!variable.empty())
    if (const auto given = about.settings.find(variable))
      strongest = VersionWish{given->value, given->origin};
  auto chosen = choose_runtime(language, title, strongest, variable);
  if (!chosen) {
    plan.runtime = language;
    plan.problem = chosen.error().message();
    return;
  }
  plan.runtime = chosen->runtime;
  if (chosen->version.empty()) return;
  plan.reason(strongest ? fmt::format("Version: {} {} ({} asks for {}).", title, chosen->version,
                                      strongest->origin, strongest->range)
                        : fmt::format("Version: {} {}.", title, chosen->version));
}

bool add_build_command(LanguagePlan& plan, const Inspection& about) {
  const auto command = about.build_command();
  if (!command) return false;
  plan.step("build", command->value);
  plan.reason(fmt::format("Build: {} ({}).", command->value, command->origin));
  return true;
}

bool replace_build(LanguagePlan& plan, const Inspection& about, std::string_view variables) {
  if (!add_build_command(plan, about)) return false;
  plan.start =
      Error(ErrorKind::invalid,
            fmt::format(
                "{} replaces the build by {}, so that the program is not known: set {} too, or add "
                "a Procfile with a `web:` line.",
                about.build_command()->origin, plan.tool, variables));
  return true;
}

Result<std::string> folder_of_app(const Inspection& about, const Given& given, bool built) {
  const auto folder = path_inside(given.value);
  if (folder && (built || about.tree.has_folder(*folder))) return *folder;
  return Error(ErrorKind::invalid,
               given.origin + "=" + given.value +
                   ": there is no such folder in the app. Give a folder of the repository, for "
                   "example CC_WEBROOT=/public.");
}

}  // namespace karreg::builder
