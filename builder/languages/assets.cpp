#include "builder/languages/assets.hpp"

#include "builder/languages/node/package.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder {

namespace {

constexpr const char* tools = "/tmp/karreg-tools";

/// The command that brings @p package, with a line end; empty for none.
std::string fetch_of(const std::string& package) {
  if (package.empty()) return "";
  return std::string("npm install --global --prefix ") + tools + " --no-audit --no-fund " +
         shell_quote(package) + "\n";
}

/// The package manager and, with a line end, the command that brings it; empty: it is there.
struct Tool {
  node::Manager manager;
  std::string fetch;
};

Result<Tool> tool_of(const Inspection& about, const node::Package& package) {
  auto manager = node::manager_of(about, package);
  if (!manager) return manager.error();
  if (manager->name == "bun") {
    manager->package = "bun@1";
    manager->program = std::string(tools) + "/bin/bun";
  }
  std::string fetch = fetch_of(manager->package);
  return Tool{std::move(*manager), std::move(fetch)};
}

}  // namespace

Result<void> add_assets(LanguagePlan& plan, const Inspection& about) {
  if (!about.tree.has_file(node::manifest_name)) return ok();
  auto package = node::Package::read(about.tree);
  if (!package) return package.error();
  if (package->script("build").empty()) return ok();
  auto tool = tool_of(about, *package);
  if (!tool) return tool.error();
  plan.step("assets", tool->fetch + tool->manager.install(true) + "\n" + tool->manager.program +
                          " run build\nrm -rf node_modules");
  plan.reason("Assets: " + package->script("build") + " (scripts.build of package.json).");
  return ok();
}

Result<std::string> with_node_tools(const Inspection& about, const std::string& command) {
  if (!about.tree.has_file(node::manifest_name)) return command;
  auto package = node::Package::read(about.tree);
  if (!package) return package.error();
  auto tool = tool_of(about, *package);
  if (!tool) return tool.error();
  // What calls `yarn` needs one in its PATH: the first Yarn starts the release of the repository.
  if (tool->manager.name == "yarn-berry" && tool->fetch.empty())
    tool->fetch = fetch_of("yarn@1.22.22");
  const std::string path =
      tool->fetch.empty() ? "" : std::string("export PATH=") + tools + "/bin:$PATH\n";
  return tool->fetch + path + command + "\nrm -rf node_modules";
}

Result<std::string> node_install(const Inspection& about, const std::string& folder) {
  const std::string manifest = join_path(folder, node::manifest_name);
  if (!about.tree.has_file(manifest)) return std::string();
  auto package = node::Package::read(about.tree, manifest);
  if (!package) return package.error();
  const Subtree below(about.tree, folder);
  auto tool = tool_of({below, about.settings, about.start}, *package);
  if (!tool) return tool.error();
  return tool->fetch + "(cd " + shell_quote(folder) + " && " + tool->manager.install(true) + ")\n";
}

}  // namespace karreg::builder
