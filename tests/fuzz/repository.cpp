// What the inspector makes of a repository of anybody: manifests, lock files, Aptfile, .gitmodules,
// karreg.toml, whatever is in them. An input is names and contents of files in turn, each ended by
// a zero byte; "env:NAME" is a variable of the app.
#include <algorithm>
#include <map>
#include <string>
#include <string_view>

#include "builder/build_key.hpp"
#include "builder/inspect.hpp"
#include "builder/plan_text.hpp"
#include "builder/source_tree.hpp"
#include "common/text.hpp"
#include "common/wire/json.hpp"
#include "fuzz/must.hpp"

using namespace karreg;
using namespace karreg::builder;

namespace {

std::string_view next(std::string_view& rest) {
  const auto end = rest.find('\0');
  const std::string_view piece = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return piece;
}

/// Whether people and databases can read @p sentence: a tenant chose what it quotes.
bool is_readable(const std::string& sentence) {
  return text::is_utf8(sentence) && std::ranges::none_of(sentence, [](char c) {
           return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) == 0x7F;
         });
}

void check(const wire::BuildPlan& plan) {
  fuzz::must(!plan.runtime.empty());
  fuzz::must(!plan.run_command.empty());
  fuzz::must(path_inside(plan.folder) == plan.folder);
  fuzz::must(plan.output_root.starts_with("/app"));
  fuzz::must(std::ranges::all_of(plan.reasons, is_readable));
  fuzz::must(is_readable(plan.problem));
  // No name that apt would take as an option or a pattern.
  for (const auto* names : {&plan.packages, &plan.build_packages})
    fuzz::must(std::ranges::all_of(*names, [](const std::string& name) {
      return name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789+-.") ==
                 std::string::npos &&
             name.front() != '-';
    }));
  // It is stored as it is, and read again by others.
  const std::string stored = wire::to_text(nlohmann::json(plan));
  const auto read = wire::from_text<wire::BuildPlan>(stored, "the plan");
  fuzz::must(read.has_value());
  fuzz::must(wire::to_text(nlohmann::json(*read)) == stored);
  fuzz::must(build_key("tree", *read, "image", {}) == build_key("tree", plan, "image", {}));
  static_cast<void>(rendered(plan));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  std::map<std::string, std::string> files;
  std::map<std::string, std::string> gitlinks;
  AppSettings settings;
  while (!rest.empty()) {
    const std::string name(next(rest));
    const std::string content(next(rest));
    if (name.starts_with("env:")) {
      settings.env[name.substr(4)] = content;
    } else if (name.starts_with("link:")) {
      gitlinks[name.substr(5)] = std::string(40, 'a');
    } else if (const auto path = path_inside(name); path && !path->empty()) {
      files[*path] = content;
    }
  }
  const auto plan = inspect(MemoryTree(files, gitlinks), settings);
  if (plan)
    check(*plan);
  else
    fuzz::must(is_readable(plan.error().message()));
  return 0;
}
