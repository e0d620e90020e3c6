#include "base.hpp"

#include <chrono>

namespace karreg::simulation {

using namespace std::chrono_literals;
using scheduler::DeploymentState;
using scheduler::Instance;

bool Base::saw(const wire::HostReport& report, Time now) {
  world.hosts[report.host_id] = {report.host_id, report.memory_mb, now, report.builds};
  auto& sent = sent_[report.host_id];
  if (report.generation > sent.generation) {
    sent.generation = report.generation;
    sent.again = true;
  }
  std::set<std::string> listed;
  for (const auto& vm : report.vms) {
    listed.insert(vm.instance_id);
    const auto it = world.instances.find(vm.instance_id);
    if (it == world.instances.end() || it->second.host_id != report.host_id || it->second.ended_at)
      continue;
    Instance& i = it->second;
    i.phase = vm.phase;
    i.healthy = vm.healthy && i.wanted;
    i.address = vm.address;
    i.detail = vm.detail;
    i.last_lines.clear();
    for (const auto& line : vm.last_lines) i.last_lines += line + "\n";
    i.reached_guest = vm.stages.pid1_ms >= 0;
    if (vm.phase == "built") i.result = vm.build;
    if (vm.phase == "exited" && !vm.exit.reason.empty()) i.exit = vm.exit;
    if (vm.healthy && !i.healthy_at) i.healthy_at = now;
    if (!vm.healthy && (vm.phase == "creating" || vm.phase == "booting")) i.healthy_at.reset();
  }
  if (report.generation == sent.generation)
    for (auto& [id, i] : world.instances)
      if (i.host_id == report.host_id && !i.wanted && !i.ended_at && !listed.contains(id))
        i.ended_at = now;
  const bool behind = report.generation < sent.generation;
  if (behind && now - sent.resent > 1s) {
    sent.again = true;
    sent.resent = now;
  }
  return behind;
}

std::optional<wire::RouteSnapshot> Base::saw(const wire::ProxyReport& report, Time now) {
  if (report.stopping) {
    world.proxies.erase(report.proxy_id);
    coverage_.erase(report.proxy_id);
    return std::nullopt;
  }
  auto& row = world.proxies[report.proxy_id];
  row.id = report.proxy_id;
  row.version = report.version > world.route_version ? 0 : report.version;
  row.draining = report.draining;
  row.last_seen = now;
  row.covered_since = coverage_[row.id].since;
  row.covered_until = coverage_[row.id].until;
  const bool settled = !routes_changed_ || now - *routes_changed_ > 2s;
  if (!report.wants_snapshot && (report.version == world.route_version || !settled))
    return std::nullopt;
  wire::RouteSnapshot snapshot{world.route_version, {}, report.version};
  for (const auto& [key, route] : world.routes) snapshot.routes.push_back(route);
  for (const auto& [port, route] : world.tcp_routes) snapshot.tcp_routes.push_back(route);
  return snapshot;
}

bool Base::saw(const wire::TrafficReport& report, Time now) {
  bool held = false;
  for (const auto& told : report.apps) {
    held = held || told.held > 0;
    const auto app = world.apps.find(told.app_id);
    if (app == world.apps.end()) continue;
    const Time last = now - scheduler::milliseconds(told.idle_ms);
    app->second.last_request = std::max(app->second.last_request.value_or(last), last);
  }
  if (report.parts == 0) return held;
  auto& known = coverage_[report.proxy_id];
  const bool same = known.process == report.process;
  if (!same) known.at_ms = -1;
  if (!same || report.number > known.number) known.parts = 0;
  if (!same || report.number >= known.number) {
    known.process = report.process;
    known.number = report.number;
    known.parts |= std::uint64_t{1} << report.part;
  }
  const auto all = (std::uint64_t{1} << report.parts) - 1;
  if (known.number != report.number || known.parts != all || report.covers_ms == 0) return held;
  const Time from = now - scheduler::milliseconds(report.covers_ms);
  const bool goes_on = known.at_ms >= 0 ? report.at_ms - report.covers_ms <= known.at_ms
                                        : known.since && from <= known.until;
  if (!goes_on || !known.since) known.since = from;
  known.at_ms = report.at_ms;
  known.until = now;
  if (const auto row = world.proxies.find(report.proxy_id); row != world.proxies.end()) {
    row->second.covered_since = known.since;
    row->second.covered_until = now;
  }
  return held;
}

std::optional<wire::RouteUpdate> Base::save(World after, Time now) {
  // What found no host is not kept.
  std::erase_if(after.instances, [](const auto& entry) { return entry.second.host_id.empty(); });
  std::optional<wire::RouteUpdate> update;
  if (after.route_version != world.route_version) {
    update = wire::RouteUpdate{world.route_version, after.route_version, {}, {}};
    for (const auto& [key, route] : after.routes) {
      const auto old = world.routes.find(key);
      if (old == world.routes.end() || old->second != route) update->upserts.push_back(route);
    }
    for (const auto& [key, route] : world.routes)
      if (!after.routes.contains(key)) update->removes.push_back(key);
    for (const auto& [port, route] : after.tcp_routes) {
      const auto old = world.tcp_routes.find(port);
      if (old == world.tcp_routes.end() || old->second != route)
        update->tcp_upserts.push_back(route);
    }
    for (const auto& [port, route] : world.tcp_routes)
      if (!after.tcp_routes.contains(port)) update->tcp_removes.push_back(port);
    routes_changed_ = now;
  }
  world = std::move(after);
  forget(now);
  return update;
}

/// Drops what load_world() would not load.
void Base::forget(Time now) {
  std::erase_if(world.apps, [](const auto& entry) { return entry.second.torn_down; });
  std::erase_if(world.rolls, [&](const auto& entry) {
    if (entry.second.state == scheduler::RollState::running) return false;
    ended_rolls[entry.first] = entry.second;
    return true;
  });
  std::erase_if(world.image_news, [&](const auto& news) {
    const auto image = world.images.find(news.image);
    return !world.apps.contains(news.app_id) || image == world.images.end() ||
           !image->second.current;
  });
  std::set<std::string> rolled;
  for (const auto& [id, roll] : world.rolls)
    for (const auto& app : roll.apps) rolled.insert(app.deployment);
  std::erase_if(world.deployments, [&](const auto& entry) {
    const auto& d = entry.second;
    const auto app = world.apps.find(d.app_id);
    if (app != world.apps.end() &&
        (d.state == DeploymentState::wip || app->second.serving_deployment == d.uuid ||
         rolled.contains(d.uuid)))
      return false;
    past[d.uuid] = d;
    return true;
  });
  std::set<std::string> named;
  for (const auto& [uuid, d] : world.deployments)
    if (d.state == DeploymentState::wip || world.apps.at(d.app_id).serving_deployment == uuid)
      named.insert(d.build_id);
  std::erase_if(world.builds, [&](const auto& entry) {
    return !named.contains(entry.first) || !world.apps.contains(entry.second.app_id);
  });
  std::erase_if(world.jobs, [&](const auto& entry) {
    const auto& j = entry.second;
    if (!world.apps.contains(j.app_id)) return true;
    const auto d = world.deployments.find(j.deployment);
    const bool releases = j.kind == scheduler::JobKind::release && d != world.deployments.end() &&
                          d->second.state == DeploymentState::wip;
    if (j.open() || releases) return false;
    ended_jobs[j.id] = j;
    return true;
  });
  std::erase_if(world.cron_marks,
                [&](const auto& entry) { return !world.apps.contains(entry.first.app_id); });
  std::erase_if(world.instances, [&](const auto& entry) {
    const auto& i = entry.second;
    if (!world.apps.contains(i.app_id)) return true;
    const auto job = world.jobs.find(i.job_id);
    if (job != world.jobs.end() && job->second.open()) return false;
    const auto d = world.deployments.find(i.deployment);
    const bool open = d != world.deployments.end() && d->second.state == DeploymentState::wip;
    return i.ended_at && now - *i.ended_at > 10min && !open;
  });
}

std::set<std::string> Base::wanted_on(const std::string& host) const {
  std::set<std::string> ids;
  for (const auto& [id, i] : world.instances)
    if (i.host_id == host && i.wanted && !i.ended_at) ids.insert(id);
  return ids;
}

std::vector<wire::HostDesired> Base::desired_to_send() {
  std::vector<wire::HostDesired> all;
  for (const auto& [host, row] : world.hosts) {
    auto& sent = sent_[host];
    auto ids = wanted_on(host);
    if (!sent.again && ids == sent.ids) continue;
    wire::HostDesired desired;
    desired.host_id = host;
    desired.generation = ++sent.generation;
    for (const auto& id : ids) {
      const Instance& i = world.instances.at(id);
      wire::VmSpec spec;
      spec.instance_id = id;
      spec.kind = i.builds() ? "build" : i.runs() ? "run" : "job";
      spec.job.command = i.job_id;
      spec.app_id = i.app_id;
      spec.deployment_id = i.deployment;
      spec.number = i.number;
      const auto d = world.deployments.find(i.deployment);
      spec.env["COMMIT_ID"] = d == world.deployments.end() ? "" : d->second.commit;
      spec.image_digest = d == world.deployments.end() ? "" : d->second.image;
      desired.vms.push_back(std::move(spec));
    }
    sent.ids = std::move(ids);
    sent.again = false;
    all.push_back(std::move(desired));
  }
  return all;
}

}  // namespace karreg::simulation
