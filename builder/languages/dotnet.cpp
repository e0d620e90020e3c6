// .NET: recognised, and not in the catalogue: Debian has no packages of it.
#include <array>

#include "builder/languages/table.hpp"

namespace karreg::builder::languages_of {
namespace {

constexpr std::array<std::string_view, 5> endings = {".csproj", ".fsproj", ".vbproj", ".sln",
                                                     ".slnx"};

std::optional<Match> detect(const Inspection& about) {
  for (const std::string_view ending : endings)
    for (const Entry& entry : about.tree.list(""))
      if (entry.kind == EntryKind::file && entry.name.ends_with(ending)) return Match{entry.name};
  return std::nullopt;
}

Result<LanguagePlan> plan(const Inspection& about) {
  LanguagePlan result;
  result.runtime = "dotnet";
  result.tool = "dotnet";
  const std::string project = detect(about)->file;
  const std::string name = project.substr(0, project.rfind('.'));
  result.problem =
      ".NET is not in this catalogue of images: Debian has no packages of it. A program that was "
      "published with `--self-contained` for linux-x64 can be committed and started with "
      "CC_RUN_COMMAND, with the type shell.";
  result.start = Start{{"/app/out/" + name}, "what `dotnet publish` makes of " + project};
  return result;
}

}  // namespace

Language dotnet() {
  return {"dotnet", ".NET", "a project file (.csproj, .fsproj, .vbproj, .sln, .slnx)",
          {},       detect, plan};
}

}  // namespace karreg::builder::languages_of
