// Dockerfile: recognised, so that people learn where they stand. It is the app only where nothing
// else is, or where the owner chose the type.
#include "builder/languages/table.hpp"

namespace karreg::builder::languages_of {
namespace {

Result<LanguagePlan> plan(const Inspection&) {
  LanguagePlan result;
  result.runtime = "docker";
  result.tool = "dockerfile";
  result.problem =
      "Images are not built from a Dockerfile yet. What it installs and starts can be said with "
      "CC_BUILD_COMMAND and CC_RUN_COMMAND, or in karreg.toml, with a type of the language.";
  result.start = Start{{"/bin/false"}, "what the Dockerfile says"};
  return result;
}

std::optional<Match> detect(const Inspection& about) {
  for (const char* file : {"Dockerfile", "Containerfile"})
    if (about.tree.has_file(file)) return Match{file, Evidence::fallback};
  return std::nullopt;
}

}  // namespace

Language docker() {
  return {"docker", "Dockerfile", "Dockerfile", {}, detect, plan};
}

}  // namespace karreg::builder::languages_of
