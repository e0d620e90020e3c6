#include "cli/model.hpp"

#include <algorithm>

namespace karreg::cli {
namespace {

/// Runs @p read on the answer; what does not fit becomes an error that names @p what.
template <class T, class Read>
Result<T> fitting(const Json& answer, const char* what, Read read) {
  try {
    return read(answer);
  } catch (const Json::exception& e) {
    return Error(ErrorKind::unavailable,
                 std::string("The platform's answer is not ") + what +
                     " that this version of karreg understands: " + e.what());
  }
}

/// The member @p key; nothing when it is absent or null. Throws when @p object is none.
const Json* member(const Json& object, const char* key) {
  if (!object.is_object()) throw Json::type_error::create(302, "expected an object", &object);
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}
std::string text(const Json& object, const char* key) {
  const Json* found = member(object, key);
  return found == nullptr ? "" : found->get<std::string>();
}
int number(const Json& object, const char* key) {
  const Json* found = member(object, key);
  return found == nullptr ? 0 : found->get<int>();
}
std::int64_t moment(const Json& object, const char* key) {
  const Json* found = member(object, key);
  return found == nullptr ? 0 : found->get<std::int64_t>();
}
const Json& part(const Json& object, const char* key) {
  static const Json none = Json::object();
  const Json* found = member(object, key);
  return found == nullptr ? none : *found;
}

App read_app(const Json& j) {
  App app;
  app.id = j.at("id").get<std::string>();
  app.owner = text(j, "ownerId");
  app.name = j.at("name").get<std::string>();
  app.state = text(j, "state");
  app.commit = text(j, "commitId");
  app.branch = text(j, "branch");
  app.created_ms = moment(j, "creationDate");
  const Json& instance = part(j, "instance");
  app.type = text(part(instance, "variant"), "slug");
  app.min_instances = number(instance, "minInstances");
  app.max_instances = number(instance, "maxInstances");
  app.min_flavor = text(part(instance, "minFlavor"), "name");
  app.max_flavor = text(part(instance, "maxFlavor"), "name");
  const Json* separate = member(j, "separateBuild");
  app.separate_build = separate != nullptr && separate->get<bool>();
  app.build_flavor = text(part(j, "buildFlavor"), "name");
  app.sleep_after_s = number(j, "sleepAfter");
  app.sleep = text(j, "sleep");
  app.git_url = text(part(j, "deployment"), "httpUrl");
  for (const Json& vhost : part(j, "vhosts")) app.domains.push_back(vhost.at("fqdn"));
  for (const Json& url : part(j, "visitUrls")) app.urls.push_back(url.get<std::string>());
  return app;
}

Deployment read_deployment(const Json& j) {
  return {j.at("uuid").get<std::string>(), number(j, "id"), moment(j, "date"), text(j, "state"),
          text(j, "action"), text(j, "commit"), text(j, "cause"),
          // an object in some answers, a name in others
          j.contains("author") && j["author"].is_object() ? text(j["author"], "name")
                                                          : text(j, "author"),
          text(j, "message")};
}

template <class T, class Read>
std::vector<T> each(const Json& list, Read read) {
  if (!list.is_array()) throw Json::type_error::create(302, "expected a list", &list);
  std::vector<T> values;
  for (const Json& item : list) values.push_back(read(item));
  return values;
}

}  // namespace

Result<App> parse_app(const Json& answer) {
  return fitting<App>(answer, "an app", read_app);
}

Result<std::vector<App>> parse_apps(const Json& answer) {
  return fitting<std::vector<App>>(answer, "a list of apps",
                                   [](const Json& j) { return each<App>(j, read_app); });
}

Result<Deployment> parse_deployment(const Json& answer) {
  return fitting<Deployment>(answer, "a deployment", read_deployment);
}

Result<std::vector<Deployment>> parse_deployments(const Json& answer) {
  return fitting<std::vector<Deployment>>(answer, "a list of deployments", [](const Json& j) {
    return each<Deployment>(j, read_deployment);
  });
}

Result<std::vector<Instance>> parse_instances(const Json& answer) {
  return fitting<std::vector<Instance>>(answer, "a list of instances", [](const Json& j) {
    return each<Instance>(j, [](const Json& i) {
      return Instance{i.at("id").get<std::string>(), text(i, "state"),
                      text(part(i, "flavor"), "name"), text(i, "commit"),
                      number(i, "instanceNumber")};
    });
  });
}

Result<std::vector<Host>> parse_hosts(const Json& answer) {
  return fitting<std::vector<Host>>(answer, "a list of hosts", [](const Json& j) {
    return each<Host>(j, [](const Json& h) {
      return Host{
          h.at("id").get<std::string>(), text(h, "accelerator"), text(h, "accelerator_detail"),
          moment(h, "memory_mb"),        number(h, "vcpus"),     moment(h, "silent_ms")};
    });
  });
}

Result<std::vector<Variable>> parse_variables(const Json& answer) {
  return fitting<std::vector<Variable>>(answer, "a list of variables", [](const Json& j) {
    return each<Variable>(j, [](const Json& v) {
      return Variable{v.at("name").get<std::string>(), v.at("value").get<std::string>()};
    });
  });
}

Result<Summary> parse_summary(const Json& answer) {
  return fitting<Summary>(answer, "a summary", [](const Json& j) {
    Summary summary;
    for (const Json& organisation : j.at("organisations")) {
      const std::string owner = organisation.at("id").get<std::string>();
      summary.organisations.push_back({owner, text(organisation, "name")});
      for (const Json& app : organisation.at("applications"))
        summary.apps.push_back(
            {app.at("id").get<std::string>(), app.at("name").get<std::string>(), owner});
    }
    return summary;
  });
}

std::string address(const App& app) {
  if (!app.urls.empty()) return app.urls.front();
  return app.domains.empty() ? "" : app.domains.front();
}

std::string deployment_state(const Deployment& deployment) {
  if (deployment.state == "WIP") return "in progress";
  if (deployment.state == "OK") return "succeeded";
  if (deployment.state == "FAIL") return "failed";
  if (deployment.state == "CANCELLED") return "cancelled";
  return deployment.state;
}

std::string app_status(const App& app, const std::vector<Deployment>& newest_first,
                       const std::vector<Instance>& instances) {
  const bool up = std::ranges::any_of(instances, [](const auto& i) { return i.state == "UP"; });
  const bool deploying = !newest_first.empty() && newest_first.front().state == "WIP";
  if (app.state == "SHOULD_BE_DOWN" && !deploying) return up ? "stopping" : "stopped";
  if (deploying) return up ? "running, a deployment is in progress" : "deploying";
  if (app.sleep == "asleep") return "asleep, the next request wakes it";
  if (app.sleep == "waking" && !up) return "waking up";
  if (up) return "running";
  if (!newest_first.empty() && newest_first.front().state == "FAIL")
    return "not running, the last deployment failed";
  return app.state == "WANTS_TO_BE_UP" ? "starting" : "not running";
}

Json to_output(const App& app) {
  return {{"id", app.id},
          {"org_id", app.owner},
          {"name", app.name},
          {"type", app.type},
          {"state", app.state},
          {"commit", app.commit},
          {"domains", app.domains},
          {"urls", app.urls},
          {"git_url", app.git_url},
          {"created_ms", app.created_ms},
          {"min_instances", app.min_instances},
          {"max_instances", app.max_instances},
          {"min_flavor", app.min_flavor},
          {"max_flavor", app.max_flavor},
          {"separate_build", app.separate_build},
          {"build_flavor", app.build_flavor},
          {"sleep_after_s", app.sleep_after_s},
          {"sleep", app.sleep}};
}

Json to_output(const Deployment& deployment) {
  return {
      {"id", deployment.uuid},     {"number", deployment.number}, {"date_ms", deployment.date_ms},
      {"state", deployment.state}, {"action", deployment.action}, {"commit", deployment.commit},
      {"cause", deployment.cause}, {"author", deployment.author}, {"message", deployment.message}};
}

Json to_output(const Instance& instance) {
  return {{"id", instance.id},
          {"number", instance.number},
          {"state", instance.state},
          {"flavor", instance.flavor},
          {"commit", instance.commit}};
}

}  // namespace karreg::cli
