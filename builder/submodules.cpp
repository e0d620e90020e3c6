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
constexpr const char* ssh_key_name = "CC_SSH_PRIVATE_KEY";
constexpr const char* known_hosts_name = "CC_SSH_KNOWN_HOSTS";
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

/// What says that a key for SSH is a file of the repository; empty: nothing does.
std::string origin_of_key_file(const SourceTree& whole, const Overrides& settings) {
  if (const auto given = settings.find("CC_SSH_PRIVATE_KEY_FILE")) return given->origin;
  if (const auto given = settings.find(ssh_key_name); given && given->origin != ssh_key_name)
    return given->origin;
  constexpr const char* of_clever = "clevercloud/ssh.json";
  return whole.has_file(of_clever) ? of_clever : "";
}

/// Is @p host ("example.org", "[example.org]:2222") among those of @p lines, the format of
/// known_hosts (sshd(8))? Lines that cannot be compared, hashed or with patterns, may mean it.
bool is_known_host(const std::string& host, std::string_view lines) {
  while (!lines.empty()) {
    const auto end = lines.find('\n');
    const auto fields = text::words(lines.substr(0, end));
    lines.remove_prefix(end == std::string_view::npos ? lines.size() : end + 1);
    const std::size_t first = !fields.empty() && fields[0].starts_with('@') ? 1 : 0;
    if (fields.size() < first + 3 || fields[0].starts_with('#')) continue;
    std::string_view names = fields[first];
    if (names.find_first_of("|*?") != std::string_view::npos) return true;
    while (!names.empty()) {
      const auto comma = names.find(',');
      if (text::iequals(names.substr(0, comma), host)) return true;
      names.remove_prefix(comma == std::string_view::npos ? names.size() : comma + 1);
    }
  }
  return false;
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
    key_file_ = origin_of_key_file(whole_, settings_);
    if (const auto given = settings_.find(ssh_key_name); given && given->origin == ssh_key_name)
      ssh_key_ = given->value;
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
    const bool has_token = std::ranges::find(hosts_, url->host) != hosts_.end();
    if (url->was_ssh && !has_token && ssh_key_.empty() && !key_file_.empty())
      return key_in_file(path, *url);
    const bool by_ssh = url->was_ssh && !has_token && !ssh_key_.empty();
    if (by_ssh)
      if (auto usable = check_ssh(path, *url); !usable) return usable.error();
    std::string reason = fmt::format("Submodule {}: {} at {}", path,
                                     by_ssh ? url->by_ssh : url->shown, link.commit.substr(0, 12));
    if (by_ssh)
      reason += fmt::format(", with the key of {}", ssh_key_name);
    else if (url->was_ssh)
      reason += ", by HTTPS instead of SSH";
    result_.reasons.push_back(reason + ".");
    if (by_ssh) result_.packages = {"openssh-client"};
    wanted_.push_back({link.path, link.commit, std::move(*url), by_ssh});
    return ok();
  }

  Result<void> check_ssh(const std::string& path, const SubmoduleUrl& url) const {
    if (!ssh_key_.starts_with("-----BEGIN ") || !ssh_key_.contains("PRIVATE KEY-----"))
      return invalid(
          fmt::format("{0} is no private key: one begins with `-----BEGIN OPENSSH PRIVATE "
                      "KEY-----`, and has all its lines. Set it from its file: karreg env set {0} "
                      "\"$(cat FILE)\"",
                      ssh_key_name));
    if (ssh_key_.contains("ENCRYPTED"))
      return invalid(fmt::format(
          "{} is protected by a passphrase, which a build cannot be asked for. Make a key without "
          "one that may read these repositories and nothing else (a deploy key).",
          ssh_key_name));
    const auto said = settings_.find(known_hosts_name);
    if (is_known_host(url.ssh_host, known_ssh_hosts) ||
        (said && is_known_host(url.ssh_host, said->value)))
      return ok();
    return invalid(fmt::format(
        "The submodule {} is fetched by SSH from {}, and nothing says what the key of that host "
        "is. Set {} to what `ssh-keyscan {}` prints, once you have compared it with what the host "
        "publishes.",
        path, url.ssh_host, known_hosts_name,
        url.ssh_host == url.host
            ? url.host
            : "-p " + url.ssh_host.substr(url.ssh_host.rfind(':') + 1) + " " + url.host));
  }

  Error key_in_file(const std::string& path, const SubmoduleUrl& url) const {
    return invalid(
        fmt::format("The submodule {} is fetched by SSH, with the key of {}: a key in a file of "
                    "the repository is known to all who read it. Take it out, make a new one, and "
                    "set it in the "
                    "environment of the app: karreg env set {} \"$(cat FILE)\". If the submodule "
                    "is public, give it the url {}.",
                    path, key_file_, ssh_key_name, url.shown));
  }

  const SourceTree& whole_;
  const std::string& folder_;
  const Overrides& settings_;
  std::vector<std::string> hosts_;  ///< that CC_GIT_CREDENTIALS gives access to
  std::string ssh_key_;             ///< of the environment; may be empty
  std::string key_file_;            ///< what says that one is in a file; empty: nothing does
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
