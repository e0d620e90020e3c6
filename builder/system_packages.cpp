#include "builder/system_packages.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "builder/language.hpp"
#include "builder/shell_line.hpp"
#include "common/crypto/digest.hpp"
#include "common/text.hpp"

namespace karreg::builder {
namespace {

constexpr const char* aptfile = "Aptfile";
constexpr std::size_t max_name_bytes = 100;
constexpr std::size_t digits_of_a_set = 12;

/// Debian Policy §5.6.1: lower-case letters, digits, + - and ., at least two, the first no sign. To
/// apt a dash at the end means a removal.
bool is_package_name(std::string_view name) {
  const auto letter_or_digit = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  };
  return name.size() >= 2 && name.size() <= max_name_bytes && letter_or_digit(name.front()) &&
         name.back() != '-' && std::ranges::all_of(name, [&](char c) {
           return letter_or_digit(c) || c == '+' || c == '-' || c == '.';
         });
}

Result<void> add(std::vector<std::string>& all, std::string_view name, const std::string& origin) {
  const auto refuse = [&](const std::string& why) {
    return Error(ErrorKind::invalid,
                 fmt::format("{}: `{}` {}.", origin, name.substr(0, max_name_bytes), why));
  };
  if (name.starts_with(":repo:") || name.contains("://") || name.ends_with(".deb"))
    return refuse(
        "is a source of packages of its own, and images are made of Debian's packages alone. Put "
        "the program into the repository, or fetch it in the build (CC_PRE_BUILD_HOOK)");
  if (name.contains('='))
    return refuse(
        "asks for one version of a package: a release of Debian has one only, the newest. Leave "
        "out what follows the `=`");
  if (!is_package_name(name))
    return refuse(
        "is no name of a Debian package: lower-case letters, digits, +, - and . make one");
  if (const auto at = std::ranges::lower_bound(all, name); at == all.end() || *at != name)
    all.emplace(at, name);
  if (all.size() > max_system_packages)
    return refuse(
        fmt::format("is one package too many: an app may ask for {}", max_system_packages));
  return ok();
}

/// The packages of @p given, with blanks or commas between them.
Result<std::vector<std::string>> listed_in(const Given& given) {
  std::string line = given.value;
  std::ranges::replace(line, ',', ' ');
  std::vector<std::string> all;
  for (const std::string_view name : text::words(line))
    if (auto added = add(all, name, given.origin); !added) return added.error();
  return all;
}

Result<std::vector<std::string>> read_aptfile(const SourceTree& tree) {
  std::vector<std::string> all;
  auto text = tree.read(aptfile, max_inspected_bytes);
  if (!text) return Error(ErrorKind::invalid, text.error().message());
  std::string_view rest = *text;
  for (int number = 1; !rest.empty(); ++number) {
    const auto end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    const std::string said = trimmed(line.substr(0, line.find('#')));
    for (const std::string_view name : text::words(said))
      if (auto added = add(all, name, fmt::format("{}, line {}", aptfile, number)); !added)
        return added.error();
  }
  return all;
}

std::string joined(const std::vector<std::string>& names, std::string_view between) {
  return fmt::format("{}", fmt::join(names, between));
}

}  // namespace

bool SystemPackages::has_beginning(std::string_view beginning) const {
  return std::ranges::any_of(run,
                             [&](const std::string& name) { return name.starts_with(beginning); });
}

Result<SystemPackages> system_packages(const SourceTree& tree, const Overrides& settings) {
  SystemPackages packages;
  std::string origin = aptfile;
  if (const auto given = settings.find("CC_SYSTEM_PACKAGES")) {
    auto listed = listed_in(*given);
    if (!listed) return listed.error();
    packages.run = std::move(*listed);
    origin = given->origin;
  } else if (tree.has_file(aptfile)) {
    auto listed = read_aptfile(tree);
    if (!listed) return listed.error();
    packages.run = std::move(*listed);
  }
  if (!packages.run.empty())
    packages.reasons.push_back(
        fmt::format("Packages of Debian: {} ({}).", joined(packages.run, ", "), origin));
  if (const auto given = settings.find("CC_BUILD_PACKAGES")) {
    auto listed = listed_in(*given);
    if (!listed) return listed.error();
    std::ranges::set_difference(*listed, packages.run, std::back_inserter(packages.build));
    if (!packages.build.empty())
      packages.reasons.push_back(fmt::format("Packages of Debian for the build alone: {} ({}).",
                                             joined(packages.build, ", "), given->origin));
  }
  return packages;
}

void add_for_build(SystemPackages& packages, const std::vector<std::string>& names,
                   const std::string& why) {
  for (const std::string& name : names) {
    const auto at = std::ranges::lower_bound(packages.build, name);
    if (std::ranges::binary_search(packages.run, name) ||
        (at != packages.build.end() && *at == name))
      continue;
    packages.build.insert(at, name);
    packages.reasons.push_back(
        fmt::format("Package of Debian for the build alone: {} (for {}).", name, why));
  }
}

std::string runtime_with(const std::string& runtime, const SystemPackages& packages) {
  if (packages.empty()) return runtime;
  const std::string both =
      fmt::format("{}\n{}\n", joined(packages.run, " "), joined(packages.build, " "));
  return runtime + "+" + crypto::sha256_hex(both).substr(0, digits_of_a_set);
}

std::string_view plain_runtime(std::string_view key) {
  return key.substr(0, key.find('+'));
}

}  // namespace karreg::builder
