#pragma once
// A real karreg-api as a process, with a database of its own and the broker, and calls to it.

#include <netinet/in.h>
#include <sys/socket.h>

#include <ctime>

#include "common/crypto/digest.hpp"
#include "common/http/client.hpp"
#include "common/json.hpp"
#include "support/programs.hpp"
#include "support/services.hpp"

namespace karreg::test {

using Json = nlohmann::json;

inline std::uint16_t free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  REQUIRE(fd >= 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&address), length) == 0);
  REQUIRE(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  close(fd);
  return ntohs(address.sin_port);
}

inline std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

/// What `admin create-user` gave.
struct User {
  Json made;
  std::string text(const char* name) const { return made.at(name).get<std::string>(); }
  std::string bearer() const { return "Bearer " + text("api_token"); }
  /// OAuth 1.0 PLAINTEXT, as command lines of the vendor send it.
  std::string plaintext() const {
    return "OAuth oauth_consumer_key=\"" + text("consumer_key") + "\", oauth_token=\"" +
           text("token") + "\", oauth_signature=\"" + text("consumer_secret") + "%26" +
           text("secret") + "\"";
  }
  /// OAuth 1.0 with HMAC-SHA512 (RFC 5849 §3.4), for a GET of @p url, which has no query.
  std::string hmac(const std::string& url, const std::string& nonce, std::time_t time) const {
    using http::percent_encode;
    const Json parameters = {{"oauth_consumer_key", text("consumer_key")},
                             {"oauth_nonce", nonce},
                             {"oauth_signature_method", "HMAC-SHA512"},
                             {"oauth_timestamp", std::to_string(time)},
                             {"oauth_token", text("token")},
                             {"oauth_version", "1.0"}};
    std::string joined;
    std::string header = "OAuth ";
    for (const auto& [name, value] : parameters.items()) {
      const auto encoded = percent_encode(value.get<std::string>());
      joined += (joined.empty() ? "" : "&") + name + "=" + encoded;
      header += name + "=\"" + encoded + "\", ";
    }
    const std::string base = "GET&" + percent_encode(url) + "&" + percent_encode(joined);
    const std::string key =
        percent_encode(text("consumer_secret")) + "&" + percent_encode(text("secret"));
    const std::string signature = crypto::base64_encode(crypto::hmac_sha512(key, base));
    return header + "oauth_signature=\"" + percent_encode(signature) + "\"";
  }
};

class AnApi {
 public:
  /// @p more: settings besides the usual; @p broker: where the API finds its broker.
  explicit AnApi(const std::string& purpose, const Environment& more = {},
                 const broker::Address& broker = test_broker())
      : database_("api_" + purpose),
        api_(program("karreg-api"), scratch_ / "api.log"),
        port_(free_port()) {
    settings_ = broker_settings(broker);
    settings_["PATH"] = std::getenv("PATH");
    settings_["KARREG_DATABASE_URL"] = database_.url();
    settings_["KARREG_DATA_DIR"] = (scratch_ / "data").string();
    settings_["KARREG_SECRETS_KEY_FILE"] = (scratch_ / "secret.key").string();
    settings_["KARREG_API_LISTEN"] = "127.0.0.1:" + std::to_string(port_);
    settings_["KARREG_API_PUBLIC_URL"] = url();
    for (const auto& [name, value] : more) settings_[name] = value;
    std::filesystem::create_directories(scratch_ / "data/run");
    start();
  }

  /// Starts it, also again after its end.
  void start() {
    const auto starts = [&] { return count(api_.log(), "API is up"); };
    const std::size_t before = starts();
    api_.start(settings_);
    eventually("the API is up", [&] { return starts() > before; });
  }
  Daemon& process() { return api_; }
  const ScratchFolder& scratch() const { return scratch_; }
  std::uint16_t port() const { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  TestDatabase& database() { return database_; }
  std::string log() const { return api_.log(); }
  void await_log(const std::string& text) const { api_.await_log(text); }
  /// As an operator does: SIGTERM; its exit code.
  int stop() { return api_.stop(SIGTERM); }

  User make_user(const std::string& email, const std::string& password = "") {
    std::string exports;
    for (const auto& [name, value] : settings_) exports += name + "='" + value + "' ";
    const std::string made =
        must_run("printf '%s\n' '" + password + "' | env -i " + exports + program("karreg-api") +
                 " admin create-user --email " + email + " --name Somebody" +
                 (password.empty() ? "" : " --password-stdin") + " 2>/dev/null");
    return {Json::parse(made)};
  }

  http::Response call(const std::string& authorization, const std::string& method,
                      const std::string& path, const std::string& body = "",
                      http::Headers headers = {}) const {
    http::ClientRequest request{method, url() + path, std::move(headers), body};
    if (!authorization.empty()) request.headers.add("Authorization", authorization);
    auto response = http::fetch_blocking(std::move(request));
    INFO(method << " " << path);
    REQUIRE(response);
    return *response;
  }
  http::Response call(const User& user, const std::string& method, const std::string& path,
                      const std::string& body = "") const {
    return call(user.bearer(), method, path, body);
  }
  /// As call(), and the test fails unless it is answered well.
  Json good(const User& user, const std::string& method, const std::string& path,
            const std::string& body = "") const {
    const auto response = call(user, method, path, body);
    INFO(method << " " << path << "\n" << response.body);
    REQUIRE(response.status < 300);
    return response.body.empty() ? Json() : Json::parse(response.body);
  }
  /// The id of a new application.
  std::string make_app(const User& user, const std::string& name) const {
    return good(user, "POST", "/v2/self/applications", Json({{"name", name}}).dump())["id"];
  }
  /// The id of a commit in the repository of @p app, the same each time for the same @p message.
  std::string make_commit(const std::string& app, const std::string& message = "a version") const {
    const std::string git =
        "GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z' git "
        "-c user.name=A -c user.email=a@example.org --git-dir=" +
        (scratch_ / "data/repos").string() + "/" + app + ".git ";
    const std::string id = must_run(git + "commit-tree -m '" + message + "' $(" + git +
                                    "hash-object -t tree -w /dev/null)");
    return id.substr(0, id.find('\n'));
  }

 private:
  ScratchFolder scratch_;
  TestDatabase database_;
  Daemon api_;
  std::uint16_t port_;
  Environment settings_;
};

inline std::string message_of(const http::Response& response) {
  INFO(response.body);
  return Json::parse(response.body).at("message").get<std::string>();
}

}  // namespace karreg::test
