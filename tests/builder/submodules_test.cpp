// What submodules add to a plan, and which are refused.
#include "builder/submodules.hpp"

#include <filesystem>

#include "a_tree.hpp"
#include "builder/runtimes.hpp"
#include "support/programs.hpp"
#include "support/scratch.hpp"

using namespace karreg;
using namespace karreg::builder;
using namespace karreg::test;

namespace {

const std::string commit = "0123456789abcdef0123456789abcdef01234567";

std::string entry(const std::string& path, const std::string& url) {
  return "[submodule \"" + path + "\"]\n\tpath = " + path + "\n\turl = " + url + "\n";
}

Result<wire::BuildPlan> planned(const std::string& gitmodules, const Gitlinks& gitlinks,
                                const Env& env = {}, Files files = {{"index.html", ""}}) {
  if (!gitmodules.empty()) files[".gitmodules"] = gitmodules;
  return inspect(MemoryTree(files, gitlinks), {"auto", env});
}

wire::BuildPlan plan_with(const std::string& gitmodules, const Gitlinks& gitlinks,
                          const Env& env = {}, const Files& files = {{"index.html", ""}}) {
  auto plan = planned(gitmodules, gitlinks, env, files);
  if (!plan) FAIL(plan.error().message());
  return *plan;
}

std::string refused(const std::string& gitmodules, const Gitlinks& gitlinks, const Env& env = {},
                    const Files& files = {{"index.html", ""}}) {
  const auto plan = planned(gitmodules, gitlinks, env, files);
  if (plan) FAIL("a plan was made: " + nlohmann::json(*plan).dump());
  CHECK(plan.error().kind() == ErrorKind::invalid);
  return plan.error().message();
}

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text + "\n").find("\n" + line + "\n") != std::string::npos;
}

}  // namespace

TEST_CASE("submodules are fetched before all other steps, each at the commit of the tree") {
  const auto plan = plan_with(
      entry("lib", "https://example.org/a/lib.git") + entry("vendor/x", "git@github.com:a/x.git"),
      {{"lib", commit}, {"vendor/x", std::string(40, 'f')}},
      {{"CC_PRE_BUILD_HOOK", "./before.sh"}});
  CHECK(step_names(plan) == "submodules|CC_PRE_BUILD_HOOK");
  const std::string script = command_of(plan, "submodules");
  CHECK(has_line(script, "submodule lib " + commit +
                             " https://example.org/a/lib.git https://example.org/a/lib.git"));
  CHECK(has_line(script, "submodule vendor/x " + std::string(40, 'f') +
                             " https://github.com/a/x.git https://github.com/a/x.git"));
  CHECK(gives_reason(plan, "Submodule lib: https://example.org/a/lib.git at 0123456789ab."));
  CHECK(gives_reason(plan,
                     "Submodule vendor/x: https://github.com/a/x.git at ffffffffffff, by HTTPS "
                     "instead of SSH."));
}

TEST_CASE("a tree without submodules gets no step, whatever .gitmodules says") {
  CHECK(step_names(plan_with("", {})).empty());
  CHECK(step_names(plan_with("nonsense", {})).empty());
  CHECK(step_names(plan_with(entry("../x", "ext::x"), {})).empty());
  CHECK(gives_reason(
      plan_with(entry("lib", "https://example.org/a"), {}),
      "Nothing is fetched for lib of .gitmodules: the commit has no submodule there."));
}

TEST_CASE("a submodule that .gitmodules does not have is refused with the ways out") {
  const std::string way_out =
      ", which would say where it comes from. Add that (git submodule add URL vendor/lib), or take "
      "it out of the commit (git rm --cached vendor/lib).";
  CHECK(refused("", {{"vendor/lib", commit}}) ==
        "vendor/lib is a git submodule, and the repository has no file .gitmodules" + way_out);
  CHECK(refused(entry("lib", "https://example.org/a"), {{"vendor/lib", commit}}) ==
        "vendor/lib is a git submodule, and .gitmodules has no entry with its path" + way_out);
  CHECK(refused("[submodule \"lib\"]\npath = lib\n", {{"lib", commit}}) ==
        ".gitmodules: the submodule lib has no url. Add one: git submodule set-url lib "
        "https://HOST/PATH");
}

TEST_CASE("entries without a submodule are told, and those without a path are passed over") {
  const auto plan =
      plan_with("[submodule \"old\"]\nignore = all\n" + entry("gone", "ext::whatever") +
                    entry("lib", "https://example.org/lib"),
                {{"lib", commit}});
  CHECK(step_names(plan) == "submodules");
  CHECK(gives_reason(
      plan, "Nothing is fetched for gone of .gitmodules: the commit has no submodule there."));
}

TEST_CASE("a .gitmodules that cannot be read is refused with its line") {
  CHECK(refused("[submodule lib]\n", {{"lib", commit}}) ==
        ".gitmodules, line 1: the name after [submodule stands in no quotes.");
  CHECK(refused(entry("lib", "https://a.org/a") + "[submodule \"b\"]\npath = ./lib/\n",
                {{"lib", commit}}) ==
        ".gitmodules has two entries for the path lib. Remove one of them.");
  CHECK(refused(std::string(2 << 20, '#'), {{"lib", commit}}) ==
        ".gitmodules is larger than 1024 KiB");
}

TEST_CASE("a path that is not below the repository, or is no plain one, is refused") {
  struct Case {
    std::string path;
    std::string why;
  };
  const std::vector<Case> cases = {
      {"../lib", "leaves the repository"},
      {"a/../../lib", "leaves the repository"},
      {"/lib", "leaves the repository"},
      {".", "leaves the repository"},
      {"-lib", "begins with a dash"},
      {"--upload-pack=x", "begins with a dash"},
      {".git/hooks", "leads into a folder of git"},
      {"a/.GIT", "leads into a folder of git"},
      {"\"a\\nb\"", "has a control character"},
      {std::string(1001, 'a'), "has more than 1000 bytes"},
  };
  for (const Case& c : cases) {
    INFO(c.path);
    const std::string said =
        refused("[submodule \"x\"]\npath = " + c.path + "\n" + entry("lib", "https://a.org/a"),
                {{"lib", commit}});
    CHECK(said.starts_with(".gitmodules: the path `"));
    CHECK(
        said.ends_with("` of the submodule \"x\" " + c.why + ". Correct it, or remove the entry."));
  }
}

TEST_CASE("a url that a build cannot fetch from is refused by the path of its submodule") {
  for (const char* url : {"ext::sh", "file:///etc", "/srv/git/lib.git", "git://example.org/a"})
    CHECK(refused(entry("lib", url), {{"lib", commit}})
              .starts_with(".gitmodules: the submodule lib: its url `" + std::string(url) +
                           "` is none that a build can fetch from"));
  CHECK(refused(entry("lib", "-u"), {{"lib", commit}})
            .starts_with(".gitmodules: the submodule lib: its url `-u` begins with a dash."));
}

TEST_CASE("a relative url cannot be built here, and says what to do") {
  const auto plan = plan_with(entry("lib", "../lib.git"), {{"lib", commit}});
  CHECK(plan.problem ==
        "The submodule lib has the relative url ../lib.git, which means a repository beside this "
        "one, and there are no others here that a build could fetch. Give it a whole one: git "
        "submodule set-url lib https://HOST/PATH");
  CHECK(step_names(plan).empty());
}

namespace {

// None that opens anything: a plan looks at its first and last line alone.
const std::string key =
    "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n";

}  // namespace

TEST_CASE("with a key, a submodule that asks for SSH is fetched by SSH") {
  const auto plan = plan_with(entry("lib", "git@github.com:a/lib.git"), {{"lib", commit}},
                              {{"CC_SSH_PRIVATE_KEY", key}});
  CHECK(gives_reason(plan,
                     "Submodule lib: ssh://git@github.com:22/a/lib.git at 0123456789ab, with the "
                     "key of CC_SSH_PRIVATE_KEY."));
  const std::string script = command_of(plan, "submodules");
  CHECK(
      has_line(script, "submodule lib " + commit +
                           " ssh://git@github.com:22/a/lib.git ssh://git@github.com:22/a/lib.git"));
  CHECK_FALSE(script.contains("AAAA\n-----END"));
  CHECK_FALSE(script.contains("by_http https://github.com/ github.com"));
  // ssh is not in the images of all.
  CHECK(plan.build_packages == std::vector<std::string>{"openssh-client"});
  CHECK(plan.runtime.starts_with("static+"));
  CHECK(gives_reason(
      plan, "Package of Debian for the build alone: openssh-client (for the submodules)."));
}

TEST_CASE("a key is not used where HTTPS is asked for, or a token is given") {
  const Env with_key = {{"CC_SSH_PRIVATE_KEY", key}};
  const auto https =
      plan_with(entry("lib", "https://github.com/a/lib.git"), {{"lib", commit}}, with_key);
  CHECK(https.build_packages.empty());
  const auto token =
      plan_with(entry("lib", "git@github.com:a/lib.git"), {{"lib", commit}},
                {{"CC_SSH_PRIVATE_KEY", key}, {"CC_GIT_CREDENTIALS", "https://a:b@github.com"}});
  CHECK(token.build_packages.empty());
  CHECK(gives_reason(token,
                     "Submodule lib: https://github.com/a/lib.git at 0123456789ab, by HTTPS "
                     "instead of SSH."));
}

TEST_CASE("what cannot be a key is refused") {
  const std::string ssh = entry("lib", "git@github.com:a/lib.git");
  const Gitlinks lib = {{"lib", commit}};
  CHECK(
      refused(ssh, lib, {{"CC_SSH_PRIVATE_KEY", "ssh-ed25519 AAAA me"}}) ==
      "CC_SSH_PRIVATE_KEY is no private key: one begins with `-----BEGIN OPENSSH PRIVATE "
      "KEY-----`, and "
      "has all its lines. Set it from its file: karreg env set CC_SSH_PRIVATE_KEY \"$(cat FILE)\"");
  CHECK(
      refused(ssh, lib,
              {{"CC_SSH_PRIVATE_KEY", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"}})
          .starts_with("CC_SSH_PRIVATE_KEY is protected by a passphrase"));
}

TEST_CASE("a key in the repository is refused: all who read that have it") {
  const std::string ssh = entry("lib", "git@git.example.org:a/lib.git");
  const Gitlinks lib = {{"lib", commit}};
  const auto message = [](const std::string& origin) {
    return "The submodule lib is fetched by SSH, with the key of " + origin +
           ": a key in a file of the repository is known to all who read it. Take it out, make a "
           "new "
           "one, and set it in the environment of the app: karreg env set CC_SSH_PRIVATE_KEY "
           "\"$(cat "
           "FILE)\". If the submodule is public, give it the url "
           "https://git.example.org/a/lib.git.";
  };
  CHECK(refused(ssh, lib, {}, {{"index.html", ""}, {"clevercloud/ssh.json", "{}"}}) ==
        message("clevercloud/ssh.json"));
  CHECK(refused(ssh, lib, {{"CC_SSH_PRIVATE_KEY_FILE", "id_rsa"}}) ==
        message("CC_SSH_PRIVATE_KEY_FILE"));
  CHECK(refused(ssh, lib, {},
                {{"index.html", ""},
                 {"karreg.toml", "[env]\nCC_SSH_PRIVATE_KEY = \"\"\"" + key + "\"\"\"\n"}}) ==
        message("CC_SSH_PRIVATE_KEY in [env] of karreg.toml"));
}

TEST_CASE("a host whose key nobody has told is not trusted") {
  const auto planned_with = [](const std::string& url, const std::string& known) {
    return planned(entry("lib", url), {{"lib", commit}},
                   {{"CC_SSH_PRIVATE_KEY", key}, {"CC_SSH_KNOWN_HOSTS", known}});
  };
  const std::string usual = "ssh://git@git.example.org/a.git";
  const std::string other_port = "ssh://git@git.example.org:2222/a.git";
  CHECK(
      planned_with(usual, "").error().message() ==
      "The submodule lib is fetched by SSH from git.example.org, and nothing says what the key of "
      "that "
      "host is. Set CC_SSH_KNOWN_HOSTS to what `ssh-keyscan git.example.org` prints, once you have "
      "compared it with what the host publishes.");
  CHECK(planned_with(other_port, "git.example.org ssh-ed25519 AAAA")
            .error()
            .message()
            .contains("`ssh-keyscan -p 2222 git.example.org`"));
  CHECK(planned_with(usual, "# git.example.org\nx.org,Git.example.org ssh-ed25519 AAAA c"));
  CHECK(planned_with(other_port, "[git.example.org]:2222 ssh-ed25519 AAAA"));
  CHECK(planned_with(usual, "@cert-authority git.example.org ssh-ed25519 AAAA"));
  CHECK(planned_with(usual, "|1|abc=|def= ssh-ed25519 AAAA"));
  CHECK_FALSE(planned_with(usual, "#git.example.org ssh-ed25519 AAAA"));
  CHECK_FALSE(planned_with(usual, "git.example.org ssh-ed25519"));
  CHECK_FALSE(planned_with(usual, "git.example.org.evil.org ssh-ed25519 AAAA"));
}

TEST_CASE("credentials stay out of the plan, and come from the environment alone") {
  const std::string https = entry("lib", "https://git.example.org/a/lib.git");
  const Gitlinks lib = {{"lib", commit}};
  const auto plan =
      plan_with(https, lib, {{"CC_GIT_CREDENTIALS", "https://me:hidden@git.example.org"}});
  CHECK(nlohmann::json(plan).dump().find("hidden") == std::string::npos);
  CHECK(refused(https, lib, {{"CC_GIT_CREDENTIALS", "hidden"}})
            .starts_with("CC_GIT_CREDENTIALS: number 1 is not of the form "
                         "https://USER:TOKEN@HOST, which gives access to all repositories"));
  const std::string in_file =
      refused(https, lib, {},
              {{"index.html", ""},
               {"karreg.toml", "[env]\nCC_GIT_CREDENTIALS = \"https://me:hidden@a.org\"\n"}});
  CHECK(in_file ==
        "CC_GIT_CREDENTIALS in [env] of karreg.toml is a secret in a file of the repository. Take "
        "it out, make a new token, and set it in the environment of the app: karreg env set "
        "CC_GIT_CREDENTIALS https://USER:TOKEN@HOST");
}

TEST_CASE("a password in a url is used and not told") {
  const auto plan =
      plan_with(entry("lib", "https://me:hidden@example.org/lib.git"), {{"lib", commit}});
  CHECK(has_line(command_of(plan, "submodules"),
                 "submodule lib " + commit +
                     " https://me:hidden@example.org/lib.git https://example.org/lib.git"));
  for (const std::string& reason : plan.reasons) CHECK(reason.find("hidden") == std::string::npos);
}

TEST_CASE("submodules can be left empty: all of them, or those that say so") {
  const std::string two =
      entry("a", "https://a.org/a") + "update = none\n" + entry("b", "https://a.org/b");
  const Gitlinks links = {{"a", commit}, {"b", commit}};
  const auto some = plan_with(two, links);
  CHECK(gives_reason(some, "The submodule a stays empty (update = none of .gitmodules)."));
  CHECK(command_of(some, "submodules").find("submodule a ") == std::string::npos);
  CHECK(command_of(some, "submodules").find("submodule b ") != std::string::npos);
  const auto none = plan_with("", links, {{"CC_DISABLE_GIT_SUBMODULES", "true"}});
  CHECK(step_names(none).empty());
  CHECK(gives_reason(none, "Submodules stay empty (CC_DISABLE_GIT_SUBMODULES): a, b."));
  CHECK(step_names(plan_with(two, links, {{"CC_DISABLE_GIT_SUBMODULES", "false"}})) ==
        "submodules");
  CHECK(refused(two, links, {{"CC_DISABLE_GIT_SUBMODULES", "maybe"}}) ==
        "CC_DISABLE_GIT_SUBMODULES=maybe is neither true nor false.");
}

TEST_CASE("an app in a folder gets the submodules below it, by paths from there") {
  const std::string all = entry("apps/shop/lib", "https://a.org/lib") +
                          entry("other", "https://a.org/other") +
                          entry("apps/shop/gone", "https://a.org/gone");
  const auto plan = plan_with(all, {{"apps/shop/lib", commit}, {"other", commit}},
                              {{"APP_FOLDER", "apps/shop"}}, {{"apps/shop/index.html", ""}});
  const std::string script = command_of(plan, "submodules");
  CHECK(has_line(script, "submodule lib " + commit + " https://a.org/lib https://a.org/lib"));
  CHECK(script.find("other") == std::string::npos);
  CHECK(gives_reason(plan, "Submodule apps/shop/lib: https://a.org/lib at 0123456789ab."));
  CHECK(gives_reason(plan,
                     "Nothing is fetched for apps/shop/gone of .gitmodules: the commit has no "
                     "submodule there."));
  CHECK(refused("", {{"apps/shop/lib", commit}}, {{"APP_FOLDER", "apps/shop"}},
                {{"apps/shop/index.html", ""}})
            .starts_with("apps/shop/lib is a git submodule, and the repository has no file "
                         ".gitmodules"));
}

TEST_CASE("an app cannot be in a submodule, and nothing is found in one") {
  const std::string lib = entry("vendor/lib", "https://a.org/lib");
  for (const std::string folder : {"vendor/lib", "vendor/lib/web"})
    CHECK(refused(lib, {{"vendor/lib", commit}}, {{"APP_FOLDER", folder}}) ==
          "APP_FOLDER=" + folder +
              " is in the submodule vendor/lib, whose files only the build fetches: what they are "
              "cannot be found out before. Push the repository of the submodule to an app of its "
              "own, or put its files into this one.");
  CHECK(refused(entry("site", "https://a.org/site"), {{"site", commit}}, {}, {{"README.md", ""}})
            .find("There is: .gitmodules, README.md, site (a submodule: only the build sees its "
                  "files).") != std::string::npos);
}

TEST_CASE("a build fetches a hundred submodules at the most") {
  std::string all;
  Gitlinks links;
  const auto add = [&] {
    const std::string path = "lib" + std::to_string(1000 + links.size());
    all += entry(path, "https://example.org/" + path);
    links[path] = commit;
  };
  while (links.size() < 100) add();
  CHECK(step_names(plan_with(all, links)) == "submodules");
  add();
  CHECK(refused(all, links)
            .starts_with("The app has 101 submodules, and a build fetches 100 at the most: "
                         "lib1000, lib1001, "));
  links.clear();
  all.clear();
  while (links.size() < 60) {
    const std::string path = std::string(990, 'a') + std::to_string(links.size());
    all += entry(path, "https://example.org/" + path);
    links[path] = commit;
  }
  CHECK(refused(all, links)
            .starts_with("The paths and urls of the submodules are too long together."));
}

TEST_CASE("every image that builds has git and the authorities that HTTPS needs") {
  int images = 0;
  for (const auto& file : std::filesystem::directory_iterator(source_file("images/runtimes"))) {
    INFO(file.path().string());
    const auto recipe = nlohmann::json::parse(read_file(file.path()));
    std::vector<std::string> packages = recipe.at("run").get<std::vector<std::string>>();
    std::ranges::copy(recipe.at("build").get<std::vector<std::string>>(),
                      std::back_inserter(packages));
    for (const char* needed : {"git", "ca-certificates"})
      CHECK(std::ranges::find(packages, needed) != packages.end());
    ++images;
  }
  CHECK(images > 20);
}
