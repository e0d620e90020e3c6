#include "images/guest/image_config.hpp"

#include <charconv>
#include <csignal>
#include <optional>
#include <stdexcept>
#include <utility>

#include "common/json.hpp"

namespace karreg::guest {
namespace {

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::optional<unsigned> number(std::string_view text) {
  unsigned value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  // -1 is no user: system calls read it as "leave it".
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() || value == ~0U)
    return std::nullopt;
  return value;
}

[[noreturn]] void wrong(const std::string& what) {
  throw std::runtime_error("the configuration of the image " + what);
}

/// @p config's list of texts; null and a missing one are empty.
std::vector<std::string> texts(const nlohmann::json& config, const char* name) {
  std::vector<std::string> result;
  const auto found = config.find(name);
  if (found == config.end() || found->is_null()) return result;
  if (!found->is_array()) wrong(std::string("has a ") + name + " that is no list");
  for (const nlohmann::json& each : *found) {
    if (!each.is_string()) wrong(std::string("has something other than texts in ") + name);
    result.push_back(each.get<std::string>());
  }
  return result;
}

std::string text(const nlohmann::json& config, const char* name) {
  const auto found = config.find(name);
  if (found == config.end() || found->is_null()) return "";
  if (!found->is_string()) wrong(std::string("has a ") + name + " that is no text");
  return found->get<std::string>();
}

/// "SIGQUIT", "QUIT", "3", "SIGRTMIN+3"; SIGTERM for none.
int signal_of(const std::string_view given_name) {
  std::string_view name = given_name;
  if (name.empty()) return SIGTERM;
  if (const auto given = number(name); given && *given > 0 && *given <= 64)
    return static_cast<int>(*given);
  if (name.starts_with("SIG")) name.remove_prefix(3);
  if (name.starts_with("RTMIN+"))
    if (const auto plus = number(name.substr(6)); plus && *plus <= 30)
      return SIGRTMIN + static_cast<int>(*plus);
  for (const auto& [known, value] : {std::pair<std::string_view, int>{"TERM", SIGTERM},
                                     {"QUIT", SIGQUIT},
                                     {"INT", SIGINT},
                                     {"HUP", SIGHUP},
                                     {"KILL", SIGKILL},
                                     {"USR1", SIGUSR1},
                                     {"USR2", SIGUSR2},
                                     {"WINCH", SIGWINCH}})
    if (name == known) return value;
  wrong("names no signal that is known: StopSignal " + std::string(given_name));
}

using Fields = std::vector<std::string_view>;

/// The line of passwd or group whose name, or else whose number, is @p wanted: 3 fields at least.
std::optional<Fields> find(std::string_view file, std::string_view wanted) {
  std::optional<Fields> by_number;
  for (const std::string_view line : split(file, '\n')) {
    Fields fields = split(line, ':');
    if (fields.size() < 3) continue;
    if (fields[0] == wanted) return fields;
    if (!by_number && fields[2] == wanted) by_number = std::move(fields);
  }
  return by_number;
}

}  // namespace

std::vector<std::string> ImageConfig::start() const {
  std::vector<std::string> argv = entrypoint;
  argv.insert(argv.end(), cmd.begin(), cmd.end());
  if (argv.empty())
    throw std::runtime_error(
        "the image has neither ENTRYPOINT nor CMD: add one to the Dockerfile, or set "
        "CC_RUN_COMMAND");
  return argv;
}

ImageConfig parse_image_config(std::string_view json) {
  auto config = nlohmann::json::parse(json, nullptr, false);
  if (!config.is_object()) wrong("is no JSON object");
  // The whole document: what a process needs of it is in an object of it.
  if (const auto inner = config.find("config"); inner != config.end()) {
    nlohmann::json process = std::move(*inner);
    config = process.is_null() ? nlohmann::json::object() : std::move(process);
    if (!config.is_object()) wrong("has a `config` that is no object");
  }
  ImageConfig result;
  result.user = text(config, "User");
  for (const std::string& each : texts(config, "Env")) {
    const auto equals = each.find('=');
    if (equals == 0 || equals == std::string::npos) wrong("has a variable without a name: " + each);
    result.env[each.substr(0, equals)] = each.substr(equals + 1);
  }
  result.entrypoint = texts(config, "Entrypoint");
  result.cmd = texts(config, "Cmd");
  if (const std::string directory = text(config, "WorkingDir"); !directory.empty())
    result.directory = directory.starts_with('/') ? directory : "/" + directory;
  result.stop_signal = signal_of(text(config, "StopSignal"));
  return result;
}

User user_of(std::string_view user, std::string_view passwd, std::string_view group) {
  const auto colon = user.find(':');
  const std::string_view name = user.substr(0, colon);
  const std::string_view wanted_group =
      colon == std::string_view::npos ? "" : user.substr(colon + 1);
  User result{0, 0, {}, "/"};
  std::string_view known_as;
  const auto line = find(passwd, name.empty() ? "0" : name);
  if (line && line->size() >= 6) {
    const auto uid = number((*line)[2]);
    const auto gid = number((*line)[3]);
    if (!uid || !gid) wrong("has a user whose line in /etc/passwd has no numbers");
    known_as = (*line)[0];
    result.uid = *uid;
    result.gid = *gid;
    if (!(*line)[5].empty()) result.home = (*line)[5];
  } else if (!name.empty()) {
    const auto uid = number(name);
    if (!uid) wrong("has the user " + std::string(name) + ", whom its /etc/passwd does not have");
    result.uid = *uid;
  }
  if (!wanted_group.empty()) {
    const auto found = find(group, wanted_group);
    const auto gid = number(found ? (*found)[2] : wanted_group);
    if (!gid)
      wrong("has the group " + std::string(wanted_group) + ", which its /etc/group does not have");
    result.gid = *gid;
    return result;
  }
  for (const std::string_view each : split(group, '\n')) {
    const auto fields = split(each, ':');
    if (known_as.empty() || fields.size() < 4) continue;
    for (const std::string_view member : split(fields[3], ','))
      if (const auto gid = number(fields[2]); member == known_as && gid && *gid != result.gid)
        result.groups.push_back(*gid);
  }
  return result;
}

}  // namespace karreg::guest
