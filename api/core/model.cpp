#include "api/core/model.hpp"

#include <algorithm>

#include "common/flavors.hpp"
#include "common/text.hpp"

namespace karreg::api {

namespace {
bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}
}  // namespace

Result<void> check_app_name(const std::string& name) {
  const auto bad = [&](const std::string& why) {
    return Error(ErrorKind::invalid, "the application name " + why);
  };
  if (name.empty()) return bad("is empty; give it 1 to 64 characters");
  if (name.size() > 64) return bad("has more than 64 characters");
  for (char c : name)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return bad("holds a control character");
  return ok();
}

Result<void> check_env_name(const std::string& name) {
  const bool good =
      !name.empty() && name.size() <= 256 && !(name[0] >= '0' && name[0] <= '9') &&
      std::ranges::all_of(name, [](char c) { return is_alphanumeric(c) || c == '_'; });
  if (good) return ok();
  return Error(ErrorKind::invalid,
               "\"" + name.substr(0, 80) +
                   "\" is no name for an environment variable: letters, digits and "
                   "underscores, not beginning with a digit");
}

Result<void> check_env_value(const std::string& name, const std::string& value) {
  if (value.size() > 64UL * 1024)
    return Error(ErrorKind::too_large, "the value of " + name + " is larger than 64 KiB");
  if (value.find('\0') != std::string::npos)
    return Error(ErrorKind::invalid, "the value of " + name + " holds a NUL character");
  return ok();
}

Result<void> check_env(const Env& env) {
  std::size_t bytes = 0;
  for (const auto& [name, value] : env) {
    auto good = check_env_name(name);
    if (good) good = check_env_value(name, value);
    if (!good) return good;
    bytes += name.size() + value.size();
  }
  // All of it travels to a VM in one message (common/wire/guest.hpp).
  if (bytes > max_env_bytes)
    return Error(ErrorKind::too_large,
                 "the environment is too large: " + std::to_string((bytes + 1023) / 1024) +
                     " KiB, at most " + std::to_string(max_env_bytes / 1024) +
                     " KiB: put large values into files of the repository");
  return ok();
}

Result<void> check_flavor(const std::string& name) {
  if (find_flavor(name)) return ok();
  std::string names;
  for (const auto& flavor : flavors)
    names += (names.empty() ? "" : ", ") + std::string(flavor.name);
  return Error(ErrorKind::invalid, "there is no size \"" + name + "\"; there are " + names);
}

bool is_smaller_flavor(const std::string& a, const std::string& b) {
  const auto place = [](const std::string& name) {
    return std::ranges::find(flavors, name, &Flavor::name) - flavors.begin();
  };
  return place(a) < place(b);
}

Result<void> check_branch(const std::string& name) {
  bool good = !name.empty() && name.size() <= 200 && name != "@" && name.front() != '-' &&
              name.find_first_of(" ~^:?*[\\\x7f") == std::string::npos &&
              std::ranges::none_of(name, [](char c) { return c >= 0 && c < 0x20; }) &&
              name.find("..") == std::string::npos && name.find("@{") == std::string::npos;
  for (std::size_t begin = 0; good && begin <= name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    const std::string part = name.substr(begin, end - begin);
    good = !part.empty() && part.front() != '.' && part.back() != '.' && !part.ends_with(".lock");
    begin = end + 1;
  }
  if (good) return ok();
  return Error(ErrorKind::invalid, "\"" + name.substr(0, 80) + "\" is no name for a branch");
}

Result<Vhost> parse_fqdn(const std::string& fqdn) {
  const auto bad = [&](const std::string& why) {
    return Error(ErrorKind::invalid,
                 "\"" + fqdn.substr(0, 120) + "\" is no domain name: " + why +
                     "; expected something like example.com or example.com/api");
  };
  const auto slash = fqdn.find('/');
  Vhost vhost;
  vhost.host = text::lower(fqdn.substr(0, slash));
  if (slash != std::string::npos) vhost.path = fqdn.substr(slash);
  if (!vhost.path.ends_with('/')) vhost.path += '/';
  if (vhost.host.empty() || vhost.host.size() > 253) return bad("its length is not 1 to 253");
  std::string label;
  for (char c : vhost.host + ".") {
    if (c != '.') {
      if (!is_alphanumeric(c) && c != '-')
        return bad(std::string("the character '") + c + "' is not allowed");
      label += c;
      continue;
    }
    if (label.empty()) return bad("it has an empty label");
    if (label.size() > 63) return bad("a label is longer than 63 characters");
    if (label.front() == '-' || label.back() == '-')
      return bad("a label begins or ends with a dash");
    label.clear();
  }
  if (vhost.host.find('.') == std::string::npos) return bad("it has no dot");
  if (vhost.path.size() > 255 || vhost.path.find("//") != std::string::npos ||
      vhost.path.find("/./") != std::string::npos || vhost.path.find("/../") != std::string::npos ||
      vhost.path.find_first_of(" ?#\\") != std::string::npos)
    return bad("the path is malformed");
  return vhost;
}

std::string slug(const std::string& name) {
  std::string result;
  for (char c : name) {
    if (is_alphanumeric(c))
      result += text::lower(c);
    else if (!result.empty() && result.back() != '-')
      result += '-';
  }
  if (result.size() > 50) result.resize(50);
  while (!result.empty() && result.back() == '-') result.pop_back();
  return result.empty() ? "app" : result;
}

}  // namespace karreg::api
