#pragma once
/// Which URL of a submodule a build fetches from: pure. What asks for SSH is asked for by HTTPS,
/// which public repositories answer and most private ones with a token; with a key, by SSH.

#include <string>
#include <string_view>
#include <vector>

#include "common/error.hpp"

namespace karreg::builder {

struct SubmoduleUrl {
  std::string fetched;  ///< https:// or http://, with the user and the password if it has some
  std::string shown;    ///< the same without user and password, for logs
  std::string site;     ///< "https://example.org:8443/"
  std::string host;     ///< "example.org", in lower case
  bool was_ssh = false;
  std::string by_ssh = {};    ///< of one that asks for SSH: "ssh://git@example.org:22/a/b.git"
  std::string ssh_host = {};  ///< as known_hosts names it: "example.org", "[example.org]:2222"
};

/// Whether @p url ("../lib.git") means a place beside the repository that names it.
bool is_relative_url(std::string_view url);

/// Error `invalid`: why it cannot be fetched from @p url and what to do, without user and password.
Result<SubmoduleUrl> parse_submodule_url(std::string_view url);

/// The hosts that CC_GIT_CREDENTIALS gives access to: `https://USER:TOKEN@HOST`, several with
/// blanks or lines between them, as in a file of git-credential-store(1). Error `invalid` names the
/// first that has another form by its number, for it may hold a secret.
Result<std::vector<std::string>> hosts_of_credentials(std::string_view credentials);

}  // namespace karreg::builder
