#include "api/clever/objects.hpp"

#include <fmt/chrono.h>

#include <chrono>
#include <cstdio>

#include "common/flavors.hpp"
#include "common/wire/app_types.hpp"

namespace karreg::api::clever {

using nlohmann::json;

namespace {
/// What an instance's phase is called in the v2 and v4 APIs.
std::string state_of(const Instance& instance) {
  if (instance.ended_ms) return "DELETED";
  if (instance.kind == "build") return "BUILDING";
  if (instance.kind == "job") return "TASK_IN_PROGRESS";
  if (instance.phase == "stopping" || instance.routed == "draining") return "STOPPING";
  if (instance.healthy) return "UP";
  if (instance.phase == "placed" || instance.phase == "creating" || instance.phase == "booting")
    return "BOOTING";
  if (instance.phase == "exited" || instance.phase == "failed") return "STOPPING";
  return "DEPLOYING";
}

std::string prefix_of(const Instance& instance) {
  return instance.kind == "run" ? "instance" : instance.kind;
}

std::string label_of(const std::string& variant) {
  const auto type = wire::app_type(variant);
  return type ? std::string(type->title) : variant;
}

json variant_json(const std::string& variant) {
  return {{"id", variant},
          {"slug", variant},
          {"name", label_of(variant)},
          {"deployType", variant},
          {"logo", ""}};
}

json all_flavors() {
  json all = json::array();
  for (const auto& flavor : flavors) all.push_back(flavor_json(flavor.name));
  return all;
}
}  // namespace

std::string iso_time(std::int64_t ms) {
  const std::time_t seconds = ms / 1000;
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(seconds), ms % 1000);
}

std::optional<std::int64_t> parse_iso_time(const std::string& text) {
  std::tm tm{};
  int consumed = 0;
  if (std::sscanf(text.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
                  &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &consumed) != 6)
    return std::nullopt;
  tm.tm_year -= 1900;
  tm.tm_mon -= 1;
  const std::tm wanted = tm;
  const std::int64_t seconds = ::timegm(&tm);
  // timegm() makes the first of the next month of a 32nd: what it had to change was no time.
  if (tm.tm_mon != wanted.tm_mon || tm.tm_mday != wanted.tm_mday || tm.tm_hour != wanted.tm_hour ||
      tm.tm_min != wanted.tm_min)
    return std::nullopt;
  std::int64_t ms = 0;
  std::string rest = text.substr(static_cast<std::size_t>(consumed));
  if (rest.starts_with('.')) {
    std::int64_t scale = 100;
    std::size_t i = 1;
    for (; i < rest.size() && rest[i] >= '0' && rest[i] <= '9'; ++i, scale /= 10)
      ms += (rest[i] - '0') * scale;
    rest = rest.substr(i);
  }
  int hours = 0;
  int minutes = 0;
  if (rest != "Z") {
    consumed = 0;
    const bool has_sign = rest.starts_with('+') || rest.starts_with('-');
    if (!has_sign || std::sscanf(rest.c_str() + 1, "%2d:%2d%n", &hours, &minutes, &consumed) != 2 ||
        static_cast<std::size_t>(consumed) + 1 != rest.size())
      return std::nullopt;
  }
  const std::int64_t offset = (hours * 60 + minutes) * 60LL * (rest.starts_with('-') ? -1 : 1);
  return (seconds - offset) * 1000 + ms;
}

std::string visit_url(const Settings& settings, const Vhost& vhost) {
  const int usual = settings.apps_scheme == "https" ? 443 : 80;
  const std::string port =
      settings.apps_port == usual ? "" : ":" + std::to_string(settings.apps_port);
  return settings.apps_scheme + "://" + vhost.host + port + vhost.path;
}

json user_json(const User& user) {
  return {{"id", user.id},
          {"email", user.email},
          {"name", user.name},
          {"avatar", nullptr},
          {"creationDate", user.created_ms},
          {"lang", "EN"},
          {"preferredMFA", "NONE"},
          {"hasPassword", user.has_password},
          {"emailValidated", true},
          {"oauthApps", json::array()},
          {"partnerConsoleUrl", ""}};
}

json flavor_json(std::string_view name) {
  const auto flavor = find_flavor(name).value_or(flavors.front());
  return {{"name", std::string(flavor.name)},
          {"mem", flavor.memory_mb},
          {"cpus", flavor.vcpus},
          {"gpus", 0},
          {"price", 0},
          {"available", true},
          {"microservice", flavor.memory_mb < 1024},
          {"machine_learning", false},
          {"nice", 0},
          {"disk", nullptr},
          {"memory",
           {{"unit", "B"},
            {"value", flavor.memory_mb * 1024 * 1024},
            {"formatted", std::to_string(flavor.memory_mb) + " MiB"}}}};
}

json instance_type_json(const std::string& slug_name, const std::string& label) {
  return {{"type", slug_name},
          {"version", "1"},
          {"name", label},
          {"description", label},
          {"enabled", true},
          {"comingSoon", false},
          {"maxInstances", 40},
          {"tags", json::array()},
          {"deployments", {"git"}},
          {"variant", variant_json(slug_name)},
          {"flavors", all_flavors()},
          {"defaultFlavor", flavor_json("XS")},
          {"buildFlavor", flavor_json("S")}};
}

json app_json(const App& app, const Settings& settings) {
  json vhosts = json::array();
  json urls = json::array();  // ours: where each of them answers, port included
  for (const auto& vhost : app.vhosts) {
    vhosts.push_back({{"fqdn", vhost.fqdn()}});
    urls.push_back(visit_url(settings, vhost));
  }
  const std::string url = settings.public_url + "/git/" + app.id + ".git";
  return {
      {"id", app.id},
      {"name", app.name},
      {"description", app.description},
      {"ownerId", app.org_id},
      {"zone", app.zone},
      {"zoneId", app.zone},
      {"creationDate", app.created_ms},
      {"state", app.state},
      {"commitId", app.commit ? json(*app.commit) : json(nullptr)},
      {"branch", app.branch.value_or("master")},
      {"instance",
       {{"type", app.variant},
        {"version", "1"},
        {"lifetime", app.lifetime},
        {"variant", variant_json(app.variant)},
        {"minInstances", app.min_instances},
        {"maxInstances", app.max_instances},
        {"maxAllowedInstances", 40},
        {"minFlavor", flavor_json(app.min_flavor)},
        {"maxFlavor", flavor_json(app.max_flavor)},
        {"flavors", all_flavors()},
        {"defaultEnv", json::object()}}},
      {"deployment", {{"type", "GIT"}, {"shutdownable", false}, {"url", url}, {"httpUrl", url}}},
      {"vhosts", vhosts},
      {"visitUrls", urls},
      {"buildFlavor", flavor_json(app.build_flavor)},
      {"separateBuild", app.separate_build},
      {"homogeneous", app.homogeneous},
      {"stickySessions", app.sticky_sessions},
      {"cancelOnPush", app.cancel_on_push},
      {"forceHttps", app.force_https ? "ENABLED" : "DISABLED"},
      {"sleepAfter", app.sleep_after_s},
      {"sleep", app.sleep},
      {"sleepSince", app.sleep_since_ms ? json(*app.sleep_since_ms) : json(nullptr)},
      {"archived", false},
      {"favourite", false},
      {"env", json::array()},
      {"deployUrl", url}};
}

json summary_app_json(const App& app) {
  return {{"id", app.id},
          {"name", app.name},
          {"variantSlug", app.variant},
          {"instanceType", app.variant},
          {"creationDate", app.created_ms},
          {"state", app.state},
          {"commit", app.commit ? json(*app.commit) : json(nullptr)}};
}

json deployment_json(const Deployment& d) {
  return {{"id", d.number},
          {"uuid", d.uuid},
          {"date", d.requested_ms},
          {"state", d.state},
          {"action", d.action},
          {"commit", d.commit ? json(*d.commit) : json(nullptr)},
          {"cause", d.cause},
          {"instances", d.instances},
          {"author", {{"id", ""}, {"name", d.author}}},
          {"phase", d.phase},
          {"message", d.message}};
}

json instance_json(const Instance& i) {
  return {{"id", i.id},
          {"appId", i.app_id},
          {"state", state_of(i)},
          {"flavor", flavor_json(i.flavor)},
          {"commit", i.commit},
          {"instanceNumber", i.number},
          {"displayName", prefix_of(i) + " " + std::to_string(i.number)},
          {"ip", i.address.substr(0, i.address.find(':'))},
          {"appPort", 8080},
          {"deployId", i.deployment},
          {"deployNumber", i.deployment_number},
          {"creationDate", i.created_ms}};
}

json job_json(const Job& job) {
  const auto time = [](const std::optional<std::int64_t>& ms) {
    return ms ? json(iso_time(*ms)) : json(nullptr);
  };
  return {{"id", job.id},
          {"kind", job.kind},
          {"command", job.command},
          {"schedule", job.schedule.empty() ? json(nullptr) : json(job.schedule)},
          {"due", time(job.due_ms)},
          {"author", job.author},
          {"flavor", job.flavor},
          {"timeLimit", job.wall_ms / 1000},
          {"state", job.state},
          {"message", job.message},
          {"exitCode", job.exit_code ? json(*job.exit_code) : json(nullptr)},
          {"deploymentId", job.deployment},
          {"instanceId", job.instance.empty() ? json(nullptr) : json(job.instance)},
          {"requestedAt", iso_time(job.requested_ms)},
          {"startedAt", time(job.started_ms)},
          {"endedAt", time(job.ended_ms)}};
}

json outdated_app_json(const OutdatedApp& app) {
  const auto or_null = [](const std::string& text) {
    return text.empty() ? json(nullptr) : json(text);
  };
  json packages = nullptr;
  if (app.packages_unknown.empty()) packages = json::array();
  for (const auto& change : app.packages)
    packages.push_back(
        {{"name", change.name}, {"from", or_null(change.from)}, {"to", or_null(change.to)}});
  return {{"appId", app.id},
          {"name", app.name},
          {"ownerId", app.org_id},
          {"runtime", app.runtime},
          {"image", app.image},
          {"newImage", app.new_image},
          {"packages", packages},
          {"packagesUnknown", or_null(app.packages_unknown)},
          {"rebuild", or_null(app.rebuild)},
          {"toldAt", app.told_ms ? json(iso_time(*app.told_ms)) : json(nullptr)}};
}

json roll_json(const Roll& roll) {
  json apps = json::array();
  for (const auto& app : roll.apps)
    apps.push_back({{"appId", app.id},
                    {"name", app.name},
                    {"wave", app.wave},
                    {"state", app.step},
                    {"deploymentId", app.deployment.empty() ? json(nullptr) : json(app.deployment)},
                    {"message", app.message}});
  return {{"id", roll.id},
          {"ownerId", roll.org_id},
          {"author", roll.author},
          {"wave", roll.wave_size},
          {"state", roll.state},
          {"cancelRequested", roll.cancel_requested},
          {"message", roll.message},
          {"requestedAt", iso_time(roll.requested_ms)},
          {"endedAt", roll.ended_ms ? json(iso_time(*roll.ended_ms)) : json(nullptr)},
          {"apps", apps}};
}

json v4_deployment_json(const Deployment& d) {
  std::string state = "WORK_IN_PROGRESS";
  if (d.state == "OK") state = "SUCCEEDED";
  if (d.state == "FAIL") state = "FAILED";
  if (d.state == "CANCELLED") state = "CANCELLED";
  if (d.state == "WIP" && d.phase == "queued") state = "QUEUED";
  json steps = json::array({{{"state", "QUEUED"}, {"date", iso_time(d.requested_ms)}}});
  if (state != "QUEUED")
    steps.push_back({{"state", "WORK_IN_PROGRESS"}, {"date", iso_time(d.requested_ms)}});
  if (d.ended_ms) steps.push_back({{"state", state}, {"date", iso_time(*d.ended_ms)}});
  return {{"id", d.uuid},
          {"state", state},
          {"startDate", iso_time(d.requested_ms)},
          {"version", {{"commitId", d.commit.value_or("")}}},
          {"steps", steps}};
}

json v4_instance_json(const Instance& i) {
  return {{"id", i.id},
          {"deploymentId", i.deployment},
          {"name", prefix_of(i) + "-" + std::to_string(i.number)},
          {"index", i.number},
          {"state", state_of(i)},
          {"creationDate", iso_time(i.created_ms)},
          {"deletionDate", i.ended_ms ? json(iso_time(*i.ended_ms)) : json(nullptr)},
          {"isBuildVm", i.kind == "build"}};
}

}  // namespace karreg::api::clever
