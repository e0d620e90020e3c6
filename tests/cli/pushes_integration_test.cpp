// git itself against a real karreg-api: pushes that overlap, are left, or lose the API on their
// way.
#include <sys/resource.h>
#include <sys/un.h>

#include "a_pusher.hpp"
#include "support/programs.hpp"

using namespace karreg;
using namespace karreg::test;

namespace {

/// A unix socket, connected to @p path or listening there.
class HookSocket {
 public:
  enum class As { hook, platform };
  HookSocket(const std::string& path, As as) : fd_(socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    REQUIRE(path.size() < sizeof address.sun_path);
    path.copy(address.sun_path, path.size());
    const auto* where = reinterpret_cast<const sockaddr*>(&address);
    if (as == As::hook) {
      REQUIRE(connect(fd_, where, sizeof address) == 0);
    } else {
      REQUIRE(bind(fd_, where, sizeof address) == 0);
      REQUIRE(listen(fd_, 1) == 0);
    }
  }
  ~HookSocket() { close(fd_); }
  HookSocket(const HookSocket&) = delete;
  HookSocket& operator=(const HookSocket&) = delete;
  void say(const std::string& text) {
    REQUIRE(write(fd_, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  /// What the other side says until it closes; the test fails after half a minute.
  std::string heard() {
    const timeval patience{30, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    std::string all;
    std::array<char, 4096> piece;
    for (ssize_t n = 0; (n = read(fd_, piece.data(), piece.size())) != 0;) {
      REQUIRE(n > 0);
      all.append(piece.data(), static_cast<std::size_t>(n));
    }
    return all;
  }

 private:
  int fd_;
};

/// The row of a branch, held so that whoever wants to move the branch waits for it.
class HeldBranch {
 public:
  explicit HeldBranch(Pushes& platform)
      : platform_(platform), connection_(platform.database().url()), work_(connection_) {
    work_.exec_params0("INSERT INTO branches (app_id, ref, number) VALUES ($1, $2, 0)",
                       platform.app(), "refs/heads/master");
  }
  /// Cuts the connection of the next one that waits.
  void cut_the_waiting() {
    std::string waiting;
    eventually("the branch is to be moved", [&] {
      waiting = platform_.database().value(
          "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = "
          "current_database() AND pid <> " +
          cut_);
      return !waiting.empty();
    });
    CHECK(platform_.database().value("SELECT pg_terminate_backend(" + waiting + ")") == "t");
    cut_ = waiting;
  }

 private:
  Pushes& platform_;
  pqxx::connection connection_;
  pqxx::work work_;
  std::string cut_ = "0";
};

}  // namespace

TEST_CASE("of two pushes that overlap both succeed, and the branch is at the newer one") {
  const bool newer_ends_first = GENERATE(false, true);
  CAPTURE(newer_ends_first);
  Pushes platform;
  auto [v1, first] = platform.begin_push("one");
  auto [v2, second] = platform.begin_push("two");

  platform.put_in_service(newer_ends_first ? 2 : 1);
  const Ran early = newer_ends_first ? second.get() : first.get();
  INFO(early.output);
  CHECK(early.exit_code == 0);
  CHECK(platform.branch() == (newer_ends_first ? v2 : v1));

  platform.put_in_service(newer_ends_first ? 1 : 2);
  const Ran late = newer_ends_first ? first.get() : second.get();
  INFO(late.output);
  CHECK(late.exit_code == 0);
  CHECK(platform.branch() == v2);
  CHECK(platform.open_pushes() == "0");
}

TEST_CASE("pushes that overlap and lose the API leave the branch at the newest that lives") {
  Pushes platform;
  auto [v1, first] = platform.begin_push("one");
  auto [v2, second] = platform.begin_push("two");
  auto [v3, third] = platform.begin_push("three");
  platform.database().query(
      "UPDATE deployments SET state = 'FAIL', phase = 'ended', ended_at = now() WHERE number = 3");
  CHECK(third.get().exit_code != 0);
  CHECK(platform.branch().empty());

  platform.process().stop(SIGKILL);
  CHECK(first.get().exit_code != 0);
  CHECK(second.get().exit_code != 0);
  platform.start();
  platform.await_branch(v2);
  eventually("the pushes are closed", [&] { return platform.open_pushes() == "0"; });
  CHECK(platform.state(1) == "WIP");
  platform.scheduler().verdict("OK");
  eventually("they go on", [&] { return platform.state(1) + platform.state(2) == "OKOK"; });
  CHECK(platform.branch() == v2);
}

TEST_CASE("a push that another living process answers is not adopted, and is when that one ends") {
  Pushes platform;
  auto [v1, pusher] = platform.begin_push("one");
  // Another process: a session that holds its lock.
  auto other = std::make_unique<pqxx::connection>(platform.database().url());
  pqxx::nontransaction(*other).exec("SELECT pg_advisory_lock(4242424242424242424)");
  platform.database().query("UPDATE open_pushes SET owner = 4242424242424242424");
  platform.process().stop(SIGKILL);
  CHECK(pusher.get().exit_code != 0);
  platform.start();
  // Looked at twice: orphans are adopted at the second sight.
  platform.database().query(
      "INSERT INTO deployments (uuid, app_id, number, action, cause, author, commit_id, flavor) "
      "SELECT 'deployment_x', app_id, 2, action, cause, author, commit_id, flavor FROM "
      "deployments");
  platform.database().query(
      "INSERT INTO open_pushes SELECT 'deployment_x', 'refs/heads/other', old_id, new_id, shallow, "
      "1 "
      "FROM open_pushes");
  eventually("the orphan beside it is adopted", [&] { return platform.branch("other") == v1; });
  CHECK(platform.branch().empty());
  CHECK(platform.open_pushes() == "1");

  other.reset();
  platform.await_branch(v1);
}

TEST_CASE("pushes from shallow clones overlap too, and the repository stays whole") {
  Pushes platform;
  platform.committed("not pushed");
  const std::string v1 = platform.committed("one");
  const std::string clone = (platform.scratch() / "clone").string();
  const std::string shallow_clone =
      "git clone -q --depth 1 file://" + platform.work().string() + " " + clone;
  must_run(shallow_clone + "1");
  const std::string v2 = platform.committed("two");
  must_run(shallow_clone + "2");
  const std::string v3 = platform.committed("three");
  must_run(shallow_clone + "3");

  platform.scheduler().verdict("WIP");
  auto first = platform.pushing("HEAD:refs/heads/master", {.tree = clone + "1"});
  platform.await_deployments(1);
  auto second = platform.pushing("HEAD:refs/heads/master", {.tree = clone + "2"});
  platform.await_deployments(2);
  for (auto* pusher : {&first, &second}) {
    platform.put_in_service(pusher == &first ? 1 : 2);
    const Ran ran = pusher->get();
    INFO(ran.output);
    CHECK(ran.exit_code == 0);
    platform.await_branch(pusher == &first ? v1 : v2);
  }
  // Left alone, the API moves the branch itself, and git must still be able to read the history.
  auto third = platform.pushing("+HEAD:refs/heads/master", {.tree = clone + "3"});
  platform.await_deployments(3);
  platform.process().stop(SIGKILL);
  CHECK(third.get().exit_code != 0);
  platform.start();
  platform.await_branch(v3);
  const std::string git = "git --git-dir=" + platform.repository().string();
  // As much as was pushed, and no more.
  CHECK(must_run(git + " rev-list master") == v3 + "\n" + v2 + "\n" + v1 + "\n");
  must_run(git + " fsck --connectivity-only");
  must_run("git clone -q " + platform.git_url() + " " + clone + "4");
}

TEST_CASE("a push to an application that is deleted meanwhile ends and says so") {
  Pushes platform;
  auto [v1, pusher] = platform.begin_push("one");
  platform.database().query("DELETE FROM deployments");
  REQUIRE(pusher.wait_for(std::chrono::seconds(20)) == std::future_status::ready);
  const Ran ran = pusher.get();
  INFO(ran.output);
  CHECK(ran.exit_code == 1);
  CHECK(has(ran.output, "deployment 1 was cancelled: the application was deleted"));
  CHECK(platform.branch().empty());
}

TEST_CASE("a database that is away is told to the pusher once, and the push goes on after it") {
  Pushes platform;
  platform.scheduler().verdict("WIP");
  const std::string v1 = platform.committed("one");
  const std::string shown = (platform.scratch() / "shown").string();
  auto pusher = platform.pushing(v1 + ":refs/heads/master 2>" + shown);
  platform.await_deployments(1);
  pqxx::connection admin(required_variable("KARREG_TEST_DATABASE_URL"));
  const std::string name = platform.database().value("SELECT current_database()");
  const auto allow_connections = [&](const std::string& may) {
    pqxx::nontransaction(admin).exec("ALTER DATABASE " + name + " ALLOW_CONNECTIONS " + may);
  };
  allow_connections("false");
  const std::string ours = platform.database().value("SELECT pg_backend_pid()");
  pqxx::nontransaction(admin).exec(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '" + name +
      "' AND pid <> " + ours);
  const std::string said = "The platform's database is away for the moment";
  eventually("the pusher is told", [&] { return has(read_file(shown), said); });
  allow_connections("true");
  platform.put_in_service(1);
  CHECK(pusher.get().exit_code == 0);
  INFO(read_file(shown));
  CHECK(count(read_file(shown), said) == 1);
  CHECK(platform.branch() == v1);
}

TEST_CASE("a branch whose move loses the database is moved all the same") {
  Pushes platform;
  auto [v1, pusher] = platform.begin_push("one");
  auto held = std::make_unique<HeldBranch>(platform);
  const auto lose = [&](const std::string& what_the_log_says) {
    // The first time, the transaction is tried again on a new connection.
    held->cut_the_waiting();
    held->cut_the_waiting();
    platform.process().await_log(what_the_log_says);
    held.reset();
  };
  SECTION("by the process that answers the push") {
    platform.put_in_service(1);
    lose("branch not moved yet");
  }
  SECTION("by the process that adopts it") {
    platform.database().query("UPDATE open_pushes SET owner = 1");
    lose("push of another run not adopted");
    platform.await_branch(v1);
    platform.put_in_service(1);
  }
  const Ran ran = pusher.get();
  INFO(ran.output);
  CHECK(ran.exit_code == 0);
  CHECK(platform.branch() == v1);
  eventually("the push is closed", [&] { return platform.open_pushes() == "0"; });
}

TEST_CASE("an API that has run out of open files takes hooks up as soon as it can") {
  Pushes platform;
  rlimit before{};
  REQUIRE(prlimit(platform.process().pid(), RLIMIT_NOFILE, nullptr, &before) == 0);
  // One for each connection that the server may hold, and for what a push needs besides.
  CHECK(before.rlim_cur >= std::min<rlim_t>(before.rlim_max, rlim_t{6} * 4096));
  rlimit none = before;
  none.rlim_cur = 3;
  REQUIRE(prlimit(platform.process().pid(), RLIMIT_NOFILE, &none, nullptr) == 0);
  HookSocket hook((platform.scratch() / "data/run/api-hook.sock").string(), HookSocket::As::hook);
  hook.say(Json{{"app", "app_none"},
                {"user", "user_none"},
                {"polls", false},
                {"shallow", false},
                {"options", Json::array()},
                {"commands", {{{"old", zero_id}, {"new", zero_id}, {"ref", "refs/heads/master"}}}}}
               .dump() +
           "\n");
  platform.process().await_log("cannot accept a git hook");
  REQUIRE(prlimit(platform.process().pid(), RLIMIT_NOFILE, &before, nullptr) == 0);
  CHECK(has(hook.heard(), "\"type\":\"end\""));

  const std::string v1 = platform.committed("one");
  const Ran ran = platform.push(v1 + ":refs/heads/master");
  INFO(ran.output);
  CHECK(ran.exit_code == 0);
}

TEST_CASE("a hook that nobody answers gives up and says so") {
  const ScratchFolder scratch;
  const std::string path = (scratch / "hook.sock").string();
  const HookSocket platform(path, HookSocket::As::platform);
  const std::string version("version=1\0push-options atomic", 29);
  write_file(scratch / "push",
             packet(version) + "0000" +
                 packet(zero_id + " " + std::string(40, '1') + " refs/heads/master") + "00000000");
  const Ran ran = run("KARREG_HOOK_SOCKET=" + path + " timeout 40 " + program("karreg-api") +
                      " hook proc-receive <" + (scratch / "push").string());
  CHECK(ran.exit_code == 1);
  CHECK(has(ran.output, "the platform does not take pushes up at the moment (no answer in 10 s)"));
}

TEST_CASE("a detached push survives the API that dies between recording and answering it") {
  Pushes platform;
  platform.scheduler().verdict("WIP");
  const std::string v1 = platform.committed("one");
  // Nobody can move a branch meanwhile.
  pqxx::connection other(platform.database().url());
  auto held = std::make_unique<pqxx::work>(other);
  held->exec("LOCK TABLE branches");
  auto pusher = platform.pushing(v1 + ":refs/heads/master", {.options = "-o detach"});
  eventually("the push is recorded", [&] { return platform.open_pushes() == "1"; });
  platform.process().stop(SIGKILL);
  CHECK(pusher.get().exit_code != 0);
  CHECK(platform.branch().empty());
  held.reset();
  platform.start();
  platform.await_branch(v1);
  eventually("the push is closed", [&] { return platform.open_pushes() == "0"; });
  CHECK(platform.state(1) == "WIP");
}

TEST_CASE("a push of what is in service already is recorded as a deployment that has ended") {
  Pushes platform;
  const std::string v1 = platform.committed("one");
  REQUIRE(platform.push(v1 + ":refs/heads/master").exit_code == 0);
  platform.scheduler().verdict("FAIL");
  const std::string v2 = platform.committed("two");
  REQUIRE(platform.push(v2 + ":refs/heads/master", {.options = "-o detach"}).exit_code == 0);
  eventually("the second one fails", [&] { return platform.state(2) == "FAIL"; });
  CHECK(platform.branch() == v2);

  const Ran again = platform.push(v1 + ":refs/heads/master", {.options = "-f -o detach"});
  INFO(again.output);
  CHECK(again.exit_code == 0);
  CHECK(has(again.output, "is in service already"));
  CHECK(platform.branch() == v1);
  CHECK(platform.state(3) == "OK");
  CHECK(platform.database().value("SELECT commit_id || ' ' || phase || ' ' || message FROM "
                                  "deployments WHERE number = 3 AND ended_at IS NOT NULL") ==
        v1 + " ended in service already");
  CHECK(platform.database().value("SELECT serving_deployment = (SELECT uuid FROM deployments WHERE "
                                  "number = 1) FROM apps") == "t");
  CHECK(platform.open_pushes() == "0");
}

TEST_CASE("a restart during a deployment restarts what is coming, not what was") {
  Pushes platform;
  const std::string v1 = platform.committed("one");
  REQUIRE(platform.push(v1 + ":refs/heads/master").exit_code == 0);
  platform.scheduler().verdict("WIP");
  const std::string v2 = platform.committed("two");
  REQUIRE(platform.push(v2 + ":refs/heads/master", {.options = "-o detach"}).exit_code == 0);
  const auto restart = [&](const std::string& query) {
    return run("curl -sS --max-time 20 -X POST -H 'Authorization: Bearer " +
               platform.user().text("api_token") + "' -w ' %{http_code}' '" + platform.url() +
               "/v2/self/applications/" + platform.app() + "/instances" + query + "'")
        .output;
  };
  const auto commit_of = [&](int number) {
    return platform.database().value("SELECT commit_id FROM deployments WHERE number = " +
                                     std::to_string(number));
  };
  CHECK(restart("").ends_with(" 200"));
  CHECK(commit_of(3) == v2);
  CHECK(restart("?commit=" + v1).ends_with(" 200"));
  CHECK(commit_of(4) == v1);

  const std::string unknown = restart("?commit=" + std::string(40, 'a'));
  CHECK(has(unknown, "has no commit aaaa"));
  CHECK(unknown.ends_with(" 404"));
  for (const std::string& bad : {std::string(40, 'x'), std::string("abc"), zero_id + "0"}) {
    const std::string refused = restart("?commit=" + bad);
    CHECK(has(refused, "is no full commit id"));
    CHECK(refused.ends_with(" 400"));
  }
  CHECK(platform.database().value("SELECT count(*) FROM deployments") == "4");

  platform.scheduler().verdict("OK");
  eventually("all end", [&] {
    return platform.database().value("SELECT count(*) FROM deployments WHERE state = 'WIP'") == "0";
  });
  CHECK(restart("").ends_with(" 200"));
  CHECK(commit_of(5) == platform.database().value("SELECT commit_id FROM apps"));
}

TEST_CASE("Ctrl-C on git push leaves the deployment going on, with the branch at its commit") {
  Pushes platform;
  platform.scheduler().verdict("WIP");
  const std::string v1 = platform.committed("one");
  const std::string leader = (platform.scratch() / "leader").string();
  // The whole process group gets the signal, as from a terminal.
  auto pusher =
      platform.pushing(v1 + ":refs/heads/master",
                       {.before = "setsid --wait sh -c 'echo $$ >" + leader + "; exec \"$@\"' sh"});
  platform.await_deployments(1);
  CHECK(platform.branch().empty());
  REQUIRE(kill(-std::stoi(read_file(leader)), SIGINT) == 0);
  CHECK(pusher.get().exit_code != 0);
  platform.await_branch(v1);
  eventually("the push is closed", [&] { return platform.open_pushes() == "0"; });
  CHECK(platform.database().value("SELECT state || ' ' || cancel_requested FROM deployments") ==
        "WIP false");
  platform.scheduler().verdict("OK");
  eventually("the deployment ends", [&] { return platform.state(1) == "OK"; });
  CHECK(platform.branch() == v1);
}

TEST_CASE("a pusher who does not wait is answered at once, with the branch moved") {
  const PushHow how = GENERATE(PushHow{.options = "-o detach"},
                               PushHow{.before = "GIT_USER_AGENT=git/isomorphic-git@1.25.10"});
  CAPTURE(how.options, how.before);
  Pushes platform;
  platform.scheduler().verdict("WIP");
  const std::string v1 = platform.committed("one");
  const Ran ran = platform.push(v1 + ":refs/heads/master", how);
  INFO(ran.output);
  CHECK(ran.exit_code == 0);
  CHECK(has(ran.output, "It goes on without this push"));
  CHECK(platform.branch() == v1);
  CHECK(platform.state(1) == "WIP");
  eventually("the push is closed", [&] { return platform.open_pushes() == "0"; });
  platform.scheduler().verdict("FAIL");
  eventually("the deployment ends", [&] { return platform.state(1) == "FAIL"; });
  CHECK(platform.branch() == v1);
}

namespace {
/// The beginning of a pack (gitformat-pack(5)) with one blob, stored without compression, of four
/// blocks of 65535 bytes of @p noise.
std::string pack_of_blob(const std::string& noise) {
  constexpr std::size_t block = 65'535;
  constexpr std::size_t blocks = 4;
  std::string pack = "PACK" + std::string("\0\0\0\2\0\0\0\1", 8);
  auto byte = [&](std::size_t value) { pack += static_cast<char>(value & 0xff); };
  auto size = blocks * block;
  byte(0x80 | (3 << 4) | (size & 0xf));
  for (size >>= 4; size >= 0x80; size >>= 7) byte(0x80 | (size & 0x7f));
  byte(size);
  pack += "\x78\x01";
  for (std::size_t i = 0; i < blocks; ++i) {
    byte(i + 1 == blocks ? 1 : 0);
    for (const std::size_t word : {block, ~block}) {
      byte(word);
      byte(word >> 8);
    }
    pack += noise.substr(i * block, block);
  }
  return pack;
}
}  // namespace

TEST_CASE("a push over the size limit is told what to do, and leaves nothing behind") {
  Pushes platform({{"KARREG_API_MAX_PUSH_BYTES", "65536"}});
  const std::string sentence =
      "this push is larger than 64 KiB, the limit of this platform (api.max_push_bytes): remove "
      "large files from the history (git rm --cached FILE; git commit --amend) or keep them "
      "outside "
      "of git";
  must_run("head -c 300000 /dev/urandom >" + (platform.scratch() / "noise").string());
  const std::string v1 = platform.committed(read_file(platform.scratch() / "noise"));
  // In chunks, and with its length told.
  for (const std::string buffer : {"65536", "10000000"}) {
    const Ran ran = platform.push(v1 + ":refs/heads/master",
                                  {.before = "GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=http.postBuffer "
                                             "GIT_CONFIG_VALUE_0=" +
                                             buffer});
    INFO(ran.output);
    CHECK(ran.exit_code == 1);
    CHECK(has(ran.output, "remote: " + sentence));
    CHECK(has(ran.output, "(" + sentence + ")"));
  }
  // A client without a side band reads the reasons of refs only.
  const std::string command = zero_id + " " + v1 + " refs/heads/master";
  // As git would send it, so that git has nothing to complain of before the limit.
  write_file(platform.scratch() / "body",
             packet(command + std::string(1, '\0') + " report-status") + "0000" +
                 pack_of_blob(read_file(platform.scratch() / "noise")));
  const Ran plain =
      run("curl -sS --max-time 20 -H 'Content-Type: "
          "application/x-git-receive-pack-request' --data-binary @" +
          (platform.scratch() / "body").string() + " " + platform.git_url() + "/git-receive-pack");
  CHECK(plain.output == packet("unpack the pack is too large\n") +
                            packet("ng refs/heads/master " + sentence + "\n") + "0000");
  eventually("git's quarantine is gone", [&] {
    return run("ls " + platform.repository().string() + "/objects").output == "info\npack\n";
  });

  const std::string v2 = platform.committed("small");
  must_run("git -C " + platform.work().string() + " checkout -q --orphan fresh");
  const std::string v3 = platform.committed("small and without the history");
  CHECK(platform.push(v2 + ":refs/heads/master").exit_code == 1);
  CHECK(platform.push(v3 + ":refs/heads/master").exit_code == 0);
}
