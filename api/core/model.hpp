#pragma once
/// What the API talks about, free of any wire format: adapters (clever/) turn it into their JSON.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/error.hpp"
#include "common/images.hpp"

namespace karreg::api {

using Env = std::map<std::string, std::string>;
/// Names and values of an app's environment together; a fraction of what a message to a VM may
/// have.
inline constexpr std::size_t max_env_bytes = std::size_t{128} * 1024;

/// Who asks.
struct Identity {
  std::string user_id;
  std::string email;
  std::string name;
  std::string token_id;
  std::int64_t token_expires_ms = 0;
  bool by_cookie = false;  ///< a browser session: state-changing requests need proof that they come
                           ///< from the console
};

struct User {
  std::string id;
  std::string email;
  std::string name;
  std::int64_t created_ms = 0;
  bool has_password = false;
};

struct Organisation {
  std::string id;
  std::string name;
  std::string role;
};

struct Vhost {
  std::string host;
  std::string path = "/";
  bool favourite = false;
  /// "example.com/" or "example.com/api": as clients see it.
  std::string fqdn() const {
    return path == "/" ? host + path : host + path.substr(0, path.size() - 1);
  }
};

struct App {
  std::string id;
  std::string org_id;
  std::string name;
  std::string description;
  std::string zone;
  std::string variant;
  std::string state;
  std::optional<std::string> branch;
  int min_instances = 1;
  int max_instances = 1;
  std::string min_flavor;
  std::string max_flavor;
  std::string build_flavor;
  bool separate_build = true;
  bool homogeneous = false;
  bool sticky_sessions = false;
  bool cancel_on_push = false;
  bool force_https = false;
  int sleep_after_s = 0;        ///< without a request it may sleep after it; 0: never
  std::string sleep = "awake";  ///< or asleep, waking
  std::optional<std::int64_t> sleep_since_ms;  ///< when that has changed
  std::string lifetime;
  std::optional<std::string> commit;
  std::optional<std::string> serving_deployment;
  std::int64_t created_ms = 0;
  std::vector<Vhost> vhosts;
};

struct Deployment {
  std::string uuid;
  std::string app_id;
  int number = 0;
  std::string action;
  std::string cause;
  std::string author;
  std::optional<std::string> commit;
  int instances = 0;
  std::string state;
  std::string phase;
  std::string message;
  std::int64_t requested_ms = 0;
  std::optional<std::int64_t> ended_ms;
};

struct Instance {
  std::string id;
  std::string app_id;
  std::string deployment;
  int deployment_number = 0;
  std::string kind;  ///< run, build, job
  int number = 0;
  std::string flavor;
  std::string phase;
  bool healthy = false;
  std::string routed;
  std::string commit;
  std::string address;
  std::int64_t created_ms = 0;
  std::optional<std::int64_t> ended_ms;
};

/// A command that runs once in a VM of its own.
struct Job {
  std::string id;
  std::string app_id;
  std::string deployment;  ///< whose artifact and environment it has
  std::string kind;        ///< release, cron, task
  std::string command;
  std::string schedule;  ///< of kind cron
  std::optional<std::int64_t> due_ms;
  std::string author;  ///< of kind task
  std::string flavor;
  std::int64_t wall_ms = 0;
  std::string state;  ///< queued, running, succeeded, failed, cancelled, skipped
  std::string message;
  std::optional<int> exit_code;
  std::string instance;  ///< that runs it, or did last
  std::int64_t requested_ms = 0;
  std::optional<std::int64_t> started_ms;
  std::optional<std::int64_t> ended_ms;
};

/// An app whose version in service runs on another image than the catalogue names.
struct OutdatedApp {
  std::string id;
  std::string name;
  std::string org_id;
  std::string runtime;    ///< key of the catalogue
  std::string image;      ///< digest of what it runs on
  std::string new_image;  ///< digest of the present one
  std::vector<PackageChange> packages;
  std::string packages_unknown;         ///< why they are not known; empty: they are
  std::string rebuild;                  ///< why a roll has to build it again; empty: it need not
  std::optional<std::int64_t> told_ms;  ///< when its owner was told
};

/// The owner of an app was told that there is a newer image than the one that it runs on.
struct ImageNews {
  std::string app_id;
  std::string runtime;
  std::string image;      ///< digest of the newer one
  std::string old_image;  ///< digest
  std::int64_t told_ms = 0;
};

/// Apps of one owner that are brought onto the present images, wave by wave.
struct Roll {
  struct App {
    std::string id;
    std::string name;
    int wave = 1;            ///< from 1
    std::string step;        ///< waiting, deploying, done, skipped, failed, untouched
    std::string deployment;  ///< that was made for it; may be empty
    std::string message;     ///< what it waits for, why it was skipped or failed
  };
  std::string id;
  std::string org_id;
  std::string author;
  int wave_size = 0;
  std::string state;  ///< running, done, stopped, cancelled
  bool cancel_requested = false;
  std::string message;  ///< why it ended before its time
  std::int64_t requested_ms = 0;
  std::optional<std::int64_t> ended_ms;
  std::vector<App> apps;
};

/// Rules for what people choose. Each returns an `invalid` error that says what is wrong and what
/// is allowed.
Result<void> check_app_name(const std::string& name);
Result<void> check_env_name(const std::string& name);
Result<void> check_env_value(const std::string& name, const std::string& value);
/// All names and values of an app; `too_large` when they have more than max_env_bytes together.
Result<void> check_env(const Env& env);
Result<void> check_flavor(const std::string& name);
/// Whether @p a is a smaller size than @p b; both are known.
bool is_smaller_flavor(const std::string& a, const std::string& b);
/// A branch name as git-check-ref-format(1) has it.
Result<void> check_branch(const std::string& name);
/// "Example.com/api" -> {example.com, /api/}. Error `invalid` for anything that is no host name
/// (RFC 1123) with an optional path.
Result<Vhost> parse_fqdn(const std::string& fqdn);
/// A host label made from an app's name: "Hello, World!" -> "hello-world".
std::string slug(const std::string& name);

}  // namespace karreg::api
