#include "a_tree.hpp"

using namespace karreg;
using namespace karreg::builder;

namespace {

const std::string manifest = "[package]\nname = \"shop\"\nversion = \"1.0.0\"\n";
const std::string start = "fn main() {}\n";
const std::string exports = "export CARGO_HOME=/cache/cargo CARGO_TARGET_DIR=/cache/target\n";

std::string package(const std::string& name, const std::string& more = "") {
  return "[package]\nname = \"" + name + "\"\n" + more;
}

/// The line of the build step that calls cargo.
std::string cargo_of(const wire::BuildPlan& plan) {
  const std::string command = command_of(plan, "build");
  const auto at = command.find("\ncargo ");
  return at == std::string::npos ? command
                                 : command.substr(at + 1, command.find('\n', at + 1) - at - 1);
}

}  // namespace

TEST_CASE("a Rust package is built in the cache and its program is kept") {
  const auto plan = plan_of({{"Cargo.toml", manifest}, {"Cargo.lock", ""}, {"src/main.rs", start}});
  CHECK(plan.runtime == "rust");
  CHECK(plan.tool == "cargo");
  CHECK(step_names(plan) == "build");
  CHECK(command_of(plan, "build") ==
        exports +
            "cargo build --release --locked --bin shop\n"
            "install -D /cache/target/release/shop /app/.karreg/start");
  CHECK(run_of(plan) == "/app/.karreg/start");
  CHECK(plan.output_root == "/app");
  CHECK(plan.env.empty());
  CHECK(plan.reasons.front() == "Detected Rust (Cargo.toml).");
  CHECK(gives_reason(plan, "Build: cargo build --release --locked --bin shop."));
  CHECK(gives_reason(plan, "Start: the program shop (Cargo.toml)."));
}

TEST_CASE("rust: which program is the app") {
  struct Case {
    std::string name;
    Files files;
    std::string options;  ///< after `cargo build --release`
  };
  const auto c = GENERATE(values<Case>({
      {"src/main.rs before the tools of src/bin/",
       {{"Cargo.toml", manifest}, {"src/main.rs", start}, {"src/bin/tool.rs", start}},
       " --bin shop"},
      {"the only file of src/bin/",
       {{"Cargo.toml", manifest}, {"src/lib.rs", ""}, {"src/bin/web.rs", start}},
       " --bin web"},
      {"the only folder of src/bin/",
       {{"Cargo.toml", manifest}, {"src/bin/web/main.rs", start}},
       " --bin web"},
      {"a folder of src/bin/ without a main.rs is none",
       {{"Cargo.toml", manifest}, {"src/bin/web.rs", start}, {"src/bin/web_parts/a.rs", ""}},
       " --bin web"},
      {"a [[bin]]",
       {{"Cargo.toml", manifest + "[[bin]]\nname = \"web\"\npath = \"server/main.rs\"\n"}},
       " --bin web"},
      {"a [[bin]] is another name of src/main.rs",
       {{"Cargo.toml", manifest + "[[bin]]\nname = \"web\"\npath = \"./src/main.rs\"\n"},
        {"src/main.rs", start}},
       " --bin web"},
      {"autobins = false: only what [[bin]] says",
       {{"Cargo.toml", manifest + "autobins = false\n[[bin]]\nname = \"web\"\npath = \"w.rs\"\n"},
        {"src/main.rs", start},
        {"src/bin/tool.rs", start}},
       " --bin web"},
      {"default-run",
       {{"Cargo.toml", manifest + "default-run = \"web\"\n"},
        {"src/main.rs", start},
        {"src/bin/web.rs", start}},
       " --bin web"},
      {"a name that a shell would read",
       {{"Cargo.toml", package("$(x)")}, {"src/main.rs", start}},
       " --bin '$(x)'"},
      {"the only program of a workspace",
       {{"Cargo.toml", "[workspace]\nmembers = [\"crates/*\"]\n"},
        {"crates/core/Cargo.toml", package("core")},
        {"crates/core/src/lib.rs", ""},
        {"crates/web/Cargo.toml", package("web")},
        {"crates/web/src/main.rs", start},
        {"crates/README.md", ""}},
       " --bin web"},
      {"a member with tools beside its main",
       {{"Cargo.toml", "[workspace]\nmembers = [\"./web/\"]\n"},
        {"web/Cargo.toml", package("web")},
        {"web/src/main.rs", start},
        {"web/src/bin/tool.rs", start}},
       " --bin web"},
      {"default members",
       {{"Cargo.toml", "[workspace]\nmembers = [\"a\", \"b\"]\ndefault-members = [\"b\"]\n"},
        {"a/Cargo.toml", package("a")},
        {"a/src/main.rs", start},
        {"b/Cargo.toml", package("b")},
        {"b/src/main.rs", start}},
       " --bin b"},
      {"what is excluded is no member",
       {{"Cargo.toml", "[workspace]\nmembers = [\"c/*\"]\nexclude = [\"c/demo\"]\n"},
        {"c/demo/Cargo.toml", package("demo")},
        {"c/demo/src/main.rs", start},
        {"c/web/Cargo.toml", package("web")},
        {"c/web/src/main.rs", start}},
       " --bin web"},
      {"the package of the root before the members",
       {{"Cargo.toml", manifest + "[workspace]\nmembers = [\"tool\"]\n"},
        {"src/main.rs", start},
        {"tool/Cargo.toml", package("tool")},
        {"tool/src/main.rs", start}},
       " --bin shop"},
      {"a member, when the package of the root is a library",
       {{"Cargo.toml", manifest + "[workspace]\nmembers = [\"web\"]\n"},
        {"src/lib.rs", ""},
        {"web/Cargo.toml", package("web")},
        {"web/src/main.rs", start}},
       " --workspace --bin web"},
  }));
  INFO(c.name);
  const auto plan = plan_of(c.files);
  CHECK(cargo_of(plan) == "cargo build --release" + c.options);
  CHECK(run_of(plan) == "/app/.karreg/start");
  CHECK(gives_reason(plan, "Build: cargo build --release" + c.options +
                               " (no Cargo.lock; commit one to pin the versions)."));
}

TEST_CASE("rust: CC_RUST_BIN chooses, also among all members of the workspace") {
  const Files files = {{"Cargo.toml", manifest + "[workspace]\nmembers = [\"tool\"]\n"},
                       {"src/main.rs", start},
                       {"src/bin/other.rs", start},
                       {"tool/Cargo.toml", package("tool")},
                       {"tool/src/main.rs", start}};
  const auto options = [&](const std::string& name) {
    return cargo_of(plan_of(files, {{"CC_RUST_BIN", name}}));
  };
  CHECK(options("other") == "cargo build --release --bin other");
  CHECK(options("tool") == "cargo build --release --workspace --bin tool");
  CHECK(gives_reason(plan_of(files, {{"CC_RUST_BIN", "tool"}}),
                     "Start: the program tool (CC_RUST_BIN)."));
  CHECK(refusal_of(files, {{"CC_RUST_BIN", "nope"}}) ==
        "CC_RUST_BIN=nope is not among the programs of Cargo.toml: shop, other, tool.");
}

TEST_CASE("rust: features are built in") {
  CHECK(cargo_of(plan_of({{"Cargo.toml", manifest}, {"src/main.rs", start}},
                         {{"CC_RUST_FEATURES", "tls,metrics"}})) ==
        "cargo build --release --bin shop --features tls,metrics");
}

TEST_CASE("rust: an owner's start command finds the programs in target/release/") {
  Files files = {{"Cargo.toml", manifest},
                 {"src/main.rs", start},
                 {"src/bin/web.rs", start},
                 {"Procfile", "web: ./target/release/web\n"}};
  const auto plan = plan_of(files);
  CHECK(command_of(plan, "build") ==
        exports +
            "cargo build --release\n"
            "mkdir -p /app/target/release\n"
            "find /cache/target/release -maxdepth 1 -type f -executable -exec cp {} "
            "/app/target/release/ ';'");
  CHECK(run_of(plan) == "/bin/sh -c exec ./target/release/web");
  CHECK(gives_reason(plan, "The programs are in /app/target/release."));
  CHECK(command_of(plan_of(files, {{"CC_RUST_BIN", "web"}}), "build") ==
        exports +
            "cargo build --release --bin web\n"
            "install -D -t /app/target/release /cache/target/release/web");
  files["Cargo.toml"] = "[workspace]\nmembers = [\"a\", \"b\"]\n";
  for (const char* name : {"a", "b"}) {
    files[std::string(name) + "/Cargo.toml"] = package(name);
    files[std::string(name) + "/src/main.rs"] = start;
  }
  CHECK(cargo_of(plan_of(files)) == "cargo build --release");
}

TEST_CASE("rust: CC_BUILD_COMMAND replaces the build and needs a start") {
  const Files files = {{"Cargo.toml", manifest}, {"src/main.rs", start}};
  CHECK(command_of(plan_of(files, {{"CC_BUILD_COMMAND", "make"}, {"CC_RUN_COMMAND", "./out/shop"}}),
                   "build") == "make");
  CHECK(refusal_of(files, {{"CC_BUILD_COMMAND", "make"}}) ==
        "CC_BUILD_COMMAND replaces the build by cargo, so that the program is not known: set "
        "CC_RUN_COMMAND too, or add a Procfile with a `web:` line.");
}

TEST_CASE("rust: Rocket listens where the platform looks") {
  const auto dependency =
      GENERATE(values<std::string>({"rocket = \"0.5\"", "rocket = { version = \"0.5\" }"}));
  const auto plan = plan_of(
      {{"Cargo.toml", manifest + "[dependencies]\n" + dependency + "\n"}, {"src/main.rs", start}});
  CHECK(plan.env == Env{{"ROCKET_ADDRESS", "0.0.0.0"}, {"ROCKET_PORT", "8080"}});
}

TEST_CASE("rust: versions") {
  struct Case {
    std::string name, file, text;
    Env env;
    std::string problem, reason;
  };
  const std::string there = " There are: 1.85; CC_RUSTUP_CHANNEL chooses one of them.";
  const auto c = GENERATE_COPY(values<Case>({
      {"nobody asks", "x", "", {}, "", "Version: Rust 1.85."},
      {"stable",
       "rust-toolchain.toml",
       "[toolchain]\nchannel = \"stable\"\n",
       {},
       "",
       "Version: Rust 1.85."},
      {"an older channel",
       "rust-toolchain.toml",
       "[toolchain]\nchannel = \"1.75.0\"\n",
       {},
       "",
       "Version: Rust 1.85 (rust-toolchain.toml asks for >=1.75.0)."},
      {"the old form of the file",
       "rust-toolchain",
       "1.75\n",
       {},
       "",
       "Version: Rust 1.85 (rust-toolchain asks for >=1.75)."},
      {"the old name with the new form",
       "rust-toolchain",
       "[toolchain]\nchannel = \"1.80\"\n",
       {},
       "",
       "Version: Rust 1.85 (rust-toolchain asks for >=1.80)."},
      {"a newer channel",
       "rust-toolchain.toml",
       "[toolchain]\nchannel = \"1.99\"\n",
       {},
       "rust-toolchain.toml asks for Rust >=1.99, which cannot be had here." + there,
       ""},
      {"nightly",
       "rust-toolchain.toml",
       "[toolchain]\nchannel = \"nightly-2024-01-01\"\n",
       {},
       "rust-toolchain.toml asks for Rust nightly-2024-01-01: `nightly-2024-01-01` is no range of "
       "versions." +
           there,
       ""},
      {"the environment is stronger",
       "rust-toolchain.toml",
       "[toolchain]\nchannel = \"nightly\"\n",
       {{"CC_RUSTUP_CHANNEL", "1.85"}},
       "",
       "Version: Rust 1.85 (CC_RUSTUP_CHANNEL asks for 1.85)."},
      {"stable of the environment",
       "rust-toolchain",
       "nightly\n",
       {{"CC_RUSTUP_CHANNEL", "stable"}},
       "",
       "Version: Rust 1.85."},
  }));
  INFO(c.name);
  const auto plan =
      plan_of({{"Cargo.toml", manifest}, {"src/main.rs", start}, {c.file, c.text}}, c.env);
  CHECK(plan.problem == c.problem);
  if (!c.reason.empty()) CHECK(gives_reason(plan, c.reason));
}

TEST_CASE("rust: rust-version, of the package or the workspace") {
  CHECK(gives_reason(
      plan_of({{"Cargo.toml", manifest + "rust-version = \"1.70\"\n"}, {"src/main.rs", start}}),
      "Version: Rust 1.85 (rust-version of Cargo.toml asks for >=1.70)."));
  CHECK(plan_of({{"Cargo.toml",
                  "[workspace]\nmembers = [\"a\"]\n[workspace.package]\n"
                  "rust-version = \"1.99\"\n"},
                 {"a/Cargo.toml", package("a", "rust-version.workspace = true\n")},
                 {"a/src/main.rs", start}})
            .problem.starts_with("rust-version of Cargo.toml asks for Rust >=1.99"));
}

TEST_CASE("rust: bad input is refused with place and cure") {
  struct Case {
    std::string name;
    Files files;
    std::string message;
  };
  const auto c = GENERATE(values<Case>({
      {"malformed TOML",
       {{"Cargo.toml", "[package\nname = 'x'\n"}},
       "Cargo.toml, line 1, column 9: Error while parsing table header: expected ']', saw '\\n'"},
      {"a malformed member",
       {{"Cargo.toml", "[workspace]\nmembers = ['a']\n"}, {"a/Cargo.toml", "\n="}},
       "a/Cargo.toml, line 2, column 1: "},
      {"a malformed toolchain",
       {{"Cargo.toml", manifest}, {"src/main.rs", ""}, {"rust-toolchain.toml", "[toolchain]\nx"}},
       "rust-toolchain.toml, line 2, column 2: "},
      {"a member that is not there",
       {{"Cargo.toml", "[workspace]\nmembers = ['a']\n"}},
       "Cargo.toml: the member a of the workspace has no Cargo.toml. Add it, or take the member "
       "out of the list."},
      {"a library",
       {{"Cargo.toml", manifest}, {"src/lib.rs", ""}},
       "Cargo.toml makes no program: there is no src/main.rs, no [[bin]] and nothing in src/bin/. "
       "Add one, or set CC_RUN_COMMAND."},
      {"several",
       {{"Cargo.toml", manifest}, {"src/bin/a.rs", ""}, {"src/bin/b.rs", ""}},
       "Cargo.toml makes several programs: a, b. Choose one with CC_RUST_BIN=name, or "
       "`default-run` in Cargo.toml."},
      {"several members",
       {{"Cargo.toml", "[workspace]\nmembers = ['*']\n"},
        {"a/Cargo.toml", package("a")},
        {"a/src/main.rs", ""},
        {"b/Cargo.toml", package("b")},
        {"b/src/main.rs", ""}},
       "Cargo.toml makes several programs: a, b. Choose one with CC_RUST_BIN=name, or "
       "`default-run` in Cargo.toml."},
      {"values of other kinds",
       {{"Cargo.toml",
         "bin = 3\n[package]\nname = 1\nautobins = 'x'\ndefault-run = []\nrust-version = 1.8\n"
         "[workspace]\nmembers = [1, '../outside', '/etc/*', ['x']]\ndefault-members = 'a'\n"}},
       "Cargo.toml makes no program: "},
      {"nothing", {{"Cargo.toml", ""}}, "Cargo.toml makes no program: "},
  }));
  INFO(c.name);
  const std::string message = refusal_of(c.files);
  CHECK(message.substr(0, c.message.size()) == c.message);
  if (!c.message.ends_with(' ')) CHECK(message.size() == c.message.size());
}

TEST_CASE("rust: what stands beside other languages") {
  const std::string node = R"({"scripts":{"start":"node a.js"}})";
  CHECK(plan_of({{"Cargo.toml", manifest}, {"src/main.rs", ""}, {"package.json", node}}).runtime ==
        "rust");
  // A library for WebAssembly or Node.js: nothing of it starts.
  CHECK(plan_of({{"Cargo.toml", manifest}, {"src/lib.rs", ""}, {"package.json", node}}).tool ==
        "npm");
  CHECK(plan_of({{"Cargo.toml", manifest}, {"src/lib.rs", ""}}, {{"CC_RUN_COMMAND", "./x"}})
            .runtime == "rust");
}
