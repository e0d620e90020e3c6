#pragma once
/// Calls to the platform's API.

#include <functional>
#include <optional>
#include <string>

#include "cli/profile.hpp"
#include "cli/sse.hpp"
#include "common/error.hpp"
#include "common/json.hpp"

namespace karreg::cli {

using Json = nlohmann::json;

class Api {
 public:
  explicit Api(Profile profile) : profile_(std::move(profile)) {}

  const Profile& profile() const { return profile_; }

  /// One call; null for an answer without a body. Errors by status: `unauthorized` (401),
  /// `forbidden` (403), `not_found` (404), `conflict` (409), `too_large` (413), `invalid` (other
  /// 4xx), `unavailable` (5xx, or no answer), with the server's own message.
  Result<Json> get(const std::string& path) const { return call("GET", path, std::nullopt); }
  Result<Json> post(const std::string& path, const std::optional<Json>& body = {}) const {
    return call("POST", path, body);
  }
  Result<Json> put(const std::string& path, const std::optional<Json>& body = {}) const {
    return call("PUT", path, body);
  }
  Result<Json> remove(const std::string& path) const { return call("DELETE", path, std::nullopt); }

  /// Reads server-sent events until @p on_event returns false or the stream ends. @p last_id:
  /// resume after it when not empty.
  Result<void> events(const std::string& path, const std::string& last_id,
                      const std::function<bool(const SseEvent&)>& on_event) const;

 private:
  Result<Json> call(const std::string& method, const std::string& path,
                    const std::optional<Json>& body) const;
  Result<void> ready() const;

  Profile profile_;
};

/// The message of an error answer: its text, `message` or `error`.
std::string server_message(int status, const std::string& content_type, const std::string& body);
/// The kind of an answer with @p status of 400 or more.
ErrorKind kind_of_status(int status);

}  // namespace karreg::cli
