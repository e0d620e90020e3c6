#include "cli/run.hpp"

#include "a_session.hpp"
#include "cli/commands/commands.hpp"
#include "cli/completion.hpp"
#include "support/programs.hpp"

using namespace karreg;
using namespace karreg::cli;
using namespace karreg::test;

namespace {
constexpr const char* linked_shop =
    R"({"apps":[{"alias":"shop","app_id":"app_1","org_id":"o","name":"shop","git_url":""}]})";

/// The commands at or below @p node that have no --format although they print something.
std::vector<std::string> without_format(const CommandNode& node, const std::string& path) {
  std::vector<std::string> found;
  const bool prints = node.commands.empty() && path != "karreg completion";
  if (prints && std::ranges::find(node.options, "--format") == node.options.end())
    found.push_back(path);
  for (const CommandNode& each : node.commands)
    for (std::string& name : without_format(each, path + " " + each.name))
      found.push_back(std::move(name));
  return found;
}
}  // namespace

TEST_CASE("wrong words are told with the way out and exit code 2") {
  struct Case {
    std::vector<std::string> words;
    std::string message;
  };
  const auto c = GENERATE(values<Case>({
      {{"deplyo"}, "`karreg` has no command `deplyo`. Did you mean `deploy`? See `karreg --help`."},
      {{"frobnicate"}, "`karreg` has no command `frobnicate`. See `karreg --help`."},
      {{"env", "lst"},
       "`karreg env` has no command `lst`. Did you mean `list`? See `karreg env --help`."},
      {{"list", "--fromat", "json"},
       "`karreg list` does not take `--fromat`. Did you mean `--format`? See `karreg list "
       "--help`."},
      {{"list", "--format", "xml"},
       "--format: `xml` is neither human nor json. See `karreg list --help`."},
      {{"scale", "--instances", "99"},
       "--instances: Value 99 not in range 1 to 40. See `karreg scale --help`."},
      {{"env", "set"}, "VARIABLE is required. See `karreg env set --help`."},
      {{"status", "--app", "a", "--alias", "b"}, "Give --app or --alias, not both."},
      {{"env", "set", "1X=2"}, "`1X=2` is not NAME=VALUE with a name of letters, digits and _."},
      {{"logs", "--since", "soon"},
       "--since: `soon` is not a time: give 2026-01-31T12:00:00Z, 2026-01-31, or how long ago: "
       "90s, "
       "15m, 2h, 3d."},
      {{"logs", "-f", "--until", "1h"}, "--follow and --until exclude each other."},
      {{"login"},
       "Which platform? Give its address: karreg login --api-host https://api.example.org"},
      {{"login", "--api-host", "http://h", "--secret", "s"},
       "--secret belongs to a token: give --token too."},
      {{"scale"},
       "Say what to change: --instances, --flavor, their --min- and --max- forms, or "
       "--build-flavor. `karreg status` shows how it is."},
      {{}, "A subcommand is required. See `karreg --help`."},
  }));
  SessionFixture fixture;
  CHECK(fixture.run(c.words) == 2);
  CHECK(fixture.err() == "karreg: " + c.message + "\n");
  CHECK(fixture.out().empty());
}

TEST_CASE("each kind of failure has its exit code") {
  SessionFixture unlinked;
  CHECK(unlinked.run({"status"}) == 5);
  CHECK(unlinked.err().starts_with("karreg: No app is linked to this folder."));

  SessionFixture unknown_platform;
  CHECK(unknown_platform.run({"list"}) == 3);
  CHECK(unknown_platform.err() ==
        "karreg: No platform is known: run `karreg login --api-host URL`, or set "
        "KARREG_API_HOST.\n");

  SessionFixture logged_out({{"KARREG_API_HOST", "http://127.0.0.1:1"}});
  CHECK(logged_out.run({"list"}) == 3);
  CHECK(logged_out.err() ==
        "karreg: You are not logged in: run `karreg login`, or set KARREG_TOKEN.\n");

  SessionFixture half(
      {{"KARREG_API_HOST", "http://127.0.0.1:1"}, {"KARREG_TOKEN", "t"}, {"KARREG_SECRET", "s"}});
  CHECK(half.run({"list"}) == 3);
  CHECK(half.err().starts_with("karreg: A token with a secret also needs the consumer"));

  SessionFixture away({{"KARREG_API_HOST", "http://127.0.0.1:1"}, {"KARREG_TOKEN", "t"}});
  CHECK(away.run({"list"}) == 9);
  CHECK(away.err().starts_with("karreg: The platform at http://127.0.0.1:1 cannot be reached: "));
}

TEST_CASE("deleting without a person to ask needs --yes") {
  SessionFixture fixture({{"KARREG_API_HOST", "http://127.0.0.1:1"}, {"KARREG_TOKEN", "t"}});
  write_file(fixture.scratch / ".karreg.json", linked_shop);
  CHECK(fixture.run({"delete"}) == 2);
  CHECK(fixture.err() == "karreg: Deleting shop cannot be undone: confirm it with --yes.\n");
}

TEST_CASE("unlinking works without the platform") {
  SessionFixture fixture;
  write_file(fixture.scratch / ".karreg.json", linked_shop);
  CHECK(fixture.run({"unlink", "--format", "json"}) == 0);
  CHECK(fixture.out() == "{\"alias\":\"shop\",\"app_id\":\"app_1\"}\n");
  CHECK_FALSE(std::filesystem::exists(fixture.scratch / ".karreg.json"));
}

TEST_CASE("every command can print JSON") {
  SessionFixture fixture;
  CLI::App app{"", "karreg"};
  add_commands(app, fixture.session);
  const CommandNode tree = command_tree(app);
  REQUIRE(tree.commands.size() > 10);
  for (const auto& command : without_format(tree, "karreg")) FAIL_CHECK(command);
}

TEST_CASE("logging out says whether there was a login") {
  SessionFixture fixture;
  CHECK(fixture.run({"logout", "--format", "json"}) == 0);
  CHECK(fixture.out() == "{\"logged_out\":false}\n");
}

TEST_CASE("help and version go to stdout") {
  SessionFixture fixture;
  CHECK(fixture.run({"deploy", "--help"}) == 0);
  CHECK(
      fixture.out().starts_with("Push this folder's commit, an archive or an image, and watch its "
                                "deployment\nUsage: karreg deploy"));
  CHECK(fixture.err().empty());
  SessionFixture version;
  CHECK(version.run({"version", "-F", "json"}) == 0);
  CHECK(version.out().starts_with("{\"version\":\""));
}

TEST_CASE("the doctor says what is wrong and fails with its kind") {
  SessionFixture fixture;
  CHECK(fixture.run({"doctor"}) == 3);
  CHECK(fixture.out().find("BAD   platform: none is known: run `karreg login --api-host URL`.") !=
        std::string::npos);
}

TEST_CASE("docs/cli.md shows what the program says of itself") {
  SessionFixture fixture;
  REQUIRE(fixture.run({"reference"}) == 0);
  const std::string docs = read_file(source_file("docs/cli.md"));
  const std::string marker = "<!-- below: the output of `karreg reference` -->\n\n";
  const auto at = docs.find(marker);
  REQUIRE(at != std::string::npos);
  INFO("make it new: karreg reference, below the marker");
  CHECK(docs.substr(at + marker.size()) == fixture.out());
}

TEST_CASE("docs/cli.md has the exit codes of errors") {
  const std::string docs = read_file(source_file("docs/cli.md"));
  for (const ErrorKind kind : {ErrorKind::invalid, ErrorKind::unauthorized, ErrorKind::forbidden,
                               ErrorKind::not_found, ErrorKind::conflict, ErrorKind::too_large,
                               ErrorKind::timeout, ErrorKind::unavailable, ErrorKind::internal}) {
    const std::string row =
        "| " + std::to_string(exit_code(kind)) + " | " + std::string(to_string(kind)) + " | ";
    INFO(row);
    CHECK(docs.find(row) != std::string::npos);
  }
}
