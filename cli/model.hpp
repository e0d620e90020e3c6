#pragma once
/// What the API answers, as values. Only the fields that the command line shows.

#include <cstdint>
#include <string>
#include <vector>

#include "common/error.hpp"
#include "common/json.hpp"

namespace karreg::cli {

using Json = nlohmann::json;

struct App {
  std::string id;
  std::string owner;
  std::string name;
  std::string type;  ///< node, python, static, cpp, auto
  std::string state;
  std::string commit;  ///< in service; may be empty
  std::string branch;  ///< that deploys; empty: master or main
  std::string git_url;
  std::vector<std::string> domains;
  std::vector<std::string> urls;  ///< where they answer; empty on platforms that do not tell
  std::int64_t created_ms = 0;
  int min_instances = 0;
  int max_instances = 0;
  std::string min_flavor;
  std::string max_flavor;
  bool separate_build = false;  ///< build VMs have a size of their own
  std::string build_flavor;     ///< of build VMs; means nothing without separate_build
  int sleep_after_s = 0;        ///< without a request it may sleep after it; 0: never
  std::string sleep;            ///< awake, asleep, waking; empty on platforms without it
};

struct Deployment {
  std::string uuid;
  int number = 0;
  std::int64_t date_ms = 0;
  std::string state;  ///< WIP, OK, FAIL, CANCELLED
  std::string action;
  std::string commit;
  std::string cause;
  std::string author;
  std::string message;  ///< why it failed
};

struct Instance {
  std::string id;
  std::string state;
  std::string flavor;
  std::string commit;
  int number = 0;
};

/// A machine of the platform.
struct Host {
  std::string id;
  std::string accelerator;         ///< kvm, tcg
  std::string accelerator_detail;  ///< the measured figures
  std::int64_t memory_mb = 0;
  int vcpus = 0;
  std::int64_t silent_ms = 0;  ///< since its last report
};

struct Variable {
  std::string name;
  std::string value;
};

struct Summary {
  struct AppRef {
    std::string id;
    std::string name;
    std::string owner;
  };
  struct Organisation {
    std::string id;
    std::string name;
  };
  std::vector<Organisation> organisations;
  std::vector<AppRef> apps;
};

/// Error `unavailable` names what was expected of the answer.
Result<App> parse_app(const Json& answer);
Result<std::vector<App>> parse_apps(const Json& answer);
Result<Deployment> parse_deployment(const Json& answer);
Result<std::vector<Deployment>> parse_deployments(const Json& answer);
Result<std::vector<Instance>> parse_instances(const Json& answer);
Result<std::vector<Host>> parse_hosts(const Json& answer);
Result<std::vector<Variable>> parse_variables(const Json& answer);
Result<Summary> parse_summary(const Json& answer);

/// Where @p app answers: its first URL, else its first domain, else "".
std::string address(const App& app);
/// "OK" in words: deployed, failed, ...
std::string deployment_state(const Deployment& deployment);
/// "running", "asleep", "stopped", "deploying" from the app's state, its last deployment and its
/// instances.
std::string app_status(const App& app, const std::vector<Deployment>& newest_first,
                       const std::vector<Instance>& instances);

/// What `--format json` prints of it.
Json to_output(const App& app);
Json to_output(const Deployment& deployment);
Json to_output(const Instance& instance);

}  // namespace karreg::cli
