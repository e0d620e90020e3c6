#include "cli/profile.hpp"

#include <unistd.h>

#include <fstream>

#include "cli/whole_file.hpp"
#include "common/http/message.hpp"
#include "common/json.hpp"

namespace karreg::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

// The consumer that a platform's own token pairs are issued for.
constexpr const char* default_consumer = "karreg-cli";

struct Field {
  const char* key;
  std::string Profile::* member;
  const char* variable;
};
constexpr std::array<Field, 7> fields = {{
    {"api_host", &Profile::api_host, "KARREG_API_HOST"},
    {"token", &Profile::token, "KARREG_TOKEN"},
    {"secret", &Profile::secret, "KARREG_SECRET"},
    {"consumer_key", &Profile::consumer_key, "KARREG_CONSUMER_KEY"},
    {"consumer_secret", &Profile::consumer_secret, "KARREG_CONSUMER_SECRET"},
    {"user_id", &Profile::user_id, nullptr},
    {"email", &Profile::email, nullptr},
}};

Result<Profile> stored(const fs::path& file) {
  Profile profile;
  std::error_code absent;
  if (!fs::exists(file, absent)) return profile;
  auto text = read_whole(file);
  if (!text) return text.error();
  const Json parsed = Json::parse(*text, nullptr, false);
  for (const Field& field : fields) {
    const auto found = parsed.is_object() ? parsed.find(field.key) : parsed.end();
    if (!parsed.is_object() || (found != parsed.end() && !found->is_string()))
      return Error(ErrorKind::invalid, file.string() +
                                           " is not a profile of karreg. Remove it and "
                                           "run `karreg login` again.");
    if (found != parsed.end()) profile.*field.member = found->get<std::string>();
  }
  return profile;
}

}  // namespace

Environment process_environment() {
  Environment environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const auto equals = text.find('=');
    if (equals != std::string::npos) environment[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return environment;
}

std::string variable(const Environment& environment, const std::string& name) {
  const auto found = environment.find(name);
  return found == environment.end() ? "" : found->second;
}

Result<fs::path> profile_file(const Environment& environment) {
  std::string base = variable(environment, "XDG_CONFIG_HOME");
  if (base.empty()) {
    const std::string home = variable(environment, "HOME");
    if (home.empty())
      return Error(
          ErrorKind::invalid,
          "Neither XDG_CONFIG_HOME nor HOME is set, so there is no place for the profile.");
    base = home + "/.config";
  }
  return fs::path(base) / "karreg" / "config.json";
}

Result<Profile> load_profile(const Environment& environment) {
  Profile profile;
  // Without a home everything may still come from the environment.
  if (auto file = profile_file(environment)) {
    auto read = stored(*file);
    if (!read) return read.error();
    profile = std::move(*read);
  }
  // A token from the environment goes with the secret from there, not with the stored one.
  if (!variable(environment, "KARREG_TOKEN").empty()) profile.secret.clear();
  for (const Field& field : fields)
    if (field.variable != nullptr && !variable(environment, field.variable).empty())
      profile.*field.member = variable(environment, field.variable);
  if (profile.consumer_key.empty()) profile.consumer_key = default_consumer;
  if (!profile.api_host.empty()) {
    auto clean = clean_host(profile.api_host);
    if (!clean) return clean.error();
    profile.api_host = *clean;
  }
  return profile;
}

Result<void> save_profile(const Environment& environment, const Profile& profile) {
  auto file = profile_file(environment);
  if (!file) return file.error();
  Json stored = Json::object();
  for (const Field& field : fields)
    if (!(profile.*field.member).empty()) stored[field.key] = profile.*field.member;
  std::error_code failed;
  fs::create_directories(file->parent_path(), failed);
  if (!failed)
    fs::permissions(file->parent_path(), fs::perms::owner_all, fs::perm_options::replace, failed);
  if (failed) return write_error(file->parent_path(), failed.value());
  return write_whole(*file, stored.dump(2) + "\n", 0600);
}

Result<bool> forget_login(const Environment& environment) {
  auto file = profile_file(environment);
  if (!file) return file.error();
  auto profile = stored(*file);
  if (!profile) return profile.error();
  if (!profile->logged_in()) return false;
  Profile left;
  left.api_host = profile->api_host;
  left.consumer_key = profile->consumer_key;
  left.consumer_secret = profile->consumer_secret;
  auto saved = save_profile(environment, left);
  if (!saved) return saved.error();
  return true;
}

Result<std::string> clean_host(const std::string& url) {
  std::string clean = url;
  while (clean.ends_with('/')) clean.pop_back();
  if (auto parsed = http::parse_url(clean); !parsed)
    return Error(ErrorKind::invalid, "`" + url +
                                         "` is not the address of an API: give a URL such as "
                                         "https://api.example.org.");
  return clean;
}

std::string authorization(const Profile& profile) {
  if (profile.secret.empty()) return "Bearer " + profile.token;
  return "OAuth oauth_consumer_key=\"" + profile.consumer_key + "\", oauth_token=\"" +
         profile.token + "\", oauth_signature_method=\"PLAINTEXT\", oauth_signature=\"" +
         profile.consumer_secret + "%26" + profile.secret + "\"";
}

}  // namespace karreg::cli
