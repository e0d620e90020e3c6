// karreg-api: REST API, git receiver, console. Parses, wires, waits.
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <iostream>

#include "api/clever/resources.hpp"
#include "api/console/console.hpp"
#include "api/events/hub.hpp"
#include "api/git/hook.hpp"
#include "api/git/orphans.hpp"
#include "api/git/push_server.hpp"
#include "api/git/receiver.hpp"
#include "api/git/repositories.hpp"
#include "api/git/upkeep.hpp"
#include "api/janitor.hpp"
#include "api/logs/follower.hpp"
#include "api/presence.hpp"
#include "api/stores/users_store.hpp"
#include "api/stores/vault_store.hpp"
#include "common/async/run.hpp"
#include "common/db/migrate.hpp"
#include "common/db/outbox.hpp"
#include "common/open_files.hpp"
#include "common/program.hpp"

namespace {

using namespace karreg;
using namespace std::chrono_literals;

api::Routes all_routes(const api::Services& services, api::EventHub& events) {
  api::Routes routes;
  routes.add(
      "GET", "/healthz",
      [](const api::Call&, pqxx::work&) -> Result<api::Answer> {
        return api::done("the API is up");
      },
      api::Access::anyone);
  api::clever::add_account(routes);
  api::clever::add_applications(routes);
  api::clever::add_environment(routes);
  api::clever::add_vhosts(routes);
  api::clever::add_rules(routes);
  api::clever::add_jobs(routes);
  api::clever::add_images(routes);
  api::clever::add_certificates(routes);
  api::clever::add_tcp_redirections(routes);
  api::clever::add_deployments(routes);
  api::clever::add_logs(routes, services);
  api::clever::add_events(routes, services, events);
  api::console::add_console(routes, services);
  api::console::add_hosts(routes);
  api::console::add_cli_login(routes);
  api::git::add_git(routes, services);
  return routes;
}

/// Of one connection, at most: a push has its client's, those of git, and the hook's.
constexpr std::size_t files_of_a_connection = 6;

http::ServerLimits server_limits() {
  http::ServerLimits limits;
  limits.connections = possible_connections(limits.connections, files_of_a_connection);
  return limits;
}

Result<void> serve(const api::Settings& settings) {
  auto migrated = db::migrate(settings.database_url, 60s);
  if (!migrated) return migrated;
  db::Database database(settings.database_url, 8);
  auto vault = api::open_vault(database, settings.key_file);
  if (!vault) return vault.error();
  auto hooks = api::git::install_hooks(settings, std::filesystem::read_symlink("/proc/self/exe"));
  if (!hooks) return hooks;
  broker::Publisher publisher(settings.broker);
  db::OutboxRelay relay(settings.database_url, publisher);
  // Before the io_context: what is left in it at the end gives its slots back.
  api::ReaderSlots log_slots(settings.log_readers, settings.log_readers_per_user);
  asio::io_context io(1);
  asio::thread_pool pool(8);
  asio::thread_pool log_pool(settings.log_readers + 1);
  asio::thread_pool password_pool(2);
  api::Presence presence(settings.database_url);
  auto present = presence.hold();
  if (!present) return present;
  const api::Services services{settings, *vault,        database,  publisher,    pool,
                               log_pool, password_pool, log_slots, presence.id()};
  api::EventHub events(io.get_executor(), services);
  const api::Routes routes = all_routes(services, events);
  http::Server server(
      io.get_executor(),
      api::make_handler(services, routes, api::console::static_files(settings.webui_dir)),
      server_limits());
  api::git::PushServer pushes(io.get_executor(), services);
  TaskGroup tasks(io.get_executor());
  api::git::Orphans orphans(services);
  auto started = orphans.adopt();
  if (started) started = pushes.start();
  if (started) started = server.start(settings.listen);
  if (!started) return started;
  events.start();
  tasks.spawn("upkeep", api::git::upkeep_for_ever(services));
  tasks.spawn("janitor", api::sweep_for_ever(services, presence, orphans));
  log::info("API is up",
            {log::field("port", server.port()), log::field("url", settings.public_url)});
  // NOLINTNEXTLINE(cppcoreguidelines-avoid-capturing-lambda-coroutines): kept until it is done
  run_until_signal(io, [&]() -> awaitable<void> {
    events.stop();
    co_await tasks.stop(100ms);
    co_await pushes.stop();
    co_await server.stop(3s);
  });
  relay.stop();
  publisher.stop(2s);
  return ok();
}

struct NewUser {
  std::string email;
  std::string name;
  bool password_from_stdin = false;
};

Result<void> create_user(const api::Settings& settings, const NewUser& wanted) {
  auto migrated = db::migrate(settings.database_url, 60s);
  if (!migrated) return migrated;
  db::Database database(settings.database_url, 1);
  auto vault = api::open_vault(database, settings.key_file);
  if (!vault) return vault.error();
  std::string password;
  if (wanted.password_from_stdin) std::getline(std::cin, password);
  auto made = database.transact([&](pqxx::work& work) -> Result<nlohmann::json> {
    auto user = api::create_user(work, wanted.email, wanted.name, password);
    if (!user) return user.error();
    auto pair = api::create_token_pair(work, *vault, user->id, "made with the user");
    if (!pair) return pair.error();
    return nlohmann::json{
        {"user_id", user->id},
        {"org_id", api::organisations_of(work, user->id).front().id},
        {"token", pair->token},
        {"secret", pair->secret},
        {"consumer_key", pair->consumer_key},
        {"consumer_secret", pair->consumer_secret},
        {"api_token", api::create_bearer_token(work, user->id, "made with the user")}};
  });
  if (!made) return made.error();
  std::printf("%s\n", made->dump().c_str());
  return ok();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "hook" &&
      std::string_view(argv[2]) == "proc-receive")
    return api::git::run_proc_receive();
  Program program("karreg-api", "REST API, git receiver and web console.",
                  api::declared_settings());
  auto& admin = *program.cli().add_subcommand("admin", "Manage the platform's users");
  admin.require_subcommand(1);
  NewUser user;
  auto& create =
      *admin.add_subcommand("create-user", "Make a user with tokens; prints them as JSON");
  create.add_option("--email", user.email, "E-mail address")->required();
  create.add_option("--name", user.name, "Full name")->required();
  create.add_flag("--password-stdin", user.password_from_stdin,
                  "Read the console password from standard input");
  return program.run(argc, argv, [&](const Config& config) -> Result<void> {
    auto settings = api::read_settings(config);
    if (!settings) return settings.error();
    return create.parsed() ? create_user(*settings, user) : serve(*settings);
  });
}
