#include <optional>
#include <set>

#include "cli/child.hpp"
#include "cli/commands/commands.hpp"
#include "cli/follow.hpp"
#include "cli/git.hpp"
#include "cli/made_commit.hpp"
#include "cli/retry.hpp"

namespace karreg::cli {
namespace {

struct Options {
  AppChoice choice;
  std::string branch = "HEAD";
  std::string archive;  ///< a file
  std::string image;    ///< of a registry; without both: the folder's commit
  bool force = false;
  bool detach = false;
};

Result<MadeCommit> make_commit(const Options& options, const MadeCommit::Destination& to,
                               const Environment& environment) {
  if (options.force || options.branch != "HEAD" ||
      (!options.archive.empty() && !options.image.empty()))
    return Error(
        ErrorKind::invalid,
        "An archive or an image is deployed on top of what the platform has: one of --archive and "
        "--image, without --branch and --force.");
  if (!options.archive.empty()) return MadeCommit::of_archive(options.archive, to, environment);
  return MadeCommit::of_image(options.image, to, environment);
}

Result<std::vector<Deployment>> newest(Session& session, const Target& target) {
  auto api = session.api();
  if (!api) return api.error();
  auto answer = (*api)->get(target.path() + "/deployments?limit=5");
  if (!answer) return answer.error();
  return parse_deployments(*answer);
}

/// The deployment that a push of @p commit made, or joined: it was not over @p before the push.
std::optional<Deployment> made_by_push(const std::vector<Deployment>& now,
                                       const std::set<std::string>& over_before,
                                       const std::string& commit) {
  for (const Deployment& each : now)
    if (!over_before.contains(each.uuid) && each.commit == commit) return each;
  return std::nullopt;
}

/// Why there is no deployment after a push that ended so.
Error without_deployment(const PushEnd& end, const std::string& branch, const std::string& commit) {
  using How = PushEnd::Result;
  if (end.result == How::up_to_date)
    return {ErrorKind::conflict,
            "The platform has commit " + commit.substr(0, 8) +
                " already, so there is nothing to deploy. `karreg restart` deploys it again."};
  if (end.result == How::failed)
    return {ErrorKind::unavailable, "git push failed with exit code " +
                                        std::to_string(end.exit_code) +
                                        "; what git said stands above."};
  if (end.result != How::rejected)
    return {ErrorKind::unavailable,
            "The commit was pushed, but the platform shows no deployment of it yet. Look with "
            "`karreg activity`."};
  if (end.reason.find("non-fast-forward") != std::string::npos ||
      end.reason.find("fetch first") != std::string::npos)
    return {ErrorKind::conflict,
            "The platform's " + branch +
                " has commits that this branch does not have. Push from a branch that contains "
                "them, or replace them with --force."};
  return {ErrorKind::invalid, "The platform refused the push: " + end.reason + "."};
}

Result<int> already_there(Session& session, const Target& target, const std::string& commit) {
  if (session.print_json({{"commit", commit}, {"state", "OK"}})) return 0;
  session.terminal().note("Commit " + commit.substr(0, 8) + " of " + target.name +
                          " is in service already.");
  return 0;
}

Result<int> deploy(Session& session, const Options& options) {
  auto target = session.target(options.choice);
  if (!target) return target.error();
  auto app = session.app(*target);
  if (!app) return app.error();
  auto api = session.api();
  if (!api) return api.error();
  const std::string branch = app->branch.empty() ? "master" : app->branch;
  std::string folder = session.folder().string();
  std::optional<MadeCommit> made;
  if (!options.archive.empty() || !options.image.empty()) {
    auto commit =
        make_commit(options, {app->git_url, branch, (*api)->profile()}, session.environment());
    if (!commit) return commit.error();
    made.emplace(std::move(*commit));
    folder = made->folder();
  }
  auto commit = commit_of(folder, made ? made->id() : options.branch, session.environment());
  if (!commit) return commit.error();
  auto known = newest(session, *target);
  if (!known) return known.error();
  std::set<std::string> over_before;
  for (const Deployment& each : *known)
    if (each.state != "WIP") over_before.insert(each.uuid);

  session.terminal().note("Pushing " + commit->substr(0, 8) + " to " + target->name + "...");
  Push pushing{folder, app->git_url, *commit, branch, options.force, {}};
  if (options.detach)
    pushing.on_tick = [&] {
      const auto now = newest(session, *target);
      return !now || !made_by_push(*now, over_before, *commit);
    };
  detach_on_interrupt(detach_note);
  auto pushed = push(pushing, (*api)->profile(), session.environment());
  if (!pushed) return pushed.error();

  // A push may break off because the API starts again; what it recorded goes on without it.
  auto now = patiently([&] { return newest(session, *target); });
  if (!now) return now.error();
  const auto deployment = made_by_push(*now, over_before, *commit);
  if (!deployment && pushed->result == PushEnd::Result::pushed && app->commit == *commit)
    return already_there(session, *target, *commit);
  if (!deployment) return without_deployment(*pushed, branch, *commit);
  if (pushed->result == PushEnd::Result::failed)
    session.terminal().note("The push broke off, but the platform had recorded it as deployment " +
                            std::to_string(deployment->number) + ".");
  if (deployment->state != "WIP") return conclude(session, *target, *deployment);
  if (!options.detach) return follow_deployment(session, *target, deployment->uuid);
  if (!session.print_json(to_output(*deployment)))
    session.terminal().note("Deployment " + std::to_string(deployment->number) +
                            " goes on. `karreg activity --follow` watches it.");
  return 0;
}

}  // namespace

void add_deploy(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "deploy", "Push this folder's commit, an archive or an image, and watch its deployment");
  add_app_options(*command, options->choice);
  command->add_option("-b,--branch", options->branch, "Branch or commit to push (default: HEAD)")
      ->type_name("BRANCH");
  command->add_flag("-f,--force", options->force, "Replace the platform's history");
  command
      ->add_option("--archive", options->archive,
                   "Deploy the files of a tar or zip archive, as a commit on what the platform has")
      ->type_name("FILE");
  command
      ->add_option("--image", options->image,
                   "Deploy an image of a registry: a commit of a Dockerfile that says FROM it")
      ->type_name("IMAGE");
  command->add_flag("-d,--detach", options->detach, "Return once the deployment has begun");
  add_format_option(*command, session);
  command->footer(
      "Exit code 1: the deployment failed or was cancelled. Ctrl-C leaves it going on.");
  when_chosen(*command, session, options, deploy);
}

}  // namespace karreg::cli
