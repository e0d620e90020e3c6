// Rust: Cargo.toml.
//   build    `cargo build --release`, locked when there is a Cargo.lock; CC_BUILD_COMMAND replaces
//   it. program  CC_RUST_BIN, `default-run`, src/main.rs, the only [[bin]] or file of src/bin/; in
//   a
//            workspace, of its members. It becomes /app/.karreg/start.
#include <algorithm>
#include <array>

#include "builder/languages/table.hpp"
#include "builder/manifest.hpp"
#include "builder/shell_line.hpp"
#include "builder/toml_file.hpp"

namespace karreg::builder::languages_of {
namespace {

constexpr std::array variables = {
    Variable{"CC_RUSTUP_CHANNEL", "versions.rust", "the version of Rust: `1.85`"},
    Variable{"CC_RUST_BIN", "rust.bin", "the program that is the app"},
    Variable{"CC_RUST_FEATURES", "rust.features",
             "features to build with, with commas between them"},
};

constexpr const char* manifest_name = "Cargo.toml";
constexpr const char* program = "/app/.karreg/start";

/// The programs that a package makes; its own comes first.
struct Crate {
  std::vector<std::string> programs;
  std::string chosen;  ///< default-run, or the one of src/main.rs; empty: neither
  bool has_rocket = false;
};

Result<Crate> crate_at(const SourceTree& tree, const std::string& folder) {
  auto manifest = read_toml(tree, join_path(folder, manifest_name));
  if (!manifest) return manifest.error();
  Crate crate;
  const auto add = [&](const std::string& name) {
    if (std::ranges::find(crate.programs, name) == crate.programs.end())
      crate.programs.push_back(name);
  };
  const auto name = (*manifest)["package"]["name"].value<std::string>();
  if (const toml::array* bins = (*manifest)["bin"].as_array())
    for (const toml::node& bin : *bins)
      if (const toml::table* table = bin.as_table())
        if (const auto said = (*table)["name"].value<std::string>()) {
          add(*said);
          if ((*table)["path"].value_or(std::string()) == "src/main.rs") crate.chosen = *said;
        }
  if (name && tree.has_file(join_path(folder, "src/main.rs")) && crate.chosen.empty()) {
    add(*name);
    crate.chosen = *name;
  }
  for (const Entry& entry : tree.list(join_path(folder, "src/bin"))) {
    if (entry.kind == EntryKind::file && entry.name.ends_with(".rs"))
      add(entry.name.substr(0, entry.name.size() - 3));
    else if (entry.kind == EntryKind::folder)
      add(entry.name);
  }
  if (const auto said = (*manifest)["package"]["default-run"].value<std::string>())
    crate.chosen = *said;
  crate.has_rocket = (*manifest)["dependencies"]["rocket"].is_value() ||
                     (*manifest)["dependencies"]["rocket"].is_table();
  return crate;
}

/// Folders of a workspace: "crates/*" and plain ones.
std::vector<std::string> members_of(const SourceTree& tree, const toml::table& manifest) {
  std::vector<std::string> folders;
  for (const char* key : {"default-members", "members"}) {
    const toml::array* listed = manifest["workspace"][key].as_array();
    if (listed == nullptr) continue;
    for (const toml::node& node : *listed) {
      const auto pattern = node.value<std::string>();
      if (!pattern) continue;
      const auto star = pattern->find('*');
      if (star == std::string::npos) {
        folders.push_back(*pattern);
        continue;
      }
      const std::string parent = pattern->substr(0, star == 0 ? 0 : star - 1);
      for (const Entry& entry : tree.list(parent))
        if (entry.kind == EntryKind::folder &&
            tree.has_file(join_path(join_path(parent, entry.name), manifest_name)))
          folders.push_back(join_path(parent, entry.name));
    }
    if (!folders.empty()) break;
  }
  return folders;
}

struct Programs {
  std::vector<std::string> names;
  std::string chosen;
  bool has_rocket = false;
};

Result<Programs> programs_of(const SourceTree& tree) {
  auto manifest = read_toml(tree, manifest_name);
  if (!manifest) return manifest.error();
  Programs all;
  const auto add = [&](const Crate& crate) {
    all.names.insert(all.names.end(), crate.programs.begin(), crate.programs.end());
    if (all.chosen.empty()) all.chosen = crate.chosen;
    all.has_rocket = all.has_rocket || crate.has_rocket;
  };
  if (manifest->contains("package")) {
    auto crate = crate_at(tree, "");
    if (!crate) return crate.error();
    add(*crate);
    if (!all.names.empty()) return all;
  }
  int with_main = 0;
  for (const std::string& folder : members_of(tree, *manifest)) {
    auto crate = crate_at(tree, folder);
    if (!crate) return crate.error();
    with_main += crate->programs.empty() ? 0 : 1;
    add(*crate);
  }
  // Each member has a main of its own: none is the workspace's.
  if (with_main > 1) all.chosen.clear();
  return all;
}

Result<std::string> program_of(const Inspection& about, const Programs& all, std::string& why) {
  std::string listed;
  for (const std::string& name : all.names) listed += (listed.empty() ? "" : ", ") + name;
  if (const auto given = about.settings.find("CC_RUST_BIN")) {
    if (!all.names.empty() && std::ranges::find(all.names, given->value) == all.names.end())
      return Error(ErrorKind::invalid, given->origin + "=" + given->value +
                                           " is not among the programs of Cargo.toml: " + listed +
                                           ".");
    why = given->origin;
    return given->value;
  }
  if (all.names.empty())
    return Error(ErrorKind::invalid,
                 "Cargo.toml makes no program: there is no src/main.rs, no [[bin]] and nothing in "
                 "src/bin/. Add one, or set CC_RUN_COMMAND.");
  why = "Cargo.toml";
  if (!all.chosen.empty()) return all.chosen;
  if (all.names.size() == 1) return all.names.front();
  return Error(ErrorKind::invalid, "Cargo.toml makes several programs: " + listed +
                                       ". Choose one with CC_RUST_BIN=name, or `default-run` in "
                                       "Cargo.toml.");
}

/// The channel of rust-toolchain.toml, or rust-toolchain's only line; names of channels ask for
/// nothing.
Result<std::optional<VersionWish>> version_wish(const SourceTree& tree) {
  VersionWish wish;
  if (tree.has_file("rust-toolchain.toml")) {
    auto toolchain = read_toml(tree, "rust-toolchain.toml");
    if (!toolchain) return toolchain.error();
    wish = {(*toolchain)["toolchain"]["channel"].value_or(std::string()), "rust-toolchain.toml"};
  } else if (tree.has_file("rust-toolchain")) {
    wish = {first_line(tree, "rust-toolchain"), "rust-toolchain"};
  }
  if (!wish.range.empty() && wish.range != "stable") return std::optional(wish);
  auto manifest = read_toml(tree, manifest_name);
  if (!manifest) return manifest.error();
  if (const auto least = (*manifest)["package"]["rust-version"].value<std::string>())
    return std::optional<VersionWish>({">=" + *least, "rust-version of Cargo.toml"});
  return std::optional<VersionWish>();
}

Result<LanguagePlan> plan(const Inspection& about) {
  auto all = programs_of(about.tree);
  if (!all) return all.error();
  auto wish = version_wish(about.tree);
  if (!wish) return wish.error();
  LanguagePlan result;
  result.tool = "cargo";
  choose_version(result, about, "rust", "Rust", "CC_RUSTUP_CHANNEL", *wish);
  if (all->has_rocket) result.env = {{"ROCKET_ADDRESS", "0.0.0.0"}, {"ROCKET_PORT", "8080"}};
  if (add_build_command(result, about)) {
    result.start =
        Error(ErrorKind::invalid,
              "CC_BUILD_COMMAND replaces `cargo build`, so that the program is not known: "
              "set CC_RUN_COMMAND too, or add a Procfile with a `web:` line.");
    return result;
  }
  std::string why;
  auto name = program_of(about, *all, why);
  if (!name && !about.start) {
    result.start = name.error();
    return result;
  }
  const bool locked = about.tree.has_file("Cargo.lock");
  std::string command = std::string("cargo build --release") + (locked ? " --locked" : "");
  if (name) command += " --bin " + shell_quote(*name);
  if (const auto features = about.settings.find("CC_RUST_FEATURES"))
    command += " --features " + shell_quote(features->value);
  // What cargo made before is in the cache: only what changed is compiled.
  result.step("build",
              "export CARGO_HOME=/cache/cargo CARGO_TARGET_DIR=/cache/target\n" + command +
                  (name ? "\ninstall -D /cache/target/release/" + shell_quote(*name) + " " + program
                        : "\nmkdir -p /app/target/release\nfind /cache/target/release "
                          "-maxdepth 1 -type f -executable -exec cp {} "
                          "/app/target/release/ ';'"));
  result.reason("Build: " + command +
                (locked ? "." : " (no Cargo.lock; commit one to pin the versions)."));
  if (name) result.start = Start{{program}, "the program " + *name + " (" + why + ")"};
  return result;
}

std::optional<Match> detect(const Inspection& about) {
  if (!about.tree.has_file(manifest_name)) return std::nullopt;
  const auto all = programs_of(about.tree);
  const bool starts = !all || about.start || !all->names.empty();
  return Match{manifest_name, starts ? Evidence::manifest : Evidence::companion};
}

}  // namespace

Language rust() {
  return {"rust", "Rust", manifest_name, variables, detect, plan};
}

}  // namespace karreg::builder::languages_of
