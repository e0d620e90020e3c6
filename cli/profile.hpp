#pragma once
/// Who we are and where the platform is: `$XDG_CONFIG_HOME/karreg/config.json` (mode 0600), and the
/// environment, which wins.

#include <filesystem>
#include <map>
#include <string>

#include "common/error.hpp"

namespace karreg::cli {

using Environment = std::map<std::string, std::string>;

/// This process's environment.
Environment process_environment();
/// The value of @p name, or nothing but "".
std::string variable(const Environment& environment, const std::string& name);

struct Profile {
  std::string api_host;      ///< "https://api.example.org", no slash at the end
  std::string token;         ///< OAuth1 token, or an API token when `secret` is empty
  std::string secret;        ///< OAuth1 token secret
  std::string consumer_key;  ///< OAuth1 consumer that the token was issued for
  std::string consumer_secret;
  std::string user_id;
  std::string email;

  bool logged_in() const { return !token.empty(); }
};

/// Where the profile is stored.
Result<std::filesystem::path> profile_file(const Environment& environment);
/// The stored profile (an empty one when there is none) with KARREG_API_HOST, KARREG_TOKEN,
/// KARREG_SECRET, KARREG_CONSUMER_KEY and KARREG_CONSUMER_SECRET over it. Error `invalid` for a
/// broken file.
Result<Profile> load_profile(const Environment& environment);
/// Stores @p profile whole, readable by its owner alone.
Result<void> save_profile(const Environment& environment, const Profile& profile);
/// Forgets token and secret; the host stays. False when there was nothing to forget.
Result<bool> forget_login(const Environment& environment);

/// @p url without slashes at its end. Error `invalid` when it is no http(s) URL.
Result<std::string> clean_host(const std::string& url);

/// The Authorization header of @p profile: OAuth1 PLAINTEXT (RFC 5849 §3.4.4) with a secret, else
/// Bearer.
std::string authorization(const Profile& profile);

}  // namespace karreg::cli
