#include <chrono>
#include <thread>

#include "cli/browser.hpp"
#include "cli/commands/commands.hpp"
#include "common/http/client.hpp"
#include "common/ids.hpp"

namespace karreg::cli {
namespace {

struct Options {
  std::string api_host;
  std::string token;
  std::string secret;
  std::string consumer_key;
  std::string consumer_secret;
};

Error refused(const Profile& profile, const http::Response& answer) {
  const std::string type(answer.headers.get("content-type").value_or(""));
  return {kind_of_status(answer.status),
          "The platform at " + profile.api_host +
              " refused the login: " + server_message(answer.status, type, answer.body)};
}

/// Asks the user to accept in the console, and waits for it: 60 tries, 2 s apart.
Result<void> by_browser(Session& session, Profile& profile) {
  const std::string request = ids::random_token(20);
  const std::string page = profile.api_host + "/cli-oauth?cli_version=karreg&cli_token=" + request;
  session.terminal().note("Open this page and accept the login:\n\n  " + page + "\n");
  if (session.terminal().interactive()) open_browser(page, session.environment());

  for (int attempt = 0; attempt < 60; ++attempt) {
    http::ClientRequest poll;
    poll.url = profile.api_host + "/v2/self/cli_tokens?cli_token=" + request;
    auto answer = http::fetch_blocking(std::move(poll));
    if (!answer)
      return Error(answer.error().kind(), "The platform at " + profile.api_host +
                                              " cannot be reached: " + answer.error().message());
    if (answer->status == 200) {
      const Json parsed = Json::parse(answer->body, nullptr, false);
      if (!parsed.is_object() || !parsed.contains("token") || !parsed["token"].is_string() ||
          !parsed.contains("secret") || !parsed["secret"].is_string())
        return Error(ErrorKind::unavailable,
                     "The platform at " + profile.api_host + " gave no token for the login.");
      profile.token = parsed["token"].get<std::string>();
      profile.secret = parsed["secret"].get<std::string>();
      profile.consumer_key = parsed.value("consumerKey", profile.consumer_key);
      profile.consumer_secret = parsed.value("consumerSecret", profile.consumer_secret);
      return ok();
    }
    if (answer->status != 404) return refused(profile, *answer);
    std::this_thread::sleep_for(std::chrono::seconds(2));
  }
  return Error(ErrorKind::timeout,
               "Nobody accepted the login within 2 minutes. Run `karreg login` again, or give it "
               "a token with --token: who runs the platform can make one.");
}

Result<int> login(Session& session, const Options& options) {
  auto profile = load_profile(session.environment());
  if (!profile) return profile.error();
  if (!options.api_host.empty()) {
    auto clean = clean_host(options.api_host);
    if (!clean) return clean.error();
    profile->api_host = *clean;
  }
  if (profile->api_host.empty())
    return Error(
        ErrorKind::invalid,
        "Which platform? Give its address: karreg login --api-host https://api.example.org");
  if (!options.secret.empty() && options.token.empty())
    return Error(ErrorKind::invalid, "--secret belongs to a token: give --token too.");
  if (!options.consumer_key.empty()) profile->consumer_key = options.consumer_key;
  if (!options.consumer_secret.empty()) profile->consumer_secret = options.consumer_secret;

  const bool from_environment = !variable(session.environment(), "KARREG_TOKEN").empty();
  if (!options.token.empty()) {
    profile->token = options.token;
    profile->secret = options.secret;
  } else if (!from_environment) {
    if (auto accepted = by_browser(session, *profile); !accepted) return accepted.error();
  }

  auto self = Api(*profile).get("/v2/self");
  if (!self) return self.error();
  profile->user_id = self->value("id", "");
  profile->email = self->value("email", "");
  if (auto saved = save_profile(session.environment(), *profile); !saved) return saved.error();
  if (session.print_json({{"user_id", profile->user_id},
                          {"email", profile->email},
                          {"api_host", profile->api_host}}))
    return 0;
  session.terminal().note("Logged in to " + profile->api_host + " as " + profile->email + ".");
  return 0;
}

}  // namespace

void add_login(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("login", "Log in to a platform and remember it");
  command->add_option("--api-host", options->api_host, "Address of the platform's API")
      ->type_name("URL");
  command
      ->add_option(
          "--token", options->token,
          "A token; alone it is an API token. Without it a page of the console is opened to "
          "accept the login. KARREG_TOKEN keeps it off the command line")
      ->type_name("TOKEN");
  command->add_option("--secret", options->secret, "The secret of the token")->type_name("SECRET");
  command
      ->add_option("--consumer-key", options->consumer_key,
                   "The OAuth consumer that the token was issued for")
      ->type_name("KEY");
  command->add_option("--consumer-secret", options->consumer_secret, "The secret of the consumer")
      ->type_name("SECRET");
  add_format_option(*command, session);
  when_chosen(*command, session, options, login);
}

void add_logout(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("logout", "Forget the login");
  add_format_option(*command, session);
  command->callback([&session] {
    session.action = [&session]() -> Result<int> {
      auto forgot = forget_login(session.environment());
      if (!forgot) return forgot.error();
      if (session.print_json({{"logged_out", *forgot}})) return 0;
      session.terminal().note(*forgot ? "Logged out." : "You were not logged in.");
      return 0;
    };
  });
}

}  // namespace karreg::cli
