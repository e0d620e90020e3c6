#pragma once
/// What may stand in a set of rules. Pure; each says what is wrong, or nothing.

#include <optional>
#include <string>
#include <string_view>

#include "common/wire/rules.hpp"

namespace karreg::wire {

using Wrong = std::optional<std::string>;

/// "must be ..." for a host in lower case without a port.
Wrong check_rule_host(std::string_view host);
/// A path as requests have it: begins with '/', no query, no space, no control characters.
Wrong check_rule_path(std::string_view path);
Wrong check_redirect_target(std::string_view to);
/// Whether a visitor who follows @p redirect would come back to it for ever.
bool leads_to_itself(const Redirect& redirect);
Wrong check_cidr(std::string_view range);
/// Hashes that crypt(5) knows as fit for passwords, and that cost no more than a proxy can spend.
Wrong check_password_hash(std::string_view hash);
Wrong check_user_name(std::string_view name);
/// @p of_request: of a request; else of an answer. Fields about framing, about one connection and
/// about where a request came from are the proxy's.
Wrong check_rule_field(std::string_view name, bool of_request);
Wrong check_field_value(std::string_view value);
/// Certificates of authorities, as PEM, and nothing that is secret.
Wrong check_client_ca(std::string_view pem);
/// Certificates of authorities, or of instances themselves, the same way.
Wrong check_instance_ca(std::string_view pem);
Wrong check_security_field(std::string_view name, std::string_view value);

}  // namespace karreg::wire
