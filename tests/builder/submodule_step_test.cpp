// The step that fetches submodules, run for real against repositories that are served on loopback.
#include "builder/submodule_step.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "a_tree.hpp"
#include "support/programs.hpp"
#include "support/scratch.hpp"

using namespace karreg;
using namespace karreg::builder;
using namespace karreg::test;

namespace {

/// git_server.py with the repositories of a folder; it ends with us.
class Server {
 public:
  explicit Server(const std::filesystem::path& folder) {
    std::array<int, 2> input{};
    std::array<int, 2> output{};
    REQUIRE(pipe2(input.data(), O_CLOEXEC) == 0);
    REQUIRE(pipe2(output.data(), O_CLOEXEC) == 0);
    const std::string script = source_file("tests/support/git_server.py");
    pid_ = fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      dup2(input[0], 0);
      dup2(output[1], 1);
      execlp("python3", "python3", script.c_str(), folder.c_str(), nullptr);
      _exit(127);
    }
    close(input[0]);
    close(output[1]);
    input_ = input[1];
    FILE* lines = fdopen(output[0], "r");
    int port = 0;
    const int read = fscanf(lines, "%d", &port);
    fclose(lines);
    REQUIRE(read == 1);
    at_ = "127.0.0.1:" + std::to_string(port);
  }
  ~Server() {
    close(input_);
    waitpid(pid_, nullptr, 0);
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::string url(const std::string& path) const { return "http://" + at_ + "/" + path; }

 private:
  pid_t pid_ = -1;
  int input_ = -1;
  std::string at_;
};

/// Repositories that are served, and an app whose submodules they are.
class Place {
 public:
  Place()
      : server_((std::filesystem::create_directories(scratch_ / "served"), scratch_ / "served")) {
    std::filesystem::create_directories(scratch_ / "app");
  }

  /// A commit more in the repository @p name, on its only branch; gives its id.
  std::string commit(const std::string& name, const Files& files, const Gitlinks& gitlinks = {}) {
    const auto work = scratch_ / ("work/" + name);
    if (!std::filesystem::exists(work)) {
      std::filesystem::create_directories(work);
      git(work, "init -q -b main");
      must_run("git init -q --bare -b main " + bare(name));
    }
    for (const auto& [path, text] : files) write_file(work / path, text);
    git(work, "add -A");
    for (const auto& [path, id] : gitlinks)
      git(work, "update-index --add --cacheinfo 160000," + id + "," + path);
    git(work, "-c commit.gpgsign=false -c user.name=A -c user.email=a@example.org commit -q -m x");
    git(work, "push -q " + bare(name) + " +main");
    must_run("git -C " + bare(name) + " update-server-info");
    std::string id = git(work, "rev-parse HEAD");
    id.pop_back();
    return id;
  }
  /// The last commit is none of the branch any more.
  void take_back(const std::string& name) {
    const auto work = scratch_ / ("work/" + name);
    git(work, "push -q " + bare(name) + " +main~1:main");
    git(work, "checkout -q main~1");
  }

  /// An app with these submodules: path -> {path of the url, commit}. The archive of the source
  /// leaves empty folders.
  void submodule(const std::string& path, const std::string& url, const std::string& id) {
    std::filesystem::create_directories(scratch_ / ("app/" + path));
    gitmodules_ += "[submodule \"" + path + "\"]\npath = \"" + path + "\"\nurl = \"" +
                   server_.url(url) + "\"\n";
    gitlinks_[path] = id;
  }

  /// Runs the step as the build VM does.
  Ran fetch(const std::string& environment = "") const {
    const auto plan =
        inspect(MemoryTree({{"index.html", ""}, {".gitmodules", gitmodules_}}, gitlinks_), {});
    if (!plan) FAIL(plan.error().message());
    REQUIRE(step_names(*plan) == "submodules");
    write_file(scratch_ / "step.sh", command_of(*plan, "submodules"));
    std::filesystem::create_directories(scratch_ / "tmp");
    return run(
        "cd " + (scratch_ / "app").string() +
        " && env -u http_proxy -u HTTP_PROXY -u https_proxy -u ALL_PROXY -u all_proxy TMPDIR=" +
        (scratch_ / "tmp").string() + " " + environment + " timeout 100 /bin/bash -e -o pipefail " +
        (scratch_ / "step.sh").string());
  }
  void must_fetch(const std::string& environment = "") const {
    const Ran ran = fetch(environment);
    INFO(ran.output);
    REQUIRE(ran.exit_code == 0);
  }

  /// Every file of the app, with its text: "lib/a=one lib/b=two".
  std::string files() const {
    std::string all = must_run("cd " + (scratch_ / "app").string() +
                               " && find . -type f -printf '%P=' -exec cat {} \\; | sort");
    while (all.ends_with('\n')) all.pop_back();
    std::ranges::replace(all, '\n', ' ');
    return all;
  }
  bool has_git_folders() const {
    return !must_run("find " + (scratch_ / "app").string() + " -name .git").empty();
  }
  bool left_something() const { return !std::filesystem::is_empty(scratch_ / "tmp"); }
  const Server& server() const { return server_; }
  const ScratchFolder& scratch() const { return scratch_; }

 private:
  static std::string git(const std::filesystem::path& where, const std::string& arguments) {
    return must_run("cd " + where.string() + " && git " + arguments);
  }
  std::string bare(const std::string& name) const {
    return (scratch_ / ("served/" + name + ".git")).string();
  }

  ScratchFolder scratch_;
  Server server_;
  std::string gitmodules_;
  Gitlinks gitlinks_;
};

}  // namespace

TEST_CASE("a submodule is fetched at exactly its commit, and nothing of git stays") {
  Place place;
  const std::string first = place.commit("lib", {{"a", "one\n"}, {"b/c", "two\n"}});
  place.commit("lib", {{"a", "newer\n"}});
  place.submodule("vendor/lib", "smart/lib.git", first);
  const Ran ran = place.fetch();
  INFO(ran.output);
  REQUIRE(ran.exit_code == 0);
  CHECK(ran.output ==
        "vendor/lib: " + place.server().url("smart/lib.git") + " at " + first.substr(0, 12) + "\n");
  CHECK(place.files() == "vendor/lib/a=one vendor/lib/b/c=two");
  CHECK_FALSE(place.has_git_folders());
  CHECK_FALSE(place.left_something());
}

TEST_CASE("a commit that no branch has any more is fetched where the server gives it") {
  Place place;
  place.commit("lib", {{"a", "one\n"}});
  const std::string second = place.commit("lib", {{"a", "two\n"}});
  place.take_back("lib");
  place.submodule("lib", "smart/lib.git", second);
  place.must_fetch();
  CHECK(place.files() == "lib/a=two");
}

TEST_CASE("where a server gives no single commit, all of it is fetched") {
  Place place;
  const std::string first = place.commit("lib", {{"a", "one\n"}});
  place.commit("lib", {{"a", "newer\n"}});
  place.submodule("lib", "dumb/lib.git", first);
  place.must_fetch();
  CHECK(place.files() == "lib/a=one");
  CHECK_FALSE(place.has_git_folders());
}

TEST_CASE("submodules of submodules are fetched, also by urls that are relative or ask for SSH") {
  for (const std::string kind : {"smart", "dumb"}) {
    INFO(kind);
    Place place;
    const std::string deep = place.commit("deep", {{"d", "deep\n"}});
    const std::string beside = place.commit("beside", {{"e", "beside\n"}});
    const std::string lib = place.commit("lib",
                                         {{"a", "one\n"},
                                          {".gitmodules",
                                           "[submodule \"x\"]\npath = x\nurl = ../deep.git\n"
                                           "[submodule \"y\"]\npath = y/z\nurl = git@127.0.0.1:" +
                                               kind + "/beside.git\n"}},
                                         {{"x", deep}, {"y/z", beside}});
    place.submodule("lib", kind + "/lib.git", lib);
    place.must_fetch();
    const std::string files = place.files();
    CHECK(files.find("lib/a=one") != std::string::npos);
    CHECK(files.find("lib/x/d=deep") != std::string::npos);
    CHECK(files.find("lib/y/z/e=beside") != std::string::npos);
    CHECK_FALSE(place.has_git_folders());
  }
}

TEST_CASE("a submodule of a submodule is fetched by HTTP alone, and runs nothing") {
  for (const std::string url : {"ext::touch /tmp/karreg-never%", "file://SCRATCH/served/deep.git",
                                "SCRATCH/served/deep.git", "ssh://git@192.0.2.1:22/x"}) {
    INFO(url);
    Place place;
    const std::string deep = place.commit("deep", {{"d", "deep\n"}});
    std::string there = url;
    if (const auto at = there.find("SCRATCH"); at != std::string::npos)
      there.replace(at, 7, place.scratch().path().string());
    const std::string lib = place.commit(
        "lib", {{".gitmodules", "[submodule \"x\"]\npath = x\nurl = \"" + there + "\"\n"}},
        {{"x", deep}});
    place.submodule("lib", "smart/lib.git", lib);
    const Ran ran = place.fetch();
    CHECK(ran.exit_code != 0);
    CHECK(ran.output.find("A submodule of lib could not be fetched.") != std::string::npos);
    CHECK(ran.output.find("transport '") != std::string::npos);
    CHECK_FALSE(std::filesystem::exists("/tmp/karreg-never"));
    CHECK_FALSE(place.left_something());
  }
}

TEST_CASE("a private repository is fetched with the credentials of the environment") {
  Place place;
  const std::string deep = place.commit("deep", {{"d", "deep\n"}});
  const std::string lib = place.commit(
      "lib", {{"a", "one\n"}, {".gitmodules", "[submodule \"x\"]\npath = x\nurl = ../deep.git\n"}},
      {{"x", deep}});
  place.submodule("lib", "private/lib.git", lib);

  const Ran without = place.fetch();
  CHECK(without.exit_code != 0);
  CHECK(without.output.find("lib could not be fetched. If its repository is private, set "
                            "CC_GIT_CREDENTIALS=https://USER:TOKEN@HOST with a token that may read "
                            "it, or CC_SSH_PRIVATE_KEY to a key that may.") != std::string::npos);
  std::filesystem::remove_all(place.scratch() / "app/lib");
  std::filesystem::create_directories(place.scratch() / "app/lib");

  const std::string site = place.server().url("").substr(7);
  const Ran with = place.fetch("CC_GIT_CREDENTIALS='https://a:b@example.org  http://me:hid%3Aden@" +
                               site.substr(0, site.size() - 1) + "'");
  INFO(with.output);
  REQUIRE(with.exit_code == 0);
  CHECK(with.output.find("hid") == std::string::npos);
  CHECK(place.files().find("lib/a=one") != std::string::npos);
  CHECK(place.files().find("lib/x/d=deep") != std::string::npos);
  CHECK(must_run("grep -r den " + (place.scratch() / "app").string() + " || true").empty());
  CHECK_FALSE(place.left_something());
}

TEST_CASE("a commit that the repository does not have says where it is missed") {
  const std::string missing(40, 'a');
  for (const std::string kind : {"smart", "dumb"}) {
    Place place;
    place.commit("lib", {{"a", "one\n"}});
    place.submodule("lib", kind + "/lib.git", missing);
    const Ran ran = place.fetch();
    CHECK(ran.exit_code == 1);
    CHECK(ran.output.ends_with("lib: " + place.server().url(kind + "/lib.git") +
                               " does not have the commit " + missing +
                               ", which this repository names. Push it there.\n"));
  }
}

TEST_CASE("a repository that is not there ends the build, and the next submodule is not begun") {
  Place place;
  const std::string id = place.commit("lib", {{"a", "one\n"}});
  place.submodule("a", "smart/nothing.git", id);
  place.submodule("b", "smart/lib.git", id);
  const Ran ran = place.fetch();
  CHECK(ran.exit_code == 1);
  CHECK(ran.output.find("a could not be fetched.") != std::string::npos);
  CHECK(ran.output.find("b: ") == std::string::npos);
  CHECK(std::filesystem::is_empty(place.scratch() / "app/b"));
}

TEST_CASE("paths and urls are words for the shell, whatever they have in them") {
  const std::vector<std::string> paths = {"a b", "$(touch x)", "'; touch x; '", "*",
                                          "~",   "a;b",        "`touch x`",     "\xC3\xA9",
                                          "!x",  "#x",         "{a,b}",         "$HOME"};
  Place wrong;
  const std::string id = wrong.commit("lib", {{"a", "one\n"}});
  wrong.submodule("lib", "smart/$(touch${IFS}x)';touch${IFS}x;'`touch${IFS}x`", id);
  CHECK(wrong.fetch().exit_code == 1);
  CHECK(must_run("find " + wrong.scratch().path().string() + " -name x").empty());

  Place other;
  const std::string same = other.commit("lib", {{"a", "one\n"}});
  for (const std::string& path : paths) other.submodule(path, "smart/lib.git", same);
  other.must_fetch();
  for (const std::string& path : paths) {
    INFO(path);
    CHECK(read_file(other.scratch() / ("app/" + path + "/a")) == "one\n");
  }
  CHECK_FALSE(std::filesystem::exists(other.scratch() / "app/x"));
}
