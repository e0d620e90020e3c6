#include "builder/runtimes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <tuple>
#include <utility>

#include "common/json.hpp"

namespace karreg::builder {
namespace {

struct Recipe {
  std::string_view name;
  std::string_view text;
};

constexpr std::array recipes = {
#include "runtimes.inc"
};

/// "3.9" comes before "3.13".
std::vector<long> numbers_of(std::string_view version) {
  std::vector<long> numbers = {0};
  for (const char c : version) {
    if (c >= '0' && c <= '9')
      numbers.back() = numbers.back() * 10 + (c - '0');
    else
      numbers.push_back(0);
  }
  return numbers;
}

std::map<std::string, std::vector<RuntimeVersion>, std::less<>> read_recipes() {
  std::map<std::string, std::vector<RuntimeVersion>, std::less<>> all;
  for (const Recipe& recipe : recipes) {
    const auto read = nlohmann::json::parse(recipe.text);
    const std::string name(recipe.name);
    const std::string language = read.value("language", name);
    // The one of the language's own name is the usual one.
    all[language].push_back({name, read.value("version", ""), name == language});
  }
  for (auto& [language, versions] : all)
    std::ranges::sort(versions, [](const RuntimeVersion& a, const RuntimeVersion& b) {
      return numbers_of(a.version) > numbers_of(b.version);
    });
  return all;
}

std::string listed(const std::vector<RuntimeVersion>& versions) {
  std::string text;
  for (const RuntimeVersion& each : versions) text += (text.empty() ? "" : ", ") + each.version;
  return text;
}

}  // namespace

const std::vector<RuntimeVersion>& runtimes_of(std::string_view language) {
  static const auto all = read_recipes();
  static const std::vector<RuntimeVersion> none;
  const auto found = all.find(language);
  return found == all.end() ? none : found->second;
}

Result<RuntimeVersion> choose_runtime(std::string_view language, std::string_view title,
                                      const std::optional<VersionWish>& wish,
                                      std::string_view variable) {
  const auto& versions = runtimes_of(language);
  if (versions.empty())
    return Error(ErrorKind::not_found,
                 fmt::format("{} is not in this catalogue of images.", title));
  const auto usual = std::ranges::find(versions, true, &RuntimeVersion::usual);
  if (!wish) return usual == versions.end() ? versions.front() : *usual;

  const auto asks = fmt::format("{} asks for {} {}", wish->origin, title, wish->range);
  const auto way_out = variable.empty() ? fmt::format("There is: {}.", listed(versions))
                                        : fmt::format("There are: {}; {} chooses one of them.",
                                                      listed(versions), variable);
  auto range = VersionRange::parse(wish->range, wish->tilde);
  if (!range)
    return Error(ErrorKind::invalid,
                 fmt::format("{}: {}. {}", asks, range.error().message(), way_out));
  if (usual != versions.end() && range->allows(usual->version)) return *usual;
  const auto newest = std::ranges::find_if(
      versions, [&](const RuntimeVersion& each) { return range->allows(each.version); });
  if (newest == versions.end())
    return Error(ErrorKind::invalid,
                 fmt::format("{}, which cannot be had here. {}", asks, way_out));
  return *newest;
}

}  // namespace karreg::builder
