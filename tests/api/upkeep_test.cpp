#include "api/git/upkeep.hpp"

#include <catch2/catch.hpp>

#include "support/scratch.hpp"

using namespace karreg::api::git;
using namespace karreg::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

const auto now = std::chrono::file_clock::now();

/// A bare repository with one commit at refs/karreg/deployments/1 to @p deployments.
class Repository {
 public:
  explicit Repository(int deployments = 0) {
    must_run("git init -q --bare " + folder().string());
    if (deployments == 0) return;
    const std::string git = "git --git-dir=" + folder().string() + " ";
    const std::string commit = must_run(
        "GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@b " +
        git + "commit-tree -m x $(" + git + "mktree </dev/null)");
    for (int n = 1; n <= deployments; ++n)
      write_file(folder() / ("refs/karreg/deployments/" + std::to_string(n)), commit);
  }
  fs::path folder() const { return scratch_ / "app.git"; }
  /// Makes @p name, last changed @p age ago.
  void add(const std::string& name, std::chrono::minutes age) const {
    if (name.ends_with('/'))
      write_file(folder() / name / "inside", "");
    else
      write_file(folder() / name, "");
    const std::string path = name.ends_with('/') ? name.substr(0, name.size() - 1) : name;
    fs::last_write_time(folder() / path, now - age);
  }
  bool has(const std::string& name) const { return fs::exists(folder() / name); }

 private:
  ScratchFolder scratch_;
};

}  // namespace

TEST_CASE("what killed git processes left goes once nobody can be using it", "[api]") {
  const Repository repository(1);
  repository.add("objects/tmp_objdir-incoming-old/", 25h);
  repository.add("objects/tmp_objdir-incoming-new/", 23h);
  repository.add("objects/17/", 48h);
  repository.add("refs/heads/deep/master.lock", 61min);
  repository.add("refs/heads/main.lock", 59min);
  repository.add("shallow.lock", 61min);
  CHECK(sweep_leftovers(repository.folder(), now) == 3);
  CHECK_FALSE(repository.has("objects/tmp_objdir-incoming-old"));
  CHECK(repository.has("objects/tmp_objdir-incoming-new"));
  CHECK(repository.has("objects/17"));
  CHECK_FALSE(repository.has("refs/heads/deep/master.lock"));
  CHECK(repository.has("refs/heads/main.lock"));
  CHECK_FALSE(repository.has("shallow.lock"));
  CHECK(sweep_leftovers(repository.folder(), now) == 0);
}

TEST_CASE("the newest deployments keep their commits, and those that are needed", "[api]") {
  const Repository repository(60);
  const auto forgotten = forget_old_deployments(repository.folder(), {3, 9, 60});
  REQUIRE(forgotten);
  CHECK(*forgotten == 8);
  for (int n = 1; n <= 60; ++n) {
    INFO(n);
    CHECK(repository.has("refs/karreg/deployments/" + std::to_string(n)) ==
          (n > 10 || n == 3 || n == 9));
  }
  CHECK(forget_old_deployments(repository.folder(), {3, 9, 60}).value_or(-1) == 0);
}

TEST_CASE("a repository is unused until something points into it", "[api]") {
  CHECK(is_unused(Repository(0).folder()).value_or(false));
  CHECK_FALSE(is_unused(Repository(1).folder()).value_or(true));
  CHECK_FALSE(is_unused("/nonexistent"));
}

TEST_CASE("packing is worth it for many loose objects or many packs", "[api]") {
  const Repository repository;
  CHECK_FALSE(wants_packing(repository.folder()));
  for (int n = 0; n < 5; ++n) {
    CHECK_FALSE(wants_packing(repository.folder()));
    repository.add("objects/17/" + std::to_string(n), 0min);
  }
  CHECK(wants_packing(repository.folder()));
  const Repository packs;
  for (int n = 0; n < 21; ++n) {
    CHECK_FALSE(wants_packing(packs.folder()));
    packs.add("objects/pack/" + std::to_string(n) + ".pack", 0min);
    packs.add("objects/pack/" + std::to_string(n) + ".idx", 0min);
  }
  CHECK(wants_packing(packs.folder()));
}
