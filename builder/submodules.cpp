#include "builder/submodules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "builder/git_config.hpp"
#include "builder/language.hpp"
#include "builder/submodule_step.hpp"
#include "common/text.hpp"

namespace karreg::builder {
namespace {

constexpr const char* gitmodules = ".gitmodules";
constexpr const char* credentials_name = "CC_GIT_CREDENTIALS";
constexpr std::size_t max_submodules = 100;
constexpr std::size_t max_path_bytes = 1000;
/// Linux takes 128 KiB as one word of a command line, which a step is.
constexpr std::size_t max_step_bytes = std::size_t{100} << 10;

Error invalid(std::string message) {
  return {ErrorKind::invalid, std::move(message)};
}

/// What .gitmodules says about one.
struct Named {
  std::string path;
  std::string url;
  std::string update;
};

/// @p written in the form of SourceTree, if it stays in the tree and out of git's own folders.
Result<std::string> usable_path(const SourceTree& whole, const std::string& name,
                                const std::string& written) {
  const auto refuse = [&](const std::string& why) {
    return invalid(
        fmt::format("{}: the path `{}` of the submodule \"{}\" {}. Correct it, or remove "
                    "the entry.",
                    gitmodules, written.substr(0, 100), name.substr(0, 100), why));
  };
  if (written.size() > max_path_bytes)
    return refuse(fmt::format("has more than {} bytes", max_path_bytes));
  if (std::ranges::any_of(written, [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) == 0x7F;
      }))
    return refuse("has a control character");
  if (written.starts_with('-')) return refuse("begins with a dash");
  const auto path = path_inside(written);
  if (!path || path->empty() || written.starts_with('/')) return refuse("leaves the repository");
  for (std::size_t end = 0; end != std::string::npos;) {
    const std::size_t begin = end == 0 ? 0 : end + 1;
    end = path->find('/', begin);
    if (text::iequals(path->substr(begin, end - begin), ".git"))
      return refuse("leads into a folder of git");
    const std::string_view above = std::string_view(*path).substr(0, end);
    if (end != std::string::npos && whole.kind(above) == EntryKind::link)
      return refuse(fmt::format("goes through the link {}", above));
  }
  return *path;
}

/// By path.
Result<std::map<std::string, Named>> read_gitmodules(const SourceTree& whole) {
  std::map<std::string, Named> by_path;
  if (!whole.has_file(gitmodules)) return by_path;
  auto text = whole.read(gitmodules, max_inspected_bytes);
  if (!text) return invalid(text.error().message());
  auto entries = parse_git_config(*text);
  if (!entries) return invalid(std::string(gitmodules) + ", " + entries.error().message() + ".");
  std::map<std::string, Named> by_name;
  for (const GitConfigEntry& entry : *entries) {
    if (entry.section != "submodule" || entry.subsection.empty()) continue;
    Named& named = by_name[entry.subsection];
    if (entry.key == "path") named.path = entry.value;
    if (entry.key == "url") named.url = entry.value;
    if (entry.key == "update") named.update = entry.value;
  }
  for (auto& [name, named] : by_name) {
    if (named.path.empty()) continue;  // git passes over it, too
    auto path = usable_path(whole, name, named.path);
    if (!path) return path.error();
    if (!by_path.try_emplace(*path, std::move(named)).second)
      return invalid(fmt::format("{} has two entries for the path {}. Remove one of them.",
                                 gitmodules, *path));
  }
  return by_path;
}

std::string listed(const std::vector<Gitlink>& links) {
  constexpr std::size_t most = 12;
  std::string text;
  for (std::size_t i = 0; i < links.size() && i < most; ++i)
    text += (i == 0 ? "" : ", ") + links[i].path;
  if (links.size() > most) text += fmt::format(" and {} more", links.size() - most);
  return text;
}

Result<bool> is_disabled(const Overrides& settings) {
  const auto given = settings.find("CC_DISABLE_GIT_SUBMODULES");
  if (!given) return false;
  const std::string value = text::lower(given->value);
  if (value == "true" || value == "1" || value == "yes") return true;
  if (value == "false" || value == "0" || value == "no") return false;
  return invalid(given->origin + "=" + given->value + " is neither true nor false.");
}

Result<std::vector<std::string>> accessible_hosts(const Overrides& settings) {
  const auto given = settings.find(credentials_name);
  if (!given) return std::vector<std::string>();
  if (given->origin != credentials_name)
    return invalid(given->origin +
                   " is a secret in a file of the repository. Take it out, make a new token, and "
                   "set it in the environment of the app: karreg env set " +
                   credentials_name + " https://USER:TOKEN@HOST");
  auto hosts = hosts_of_credentials(given->value);
  if (!hosts) return invalid(given->origin + ": " + hosts.error().message());
  return hosts;
}

/// What gives a key for SSH; empty: nothing does.
std::string origin_of_ssh_key(const SourceTree& whole, const Overrides& settings) {
  for (const char* name : {"CC_SSH_PRIVATE_KEY", "CC_SSH_PRIVATE_KEY_FILE"})
    if (const auto given = settings.find(name)) return given->origin;
  constexpr const char* of_clever = "clevercloud/ssh.json";
  return whole.has_file(of_clever) ? of_clever : "";
}

class Planner {
 public:
  Planner(const SourceTree& whole, const std::string& folder, const Overrides& settings)
      : whole_(whole), folder_(folder), settings_(settings) {}

  Result<Submodules> plan(const std::vector<Gitlink>& links) {
    auto named = read_gitmodules(whole_);
    // Repositories that have no submodules any more still have the file, whatever it says.
    if (!named && links.empty()) return Submodules();
    if (!named) return named.error();
    auto hosts = accessible_hosts(settings_);
    if (!hosts) return hosts.error();
    hosts_ = std::move(*hosts);
    ssh_key_ = origin_of_ssh_key(whole_, settings_);
    for (const Gitlink& link : links) {
      const auto found = named->find(join_path(folder_, link.path));
      if (found == named->end()) return without_entry(link);
      if (auto done = add(link, found->second); !done) return done.error();
      named->erase(found);
    }
    const std::string below = folder_.empty() ? "" : folder_ + "/";
    for (const auto& [path, unused] : *named)
      if (path.starts_with(below))
        result_.reasons.push_back(
            fmt::format("Nothing is fetched for {} of {}: the commit has no submodule there.", path,
                        gitmodules));
    if (!wanted_.empty() && result_.problem.empty()) {
      result_.step = submodule_step(wanted_);
      if (result_.step->command.size() > max_step_bytes)
        return invalid(
            "The paths and urls of the submodules are too long together. Give them "
            "shorter ones, or put some of the submodules into one repository.");
    }
    return std::move(result_);
  }

 private:
  Error without_entry(const Gitlink& link) const {
    const std::string path = join_path(folder_, link.path);
    return invalid(fmt::format(
        "{0} is a git submodule, and {1}, which would say where it comes from. Add that (git "
        "submodule add URL {0}), or take it out of the commit (git rm --cached {0}).",
        path,
        whole_.has_file(gitmodules) ? ".gitmodules has no entry with its path"
                                    : "the repository has no file .gitmodules"));
  }

  Result<void> add(const Gitlink& link, const Named& named) {
    const std::string path = join_path(folder_, link.path);
    if (named.update == "none") {
      result_.reasons.push_back(
          fmt::format("The submodule {} stays empty (update = none of {}).", path, gitmodules));
      return ok();
    }
    if (named.url.empty())
      return invalid(
          fmt::format("{}: the submodule {} has no url. Add one: git submodule set-url {} "
                      "https://HOST/PATH",
                      gitmodules, path, path));
    if (is_relative_url(named.url)) {
      if (result_.problem.empty())
        result_.problem = fmt::format(
            "The submodule {} has the relative url {}, which means a repository beside this one, "
            "and there are no others here that a build could fetch. Give it a whole one: git "
            "submodule set-url {} https://HOST/PATH",
            path, named.url, path);
      return ok();
    }
    auto url = parse_submodule_url(named.url);
    if (!url)
      return invalid(
          fmt::format("{}: the submodule {}: {}", gitmodules, path, url.error().message()));
    if (url->was_ssh && !ssh_key_.empty() && std::ranges::find(hosts_, url->host) == hosts_.end())
      return ssh_with_key(path, *url);
    std::string reason =
        fmt::format("Submodule {}: {} at {}", path, url->shown, link.commit.substr(0, 12));
    if (url->was_ssh) reason += ", by HTTPS instead of SSH";
    result_.reasons.push_back(reason + ".");
    wanted_.push_back({link.path, link.commit, std::move(*url)});
    return ok();
  }

  Error ssh_with_key(const std::string& path, const SubmoduleUrl& url) const {
    return invalid(fmt::format(
        "The submodule {} is fetched by SSH, with the key of {}: a build reaches hosts by HTTPS "
        "alone. Set {}=https://USER:TOKEN@{} with a token that may read the repository; if it is "
        "public, give it the url {}.",
        path, ssh_key_, credentials_name, url.host, url.shown));
  }

  const SourceTree& whole_;
  const std::string& folder_;
  const Overrides& settings_;
  std::vector<std::string> hosts_;  ///< that CC_GIT_CREDENTIALS gives access to
  std::string ssh_key_;             ///< what gives one; empty: nothing does
  std::vector<Submodule> wanted_;
  Submodules result_;
};

}  // namespace

Result<Submodules> submodules_of(const SourceTree& whole, const std::string& folder,
                                 const Overrides& settings) {
  auto links = whole.gitlinks(folder);
  if (!links) return links.error();
  auto disabled = is_disabled(settings);
  if (!disabled) return disabled.error();
  if (*disabled && links->empty()) return Submodules();
  if (*disabled)
    return Submodules{
        {},
        {fmt::format("Submodules stay empty (CC_DISABLE_GIT_SUBMODULES): {}.", listed(*links))},
        {}};
  if (links->size() > max_submodules)
    return invalid(
        fmt::format("The app has {} submodules, and a build fetches {} at the most: {}. "
                    "Put some of them into one repository.",
                    links->size(), max_submodules, listed(*links)));
  return Planner(whole, folder, settings).plan(*links);
}

std::optional<std::string> submodule_at(const SourceTree& whole, std::string_view path) {
  for (std::size_t end = 0; end != std::string_view::npos;) {
    end = path.find('/', end == 0 ? 0 : end + 1);
    const std::string_view above = path.substr(0, end);
    if (whole.kind(above) == EntryKind::submodule) return std::string(above);
  }
  return std::nullopt;
}

}  // namespace karreg::builder
