#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <functional>

#include "a_tree.hpp"
#include "builder/folder_tree.hpp"
#include "builder/git_tree.hpp"
#include "support/scratch.hpp"

using namespace karreg;
using namespace karreg::builder;
using namespace karreg::test;

namespace {

/// A repository with one commit of hello files: a script, a link, a folder.
class Sample {
 public:
  Sample() {
    write_file(work() / "package.json", R"({"scripts":{"start":"node a.js"}})");
    write_file(work() / "bin/run", "#!/bin/sh\n");
    write_file(work() / "web/index.html", "<p>");
    git("init -q -b master");
    git("config user.email a@example.org && git config user.name A");
    must_run("chmod 755 " + (work() / "bin/run").string() + " && ln -s bin/run " +
             (work() / "link").string());
    commit();
  }
  void commit() {
    git("add -A");
    git("-c commit.gpgsign=false commit -q -m x --date=2023-11-14T22:13:20Z");
  }
  std::string git(const std::string& arguments) const {
    return must_run("cd " + work().string() + " && GIT_COMMITTER_DATE=2023-11-14T22:13:20Z git " +
                    arguments);
  }
  std::filesystem::path work() const { return scratch_ / "work"; }
  std::filesystem::path dot_git() const { return work() / ".git"; }
  const ScratchFolder& scratch() const { return scratch_; }

  git::Repository repository() const {
    auto opened = git::Repository::open(dot_git());
    if (!opened) FAIL(opened.error().message());
    return std::move(*opened);
  }

 private:
  ScratchFolder scratch_;
};

constexpr ArchiveLimits roomy{1 << 26, 1 << 26};

GitTree head_of(const git::Repository& repository) {
  auto commit = repository.commit_at("HEAD");
  if (!commit) FAIL(commit.error().message());
  return {repository, std::move(*commit)};
}

}  // namespace

TEST_CASE("a folder and a commit of it look the same to the inspector") {
  const Sample sample;
  const auto repository = sample.repository();
  const GitTree commit = head_of(repository);
  const FolderTree folder(sample.work());
  for (const SourceTree* tree :
       {static_cast<const SourceTree*>(&commit), static_cast<const SourceTree*>(&folder)}) {
    CHECK(tree->kind("") == EntryKind::folder);
    CHECK(tree->kind("package.json") == EntryKind::file);
    CHECK(tree->kind("bin") == EntryKind::folder);
    CHECK(tree->kind("bin/run") == EntryKind::file);
    CHECK(tree->kind("link") == EntryKind::link);
    CHECK(tree->kind("nope") == EntryKind::none);
    CHECK(tree->read("bin/run", 100).value() == "#!/bin/sh\n");
    CHECK(tree->read("bin/run", 3).error().kind() == ErrorKind::too_large);
    CHECK(tree->read("link", 100).error().kind() == ErrorKind::not_found);
    CHECK(tree->read("bin", 100).error().kind() == ErrorKind::not_found);
    std::string names;
    for (const Entry& entry : tree->list("")) names += entry.name + " ";
    CHECK(names == "bin link package.json web ");
    CHECK(tree->list("package.json").empty());
    const auto plan = inspect(*tree, {});
    REQUIRE(plan);
    CHECK(plan->runtime == "node");
  }
}

TEST_CASE("neither a folder nor a commit of it is left: by .., by an absolute path, by a link") {
  Sample sample;
  write_file(sample.scratch() / "outside/Cargo.toml", "[package]\n");
  must_run("ln -s ../outside " + (sample.work() / "crates").string());
  sample.commit();
  const auto repository = sample.repository();
  const GitTree commit = head_of(repository);
  const FolderTree folder(sample.work());
  for (const SourceTree* tree :
       {static_cast<const SourceTree*>(&commit), static_cast<const SourceTree*>(&folder)})
    for (const std::string& outside :
         {std::string("../outside"), std::string("crates"), std::string("web/../../outside"),
          (sample.scratch() / "outside").string()}) {
      INFO(outside);
      CHECK(tree->list(outside).empty());
      CHECK(tree->kind(outside + "/Cargo.toml") == EntryKind::none);
      CHECK(tree->read(outside + "/Cargo.toml", 100).error().kind() == ErrorKind::not_found);
    }
}

TEST_CASE("a commit becomes an archive with modes, links and the commit's time") {
  const Sample sample;
  const auto repository = sample.repository();
  std::string bytes;
  const auto keep = [&](std::string_view part) {
    bytes += part;
    return ok();
  };
  REQUIRE(head_of(repository).archive("", roomy, keep));
  write_file(sample.scratch() / "a.tar", bytes);
  CHECK(must_run("TZ=UTC tar -tvf " + (sample.scratch() / "a.tar").string()) ==
        "drwxr-xr-x root/root         0 2023-11-14 22:13 bin/\n"
        "-rwxr-xr-x root/root        10 2023-11-14 22:13 bin/run\n"
        "lrwxrwxrwx root/root         0 2023-11-14 22:13 link -> bin/run\n"
        "-rw-r--r-- root/root        33 2023-11-14 22:13 package.json\n"
        "drwxr-xr-x root/root         0 2023-11-14 22:13 web/\n"
        "-rw-r--r-- root/root         3 2023-11-14 22:13 web/index.html\n");
  const std::string first = std::exchange(bytes, "");
  REQUIRE(head_of(repository).archive("", roomy, keep));
  CHECK(bytes == first);

  bytes.clear();
  REQUIRE(head_of(repository).archive("web", roomy, keep));
  write_file(sample.scratch() / "b.tar", bytes);
  CHECK(must_run("tar -tf " + (sample.scratch() / "b.tar").string()) == "index.html\n");
  CHECK(head_of(repository).archive("nope", roomy, keep).error().kind() == ErrorKind::not_found);
}

TEST_CASE("an archive over the limit is refused") {
  const Sample sample;
  const auto repository = sample.repository();
  const auto refused =
      head_of(repository).archive("", {1024, 1024}, [](std::string_view) { return ok(); });
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind() == ErrorKind::too_large);
}

TEST_CASE("a file comes in pieces, and not at all when it is over the limit of a file") {
  Sample sample;
  std::string bytes;
  for (int i = 0; bytes.size() < 3 << 20; ++i) bytes += std::to_string(i) + "\n";
  write_file(sample.work() / "web/numbers", bytes);
  sample.commit();
  const auto repository = sample.repository();
  std::string archive;
  std::size_t largest = 0;
  const auto keep = [&](std::string_view piece) {
    archive += piece;
    largest = std::max(largest, piece.size());
    return ok();
  };
  REQUIRE(head_of(repository).archive("web", roomy, keep));
  CHECK(largest == 1 << 20);
  write_file(sample.scratch() / "a.tar", archive);
  CHECK(must_run("tar -xOf " + (sample.scratch() / "a.tar").string() + " numbers") == bytes);

  const auto refused = head_of(repository).archive("", {1 << 26, 2 << 20}, keep);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind() == ErrorKind::too_large);
  CHECK(refused.error().message() ==
        "web/numbers has 3 MiB, and a file of a commit may have 2 MiB. Keep large data out of the "
        "repository.");
}

TEST_CASE("what is too large is refused without being read into memory") {
  Sample sample;
  must_run("truncate -s 1G " + (sample.scratch() / "zeros").string());
  std::string blob = sample.git("-c core.compression=1 hash-object -w --no-filters " +
                                (sample.scratch() / "zeros").string());
  blob.pop_back();
  sample.git("update-index --add --cacheinfo 100644," + blob + ",package.json");
  sample.git("update-index --add --cacheinfo 120000," + blob + ",web/link");
  sample.git("-c commit.gpgsign=false commit -q -m zeros");

  // In a process of its own: the peak of memory is counted for each.
  const auto grown_mib = [](const std::function<Result<void>()>& refused) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      const auto peak = [] {
        struct rusage usage{};
        getrusage(RUSAGE_SELF, &usage);
        return usage.ru_maxrss >> 10;
      };
      const auto before = peak();
      const auto result = refused();
      const bool right = !result && result.error().kind() == ErrorKind::too_large;
      _exit(right ? static_cast<int>(std::min(peak() - before, 254L)) : 255);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    return WEXITSTATUS(status);
  };
  constexpr std::int64_t gibibyte = std::int64_t{1} << 30;
  const auto archived = [&](const std::string& folder, const ArchiveLimits& limits) {
    return grown_mib([&] {
      const auto repository = sample.repository();
      return head_of(repository).archive(folder, limits, [](std::string_view) { return ok(); });
    });
  };
  CHECK(archived("", {2 * gibibyte, gibibyte / 4}) < 64);
  CHECK(archived("", {gibibyte, 2 * gibibyte}) < 64);
  CHECK(archived("web", {2 * gibibyte, 2 * gibibyte}) < 64);
  CHECK(grown_mib([&]() -> Result<void> {
          const auto repository = sample.repository();
          auto text = head_of(repository).read("package.json", 1 << 20);
          if (!text) return text.error();
          return ok();
        }) < 64);
}

TEST_CASE("folders nested beyond reason are refused") {
  Sample sample;
  const auto repository = sample.repository();
  const auto nested = [&](int depth) {
    git_oid oid = *git_tree_id(repository.commit_at("HEAD").value().tree.get());
    for (int i = 1; i < depth; ++i) {
      Handle<git_treebuilder, git_treebuilder_free> folder;
      REQUIRE(git_treebuilder_new(Out(folder), repository.raw(), nullptr) == 0);
      REQUIRE(git_treebuilder_insert(nullptr, folder.get(), "a", &oid, GIT_FILEMODE_TREE) == 0);
      REQUIRE(git_treebuilder_write(&oid, folder.get()) == 0);
    }
    sample.git("update-ref HEAD $(echo x | git commit-tree " + git::to_text(oid) + ")");
    return head_of(repository).archive("", roomy, [](std::string_view) { return ok(); });
  };
  // The sample itself has folders of one level.
  CHECK(nested(255));
  const auto refused = nested(5000);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind() == ErrorKind::too_large);
  CHECK(refused.error().message().starts_with(
      "The folders of this commit are nested more than 256 deep, at a/a/a/"));
}

TEST_CASE("a submodule is an empty folder of the archive") {
  Sample sample;
  sample.git(
      "update-index --add --cacheinfo 160000,0123456789012345678901234567890123456789,vendor/lib");
  sample.git("-c commit.gpgsign=false commit -q -m sub");
  const auto repository = sample.repository();
  std::string bytes;
  REQUIRE(head_of(repository).archive("vendor", roomy, [&](std::string_view piece) {
    bytes += piece;
    return ok();
  }));
  write_file(sample.scratch() / "a.tar", bytes);
  CHECK(must_run("TZ=UTC tar -tvf " + (sample.scratch() / "a.tar").string()) ==
        "drwxr-xr-x root/root         0 2023-11-14 22:13 lib/\n");
}

TEST_CASE(
    "a commit and its work tree have the same submodules, before and after they are fetched") {
  const std::string commit = "0123456789012345678901234567890123456789";
  Sample sample;
  for (const std::string path : {"lib", "web/a b/x"})
    sample.git("update-index --add --cacheinfo '160000," + commit + "," + path + "'");
  sample.git("-c commit.gpgsign=false commit -q -m sub");
  const auto repository = sample.repository();
  const GitTree git_tree = head_of(repository);
  using Links = std::vector<Gitlink>;
  const auto look = [&] {
    const FolderTree folder(sample.work());
    for (const SourceTree* tree :
         {static_cast<const SourceTree*>(&git_tree), static_cast<const SourceTree*>(&folder)}) {
      CHECK(tree->gitlinks("").value() == Links{{"lib", commit}, {"web/a b/x", commit}});
      CHECK(tree->gitlinks("web").value() == Links{{"a b/x", commit}});
      CHECK(Subtree(*tree, "web").gitlinks("a b").value() == Links{{"x", commit}});
      CHECK(tree->gitlinks("bin").value().empty());
      CHECK(tree->kind("lib") == EntryKind::submodule);
      CHECK(tree->kind("lib/index.html") == EntryKind::none);
      CHECK(tree->list("lib").empty());
      CHECK_FALSE(tree->read("lib/index.html", 100));
    }
  };
  std::filesystem::create_directories(sample.work() / "lib");
  look();
  write_file(sample.work() / "lib/index.html", "<p>");
  look();
}

TEST_CASE("the submodules of a folder in a work tree are those below it") {
  Sample sample;
  const std::string commit = "0123456789012345678901234567890123456789";
  sample.git("update-index --add --cacheinfo 160000," + commit + ",web/lib");
  CHECK(FolderTree(sample.work() / "web").gitlinks("").value() ==
        std::vector<Gitlink>{{"lib", commit}});
  CHECK(FolderTree(sample.work() / "bin").gitlinks("").value().empty());
}

TEST_CASE("a folder has no submodules where git has no work tree, and says so where it is broken") {
  const ScratchFolder scratch;
  write_file(scratch / "app/index.html", "");
  CHECK(FolderTree(scratch / "app").gitlinks("").value().empty());
  write_file(scratch / "app/.git", "gitdir: nowhere");
  const auto broken = FolderTree(scratch / "app").gitlinks("");
  REQUIRE_FALSE(broken);
  CHECK(broken.error().kind() == ErrorKind::unavailable);
  CHECK(broken.error().message().starts_with("The submodules of " + (scratch / "app").string() +
                                             " are not known, for git says: fatal: "));
}

TEST_CASE("a commit with more names than can be looked through is refused before it is planned") {
  Sample sample;
  const auto repository = sample.repository();
  git_oid oid = *git_tree_id(repository.commit_at("HEAD").value().tree.get());
  // A folder of a thousand in a folder of a thousand: the names of two trees.
  for (int level = 0; level < 2; ++level) {
    Handle<git_treebuilder, git_treebuilder_free> folder;
    REQUIRE(git_treebuilder_new(Out(folder), repository.raw(), nullptr) == 0);
    for (int i = 0; i < 1000; ++i)
      REQUIRE(git_treebuilder_insert(nullptr, folder.get(), std::to_string(i).c_str(), &oid,
                                     GIT_FILEMODE_TREE) == 0);
    REQUIRE(git_treebuilder_write(&oid, folder.get()) == 0);
  }
  sample.git("update-ref HEAD $(echo x | git commit-tree " + git::to_text(oid) + ")");
  const auto refused = head_of(repository).gitlinks("");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind() == ErrorKind::too_large);
  // The bound is the one that the archive has.
  const GitTree bounded(repository, repository.commit_at("HEAD").value(), 250'000);
  CHECK(bounded.gitlinks("").error().message().starts_with(
      "This commit has more than 250000 files, folders and links."));
}

TEST_CASE("tree ids tell equal folders from changed ones") {
  Sample sample;
  const auto repository = sample.repository();
  const std::string root = head_of(repository).tree_id("").value();
  const std::string web = head_of(repository).tree_id("web").value();
  write_file(sample.work() / "bin/run", "changed");
  sample.commit();
  CHECK(head_of(repository).tree_id("").value() != root);
  CHECK(head_of(repository).tree_id("web").value() == web);
}

TEST_CASE("commits that are not there say so") {
  const Sample sample;
  const auto repository = sample.repository();
  CHECK(repository.commit("master").error().kind() == ErrorKind::invalid);
  CHECK(repository.commit(std::string(40, 'a')).error().kind() == ErrorKind::not_found);
  CHECK(git::Repository::open(sample.scratch() / "nope").error().kind() == ErrorKind::not_found);
}
