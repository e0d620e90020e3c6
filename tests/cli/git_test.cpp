#include "cli/git.hpp"

#include "support/programs.hpp"
#include "support/scratch.hpp"

using namespace karreg;
using namespace karreg::cli;
using namespace karreg::test;
using How = PushEnd::Result;

namespace {

/// A work tree with a commit, and a bare repository to push to.
class Repositories {
 public:
  Repositories() {
    git("init -q -b trunk && git config user.email a@example.org && git config user.name A && "
        "git config commit.gpgsign false");
    must_run("git init -q --bare " + remote());
    commit("one");
  }
  std::string work() const { return (scratch_ / "work").string(); }
  std::string remote() const { return (scratch_ / "remote.git").string(); }
  std::string git(const std::string& arguments) const {
    return must_run("mkdir -p " + work() + " && cd " + work() + " && git " + arguments);
  }
  void commit(const std::string& text) const {
    write_file(scratch_ / "work/file", text);
    git("add -A && git commit -q -m x");
  }
  void hook(const std::string& name, const std::string& script) const {
    write_file(scratch_ / ("remote.git/hooks/" + name), script);
    must_run("chmod 755 " + remote() + "/hooks/" + name);
  }
  std::string head() const { return commit_of(work(), "HEAD", process_environment()).value(); }
  PushEnd push_head(bool force = false) const {
    auto end = push({work(), remote(), head(), "master", force, {}}, {}, process_environment());
    if (!end) FAIL(end.error().message());
    return *end;
  }
  const ScratchFolder& scratch() const { return scratch_; }

 private:
  ScratchFolder scratch_;
};

std::string refusal(const std::string& folder, const std::string& revision) {
  return commit_of(folder, revision, process_environment()).error().message();
}

}  // namespace

TEST_CASE("a commit is named in full, and what is missing is told") {
  const Repositories repositories;
  CHECK(repositories.head() + "\n" == repositories.git("rev-parse HEAD"));
  CHECK(commit_of(repositories.work(), "trunk", process_environment()).value() ==
        repositories.head());
  CHECK(refusal(repositories.work(), "nope") == "git knows no branch or commit `nope` here.");
  CHECK(refusal(repositories.scratch().path().string(), "HEAD") ==
        "This folder is no git repository. Run `git init`, then commit your app.");
  const ScratchFolder empty;
  must_run("git init -q " + empty.path().string());
  CHECK(refusal(empty.path().string(), "HEAD") ==
        "There is no commit yet. Run `git add` and `git commit` first.");
}

TEST_CASE("a push says how it ended") {
  const Repositories repositories;
  CHECK(repositories.push_head().result == How::pushed);
  CHECK(must_run("git -C " + repositories.remote() + " rev-parse master") ==
        repositories.head() + "\n");
  CHECK(repositories.push_head().result == How::up_to_date);
  repositories.commit("two");
  CHECK(repositories.push_head().result == How::pushed);

  repositories.git("reset -q --hard HEAD~1");
  repositories.commit("other");
  const PushEnd refused = repositories.push_head();
  CHECK(refused.result == How::rejected);
  CHECK(refused.reason == "non-fast-forward");
  CHECK(repositories.push_head(true).result == How::pushed);
}

TEST_CASE("a refusal of the platform keeps its reason") {
  const Repositories repositories;
  repositories.hook("update", "#!/bin/sh\nexit 1\n");
  const PushEnd refused = repositories.push_head();
  CHECK(refused.result == How::rejected);
  CHECK(refused.reason == "hook declined");
  CHECK(refused.exit_code == 1);
}

TEST_CASE("a push that is watched can be left") {
  const Repositories repositories;
  repositories.hook("post-receive", "#!/bin/sh\nexec sleep 20 </dev/null >/dev/null 2>&1\n");
  int ticks = 0;
  const Push watched{
      repositories.work(),        repositories.remote(), repositories.head(), "master", false,
      [&] { return ++ticks < 3; }};
  const auto end = push(watched, {}, process_environment());
  REQUIRE(end);
  CHECK(end->result == How::detached);
  CHECK(ticks == 3);
}

TEST_CASE("porcelain lines are read") {
  CHECK(read_push("To https://x\n*\tabc:refs/heads/master\t[new branch]\nDone\n", 0).result ==
        How::pushed);
  CHECK(read_push("!\tabc:refs/heads/master\t[remote rejected] (the disk is (very) full)\n", 1)
            .reason == "the disk is (very) full");
  CHECK(read_push("", 128).result == How::failed);
  CHECK(read_push(" \ta:refs/heads/master\ta..b\n", 1).result == How::failed);
}

TEST_CASE("git is answered from the environment, and nobody else") {
  const std::string program = test::program("karreg");
  const std::string secrets = "KARREG_ASKPASS_USER=tok KARREG_ASKPASS_PASSWORD=sec ";
  CHECK(must_run(secrets + program + " \"Username for 'https://x': \"") == "tok\n");
  CHECK(must_run(secrets + program + " \"Password for 'https://tok@x': \"") == "sec\n");
  CHECK(run(program + " \"Password for 'https://tok@x': \"").exit_code == 2);
}
