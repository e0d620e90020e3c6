// karreg-api looks after the repositories of its data folder.
#include "a_pusher.hpp"

using namespace karreg;
using namespace karreg::test;

TEST_CASE("repositories are swept and packed when the API starts") {
  Pushes platform;
  const std::string v1 = platform.committed("one");
  REQUIRE(platform.push(v1 + ":refs/heads/master").exit_code == 0);
  const std::string git = "git --git-dir=" + platform.repository().string() + " ";
  for (int n = 2; n <= 60; ++n)
    must_run(git + "update-ref refs/karreg/deployments/" + std::to_string(n) + " " + v1);
  // Many small objects, as many small pushes leave them.
  must_run("cd " + platform.work().string() +
           " && seq 3000 | split -l 1 -a 4 - f && git add . && git -c user.name=A -c "
           "user.email=a@example.org -c commit.gpgsign=false commit -q -m many && git rev-parse "
           "HEAD | git pack-objects --revs --stdout -q | " +
           git + "unpack-objects -q && " + git +
           "update-ref refs/heads/many $(git rev-parse HEAD)");
  const std::string repos = platform.repository().parent_path().string();
  const std::string objects = platform.repository().string() + "/objects";
  must_run(
      "mkdir " + objects + "/tmp_objdir-incoming-old " + objects + "/tmp_objdir-incoming-new " +
      "&& touch -d '2 days ago' " + objects + "/tmp_objdir-incoming-old && git init -q --bare " +
      repos + "/app_unused.git && git init -q --bare " + repos + "/app_young.git && cp -r " +
      platform.repository().string() + " " + repos + "/app_strange.git && touch -d '2 hours ago' " +
      repos + "/app_unused.git " + repos + "/app_strange.git");

  platform.process().stop(SIGKILL);
  platform.start();
  platform.process().await_log("repository packed");
  for (const std::string& kept :
       {platform.app(), std::string("app_young"), std::string("app_strange")})
    CHECK(std::filesystem::exists(repos + "/" + kept + ".git"));
  CHECK_FALSE(std::filesystem::exists(repos + "/app_unused.git"));
  CHECK(has(platform.process().log(), "a repository without an application is kept"));
  CHECK(run("ls " + objects).output == "info\npack\ntmp_objdir-incoming-new\n");
  // The newest 50, and the one in service.
  CHECK(must_run(git + "for-each-ref refs/karreg | wc -l") == "51\n");
  must_run(git + "rev-parse -q --verify refs/karreg/deployments/1");
  CHECK(run(git + "rev-parse -q --verify refs/karreg/deployments/10").exit_code != 0);
  must_run(git + "fsck --full --strict");
}

TEST_CASE("an upload that is cut leaves nothing behind") {
  const bool by_the_client = GENERATE(true, false);
  CAPTURE(by_the_client);
  Pushes platform;
  must_run("head -c 400000 /dev/urandom >" + (platform.scratch() / "noise").string());
  const std::string v1 = platform.committed(read_file(platform.scratch() / "noise"));
  const std::string pack = must_run("cd " + platform.work().string() +
                                    " && echo HEAD | git pack-objects --revs --stdout -q");
  const std::string body = (platform.scratch() / "body").string();
  write_file(body, packet(zero_id + " " + v1 + " refs/heads/master" + std::string(1, '\0') +
                          " report-status") +
                       "0000" + pack);
  // Slow enough to be in its middle then.
  const std::string client = (platform.scratch() / "client").string();
  auto upload = std::async(std::launch::async, [&] {
    return run("sh -c 'echo $$ >" + client +
               "; exec \"$@\"' sh curl -sS --max-time 60 --limit-rate 20000 -H 'Content-Type: "
               "application/x-git-receive-pack-request' --data-binary @" +
               body + " " + platform.git_url() + "/git-receive-pack");
  });
  const auto quarantines = [&] {
    return run("ls " + platform.repository().string() + "/objects | grep -c tmp_objdir").output;
  };
  eventually("git takes the upload", [&] { return quarantines() == "1\n"; });
  if (by_the_client)
    REQUIRE(kill(std::stoi(read_file(client)), SIGKILL) == 0);
  else
    CHECK(platform.process().stop(SIGTERM) == 0);
  CHECK_FALSE(has(upload.get().output, "unpack ok"));
  eventually("git has cleared away", [&] { return quarantines() == "0\n"; });
}
