// Rolls, and the news of newer images.
#include "a_platform.hpp"

using namespace karreg;
using namespace karreg::scheduler;
using namespace karreg::scheduler::test;

namespace {

/// A platform with images, whose builds are made for the present one.
class WithImages : public APlatform {
 public:
  WithImages() { publish("image-1"); }

  /// The catalogue names @p digest as the image of node from now on.
  void publish(const std::string& digest, const std::string& node = "20.19.2-1") {
    for (auto& [key, image] : world.images) image.current = false;
    world.images[{"node", digest}] = {{"node run, Debian trixie", {{{"node", node}}}}, true};
    present_ = digest;
  }
  /// The builder has kept the artifact, for the present image.
  void built_here(const std::string& uuid) {
    build_of(uuid).runtime = "node";
    build_of(uuid).image = present_;
    built(uuid);
  }
  std::string serve(const std::string& app_id, int instances = 1) {
    const std::string uuid = push(app_id, Action::deploy, instances).uuid;
    settle();
    built_here(uuid);
    bring_up(uuid);
    return uuid;
  }
  /// A roll of these apps, @p size a wave.
  Roll& roll(const std::vector<std::string>& apps, int size = 1) {
    Roll made;
    made.id = "roll";
    made.author = "Ann";
    for (std::size_t i = 0; i < apps.size(); ++i)
      made.apps.push_back({apps[i], static_cast<int>(i) / size, RollStep::waiting, "", ""});
    world.rolls["roll"] = made;
    settle();
    return the_roll();
  }
  Roll& the_roll() { return world.rolls.at("roll"); }
  RollApp& step_of(const std::string& app_id) {
    for (auto& each : the_roll().apps)
      if (each.app_id == app_id) return each;
    FAIL("the roll has no " << app_id);
    std::abort();
  }
  RollStep step(const std::string& app_id) { return step_of(app_id).step; }
  /// The deployment that the roll has made for an app.
  Deployment& made_for(const std::string& app_id) {
    return world.deployments.at(step_of(app_id).deployment);
  }
  /// Its uuid.
  std::string rolled(const std::string& app_id) { return step_of(app_id).deployment; }
  std::size_t made() const {
    return static_cast<std::size_t>(std::ranges::count_if(
        world.deployments, [](const auto& e) { return e.second.cause == "New image"; }));
  }
  std::string image_of(const std::string& app_id) {
    return world.deployments.at(app(app_id).serving_deployment).image;
  }

 private:
  std::string present_;
};

}  // namespace

TEST_CASE("a roll deploys what is in service on the newer image, without a build") {
  WithImages p;
  p.serve("blog", 2);
  p.app("blog").cron = {{"0 3 * * *", "clean", 1000, false}};
  const std::string old = p.app("blog").serving_deployment;
  p.world.builds.at(p.world.deployments.at(old).build_id).cron = p.app("blog").cron;
  p.publish("image-2", "20.19.5-1+deb13u1");
  p.roll({"blog"});
  REQUIRE(p.step("blog") == RollStep::deploying);
  const Deployment& made = p.made_for("blog");
  CHECK(made.number == 2);
  CHECK(made.author == "Ann");
  CHECK(made.commit == "commit-1");
  CHECK(made.artifact_digest == "artifact-of-commit-1");
  CHECK(made.instances == 2);
  CHECK(made.image == "image-2");
  CHECK(made.phase == Phase::starting);
  CHECK(p.world.builds.size() == 1);
  // Until they are healthy nothing of what serves is touched.
  CHECK(p.served_by("blog") == std::set<std::string>{old});
  const std::string uuid = made.uuid;
  p.bring_up(uuid);
  CHECK(p.step("blog") == RollStep::done);
  CHECK(p.the_roll().state == RollState::done);
  CHECK(p.served_by("blog") == std::set<std::string>{uuid});
  CHECK(p.image_of("blog") == "image-2");
  CHECK(p.app("blog").cron.size() == 1);
  CHECK(p.told("commit commit-1, as it is built, on image image-2"));
  // What is scaled afterwards stays on it.
  const std::string scaling = p.push("blog", Action::upscale, 3).uuid;
  p.bring_up(scaling);
  CHECK(p.image_of("blog") == "image-2");
}

TEST_CASE("another minor version of the runtime has the app built again") {
  WithImages p;
  p.serve("blog");
  p.publish("image-2", "20.20.0-1");
  p.roll({"blog"});
  const std::string uuid = p.rolled("blog");
  CHECK(p.phase(uuid) == Phase::building);
  CHECK(p.told("built again for its new image: node is 20.20 instead of 20.19"));
  p.built_here(uuid);
  p.bring_up(uuid);
  CHECK(p.the_roll().state == RollState::done);
  CHECK(p.image_of("blog") == "image-2");
}

TEST_CASE("an app whose artifact is gone, or whose image nobody knows, is built again") {
  WithImages p;
  const std::string gone = p.serve("gone");
  const std::string unknown = p.serve("unknown");
  p.world.deployments.at(gone).artifact_digest.clear();
  p.world.deployments.at(unknown).image = "image-of-old";
  p.publish("image-2");
  p.roll({"gone", "unknown"}, 2);
  CHECK(p.made_for("gone").phase == Phase::building);
  CHECK(p.told("what was built is not kept any more"));
  CHECK(p.made_for("unknown").phase == Phase::building);
  CHECK(p.told("the versions in the image that it runs on are not known"));
}

TEST_CASE("the next wave begins when all of the one before are in service") {
  WithImages p;
  for (const auto* app : {"a", "b", "c"}) p.serve(app);
  p.publish("image-2");
  p.roll({"a", "b", "c"}, 2);
  CHECK(p.made() == 2);
  CHECK(p.step("c") == RollStep::waiting);
  p.bring_up(p.rolled("a"));
  CHECK(p.step("a") == RollStep::done);
  CHECK(p.made() == 2);
  p.bring_up(p.rolled("b"));
  CHECK(p.step("c") == RollStep::deploying);
  p.bring_up(p.rolled("c"));
  CHECK(p.the_roll().state == RollState::done);
  CHECK(p.the_roll().ended_at == p.now);
}

TEST_CASE("a failed app stops the roll after its wave, and stays on what it had") {
  WithImages p;
  for (const auto* app : {"a", "b", "c"}) p.serve(app);
  const std::string old = p.app("a").serving_deployment;
  p.publish("image-2");
  p.roll({"a", "b", "c"}, 2);
  const std::string failing = p.rolled("a");
  const std::string good = p.rolled("b");
  p.exits(p.vm(failing), "the app exited with code 127");
  CHECK(p.step("a") == RollStep::failed);
  CHECK(p.step("b") == RollStep::deploying);
  CHECK(p.step("c") == RollStep::untouched);
  CHECK(p.the_roll().state == RollState::running);
  p.bring_up(good);
  CHECK(p.step("b") == RollStep::done);
  CHECK(p.the_roll().state == RollState::stopped);
  CHECK(p.the_roll().message == "instance 0 did not start: the app exited with code 127");
  CHECK(p.made() == 2);
  CHECK(p.served_by("a") == std::set<std::string>{old});
  CHECK(p.image_of("a") == "image-1");
  CHECK(p.image_of("b") == "image-2");
  CHECK(p.image_of("c") == "image-1");
}

TEST_CASE("a deployment of a roll that is cancelled stops the roll") {
  WithImages p;
  p.serve("a");
  p.serve("b");
  p.publish("image-2");
  p.roll({"a", "b"});
  p.made_for("a").cancel_requested = true;
  p.settle();
  CHECK(p.step("a") == RollStep::failed);
  CHECK(p.step("b") == RollStep::untouched);
  CHECK(p.the_roll().state == RollState::stopped);
  CHECK(p.the_roll().message == "cancelled on request");
}

TEST_CASE("a push that supersedes the deployment of a roll takes the app out of it") {
  WithImages p;
  p.serve("a");
  p.serve("b");
  p.app("a").cancel_on_push = true;
  p.publish("image-2");
  p.roll({"a", "b"});
  p.push("a");
  p.settle();
  CHECK(p.step("a") == RollStep::skipped);
  CHECK(p.step_of("a").message == "deployment 3 came, and this application cancels on push");
  CHECK(p.step("b") == RollStep::deploying);
}

TEST_CASE("an app that is being deployed when its wave comes is waited for, and then current") {
  WithImages p;
  p.serve("a");
  p.publish("image-2");
  const std::string pushed = p.push("a").uuid;
  p.settle();
  p.roll({"a"});
  CHECK(p.step("a") == RollStep::waiting);
  CHECK(p.step_of("a").message == "waits for the end of deployment 2");
  p.built_here(pushed);
  p.bring_up(pushed);
  CHECK(p.step("a") == RollStep::skipped);
  CHECK(p.step_of("a").message == "it runs on the present image already");
  CHECK(p.the_roll().state == RollState::done);
  CHECK(p.made() == 0);
}

TEST_CASE("what is stopped, deleted or of a runtime that is gone is skipped, wave after wave") {
  WithImages p;
  for (const auto* app : {"stopped", "deleted", "other", "last"}) p.serve(app);
  p.push("stopped", Action::undeploy);
  p.settle();
  p.agents_clean_up();
  p.proxies_acknowledge();
  p.agents_clean_up();
  p.app("deleted").deleted = true;
  p.world.deployments.at(p.app("other").serving_deployment).runtime = "php";
  p.publish("image-2");
  p.roll({"stopped", "nobody", "deleted", "other", "last"});
  CHECK(p.step_of("stopped").message == "nothing of it is in service");
  CHECK(p.step_of("nobody").message == "the application was deleted");
  CHECK(p.step_of("deleted").message == "the application was deleted");
  CHECK(p.step_of("other").message ==
        "the image catalogue has no runtime \"php\" any more; images/build makes it");
  CHECK(p.step("last") == RollStep::deploying);
}

TEST_CASE("a roll that is cancelled begins nothing more, and ends with what goes on") {
  WithImages p;
  p.serve("a");
  p.serve("b");
  p.publish("image-2");
  p.roll({"a", "b"});
  p.the_roll().cancel_requested = true;
  p.settle();
  CHECK(p.step("a") == RollStep::deploying);
  CHECK(p.step("b") == RollStep::untouched);
  CHECK(p.the_roll().state == RollState::running);
  p.bring_up(p.rolled("a"));
  CHECK(p.step("a") == RollStep::done);
  CHECK(p.the_roll().state == RollState::cancelled);
  CHECK(p.the_roll().message == "cancelled on request");
}

TEST_CASE("the release command runs before the instances of the new image start") {
  WithImages p;
  const std::string uuid = p.serve("a");
  p.build_of(uuid).release = "rake db:migrate";
  p.publish("image-2");
  p.roll({"a"});
  CHECK(p.made_for("a").phase == Phase::releasing);
  REQUIRE(p.jobs(JobKind::release).size() == 1);
  Job& job = *p.jobs(JobKind::release).front();
  p.ends(p.vm_of_job(job.id), 0);
  CHECK(p.made_for("a").phase == Phase::starting);
}

TEST_CASE("a later wave goes to the image that is present when it begins") {
  WithImages p;
  p.serve("a");
  p.serve("b");
  p.publish("image-2");
  p.roll({"a", "b"});
  p.publish("image-3");
  p.bring_up(p.rolled("a"));
  CHECK(p.image_of("a") == "image-2");
  CHECK(p.made_for("b").image == "image-3");
}

TEST_CASE("the owner of an app on an older image is told once of each newer one") {
  WithImages p;
  p.serve("a");
  CHECK_FALSE(p.told("newer image"));
  p.publish("image-2");
  p.settle();
  const auto told = [&] {
    return std::ranges::count_if(p.notes, [](const Note& note) {
      return note.text.starts_with("There is a newer image of node");
    });
  };
  CHECK(told() == 1);
  CHECK(p.told("There is a newer image of node (image-2)"));
  CHECK(p.world.image_news.contains({"a", {"node", "image-2"}}));
  p.publish("image-3");
  p.settle();
  CHECK(told() == 2);
  // The catalogue goes back and forth.
  p.publish("image-2");
  p.settle();
  CHECK(told() == 2);
}

TEST_CASE("nobody is told of a newer image while a deployment may bring the app onto it") {
  WithImages p;
  p.serve("a");
  const std::string uuid = p.push("a").uuid;
  p.settle();
  p.publish("image-2");
  p.settle();
  CHECK(p.world.image_news.empty());
  p.built_here(uuid);
  p.bring_up(uuid);
  CHECK(p.world.image_news.empty());
}
