// Rust: Cargo.toml.
//   build    `cargo build --release`, locked when there is a Cargo.lock; CC_BUILD_COMMAND replaces
//            that.
//   program  CC_RUST_BIN, `default-run`, src/main.rs, the only [[bin]] or file of src/bin/; in a
//            workspace, of its default members, else of all. It becomes /app/.karreg/start.
//   start    that program. An owner's start command finds all of them in target/release/.
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
  const auto package = (*manifest)["package"];
  const auto name = package["name"].value<std::string>();
  if (const toml::array* bins = (*manifest)["bin"].as_array())
    for (const toml::node& bin : *bins)
      if (const toml::table* table = bin.as_table())
        if (const auto said = (*table)["name"].value<std::string>()) {
          add(*said);
          if (path_inside((*table)["path"].value_or(std::string())) == "src/main.rs")
            crate.chosen = *said;
        }
  if (package["autobins"].value_or(true)) {
    if (name && tree.has_file(join_path(folder, "src/main.rs")) && crate.chosen.empty()) {
      add(*name);
      crate.chosen = *name;
    }
    const std::string bin = join_path(folder, "src/bin");
    for (const Entry& entry : tree.list(bin)) {
      if (entry.kind == EntryKind::file && entry.name.ends_with(".rs"))
        add(entry.name.substr(0, entry.name.size() - 3));
      else if (tree.has_file(join_path(join_path(bin, entry.name), "main.rs")))
        add(entry.name);
    }
  }
  if (const auto said = package["default-run"].value<std::string>()) crate.chosen = *said;
  const auto rocket = (*manifest)["dependencies"]["rocket"];
  crate.has_rocket = rocket.is_value() || rocket.is_table();
  return crate;
}

/// The folders in the list @p key of the workspace: "crates/*" and plain ones.
std::vector<std::string> folders_in(const SourceTree& tree, const toml::table& manifest,
                                    std::string_view key) {
  std::vector<std::string> folders;
  const toml::array* listed = manifest["workspace"][key].as_array();
  if (listed == nullptr) return folders;
  for (const toml::node& node : *listed) {
    const auto path = path_inside(node.value_or(std::string("..")));
    if (!path) continue;
    const auto star = path->find('*');
    if (star == std::string::npos) {
      folders.push_back(*path);
      continue;
    }
    const std::string parent = path->substr(0, star == 0 ? 0 : star - 1);
    for (const Entry& entry : tree.list(parent))
      if (const std::string folder = join_path(parent, entry.name);
          tree.has_file(join_path(folder, manifest_name)))
        folders.push_back(folder);
  }
  return folders;
}

struct Programs {
  std::vector<std::string> names;  ///< those that a plain `cargo build` makes come first
  std::size_t usual = 0;           ///< how many these are
  std::string chosen;              ///< among them
  bool has_rocket = false;

  bool is_usual(const std::string& name) const {
    const auto end = names.begin() + static_cast<std::ptrdiff_t>(usual);
    return std::find(names.begin(), end, name) != end;
  }
};

/// Adds the programs of the crates at @p folders. When several have one of their own, none is
/// chosen.
Result<void> add_crates(Programs& all, const SourceTree& tree,
                        const std::vector<std::string>& folders) {
  int with_programs = 0;
  for (const std::string& folder : folders) {
    if (!tree.has_file(join_path(folder, manifest_name)))
      return Error(ErrorKind::invalid, "Cargo.toml: the member " + folder +
                                           " of the workspace has no Cargo.toml. Add it, or take "
                                           "the member out of the list.");
    auto crate = crate_at(tree, folder);
    if (!crate) return crate.error();
    with_programs += crate->programs.empty() ? 0 : 1;
    for (const std::string& name : crate->programs)
      if (std::ranges::find(all.names, name) == all.names.end()) all.names.push_back(name);
    if (all.chosen.empty()) all.chosen = crate->chosen;
    all.has_rocket = all.has_rocket || crate->has_rocket;
  }
  if (with_programs > 1) all.chosen.clear();
  return ok();
}

Result<Programs> programs_of(const SourceTree& tree) {
  auto manifest = read_toml(tree, manifest_name);
  if (!manifest) return manifest.error();
  const bool has_package = manifest->contains("package");
  const auto excluded = folders_in(tree, *manifest, "exclude");
  std::vector<std::string> members = folders_in(tree, *manifest, "members");
  std::erase_if(members, [&](const std::string& folder) {
    return std::ranges::find(excluded, folder) != excluded.end();
  });
  std::vector<std::string> usual = folders_in(tree, *manifest, "default-members");
  if (usual.empty()) usual = has_package ? std::vector<std::string>{""} : members;
  if (has_package) members.emplace_back();

  Programs all;
  if (auto done = add_crates(all, tree, usual); !done) return done.error();
  all.usual = all.names.size();
  std::erase_if(members, [&](const std::string& folder) {
    return std::ranges::find(usual, folder) != usual.end();
  });
  const std::string chosen = all.chosen;
  if (auto done = add_crates(all, tree, members); !done) return done.error();
  if (all.usual > 0) all.chosen = chosen;
  return all;
}

Result<std::string> program_of(const Inspection& about, const Programs& all, std::string& why) {
  const auto listed = [&](std::size_t count) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) text += (i == 0 ? "" : ", ") + all.names[i];
    return text;
  };
  if (const auto given = about.settings.find("CC_RUST_BIN")) {
    if (!all.names.empty() && std::ranges::find(all.names, given->value) == all.names.end())
      return Error(ErrorKind::invalid, given->origin + "=" + given->value +
                                           " is not among the programs of Cargo.toml: " +
                                           listed(all.names.size()) + ".");
    why = given->origin;
    return given->value;
  }
  if (all.names.empty())
    return Error(ErrorKind::invalid,
                 "Cargo.toml makes no program: there is no src/main.rs, no [[bin]] and nothing in "
                 "src/bin/. Add one, or set CC_RUN_COMMAND.");
  why = "Cargo.toml";
  const std::size_t candidates = all.usual > 0 ? all.usual : all.names.size();
  if (!all.chosen.empty()) return all.chosen;
  if (candidates == 1) return all.names.front();
  return Error(ErrorKind::invalid, "Cargo.toml makes several programs: " + listed(candidates) +
                                       ". Choose one with CC_RUST_BIN=name, or `default-run` in "
                                       "Cargo.toml.");
}

/// The channel of rust-toolchain.toml or rust-toolchain; `stable` asks for nothing.
Result<std::optional<VersionWish>> toolchain_wish(const SourceTree& tree) {
  for (const char* file : {"rust-toolchain.toml", "rust-toolchain"}) {
    if (!tree.has_file(file)) continue;
    // The file without an ending may be the channel alone.
    std::string channel = first_line(tree, file);
    if (file != std::string_view("rust-toolchain") || channel.empty() || channel.front() == '[' ||
        channel.front() == '#') {
      auto toolchain = read_toml(tree, file);
      if (!toolchain) return toolchain.error();
      channel = (*toolchain)["toolchain"]["channel"].value_or(std::string());
    }
    if (channel.empty() || channel.starts_with("stable")) break;
    // A newer compiler takes what an older one took.
    if (channel.front() >= '0' && channel.front() <= '9') channel.insert(0, ">=");
    return std::optional<VersionWish>({channel, file});
  }
  return std::optional<VersionWish>();
}

Result<std::optional<VersionWish>> version_wish(const SourceTree& tree) {
  auto wish = toolchain_wish(tree);
  if (!wish || *wish) return wish;
  auto manifest = read_toml(tree, manifest_name);
  if (!manifest) return manifest.error();
  for (const auto package : {(*manifest)["package"], (*manifest)["workspace"]["package"]})
    if (const auto least = package["rust-version"].value<std::string>())
      return std::optional<VersionWish>({">=" + *least, "rust-version of Cargo.toml"});
  return wish;
}

Result<LanguagePlan> plan(const Inspection& about) {
  auto all = programs_of(about.tree);
  if (!all) return all.error();
  auto wish = version_wish(about.tree);
  if (!wish) return wish.error();
  LanguagePlan result;
  result.tool = "cargo";
  // The channel of most people elsewhere; here it is what the image has.
  const bool any = about.settings.variable("CC_RUSTUP_CHANNEL") == "stable";
  choose_version(result, about, "rust", "Rust", any ? "" : "CC_RUSTUP_CHANNEL",
                 any ? std::nullopt : *wish);
  if (all->has_rocket) result.env = {{"ROCKET_ADDRESS", "0.0.0.0"}, {"ROCKET_PORT", "8080"}};
  if (replace_build(result, about)) return result;
  std::string why;
  auto name = program_of(about, *all, why);
  const bool own_choice = about.settings.find("CC_RUST_BIN").has_value();
  if (!name && (!about.start || own_choice)) return name.error();
  const bool one = name && (!about.start || own_choice);
  const bool locked = about.tree.has_file("Cargo.lock");
  std::string command = std::string("cargo build --release") + (locked ? " --locked" : "");
  if (!all->names.empty() && (one ? !all->is_usual(*name) : all->usual == 0))
    command += " --workspace";
  if (one) command += " --bin " + shell_quote(*name);
  if (const auto features = about.settings.find("CC_RUST_FEATURES"))
    command += " --features " + shell_quote(features->value);
  // What cargo made before is in the cache: only what changed is compiled.
  std::string keep;
  if (!about.start)
    keep = "install -D /cache/target/release/" + shell_quote(*name) + " " + program;
  else if (one)
    keep = "install -D -t /app/target/release /cache/target/release/" + shell_quote(*name);
  else
    keep =
        "mkdir -p /app/target/release\n"
        "find /cache/target/release -maxdepth 1 -type f -executable -exec cp {} "
        "/app/target/release/ ';'";
  result.step("build", "export CARGO_HOME=/cache/cargo CARGO_TARGET_DIR=/cache/target\n" + command +
                           "\n" + keep);
  result.reason("Build: " + command +
                (locked ? "." : " (no Cargo.lock; commit one to pin the versions)."));
  if (about.start) result.reason("The programs are in /app/target/release.");
  if (name) result.start = Start{{program}, "the program " + *name + " (" + why + ")"};
  return result;
}

std::optional<Match> detect(const Inspection& about) {
  if (!about.tree.has_file(manifest_name)) return std::nullopt;
  const auto all = programs_of(about.tree);
  const bool starts = !all || about.start || about.build_command() || !all->names.empty();
  return Match{manifest_name, starts ? Evidence::manifest : Evidence::companion};
}

}  // namespace

Language rust() {
  return {"rust", "Rust", manifest_name, variables, detect, plan};
}

}  // namespace karreg::builder::languages_of
