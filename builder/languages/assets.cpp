#include "builder/languages/assets.hpp"

#include "builder/languages/node/package.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder {

Result<void> add_assets(LanguagePlan& plan, const Inspection& about) {
  if (!about.tree.has_file(node::manifest_name)) return ok();
  auto package = node::Package::read(about.tree);
  if (!package) return package.error();
  if (package->script("build").empty()) return ok();
  auto manager = node::manager_of(about, *package);
  if (!manager) return manager.error();
  if (manager->name == "bun") {
    manager->package = "bun@1";
    manager->program = "/tmp/karreg-tools/bin/bun";
  }
  std::string command;
  if (!manager->package.empty())
    command = "npm install --global --prefix /tmp/karreg-tools --no-audit --no-fund " +
              shell_quote(manager->package) + "\n";
  plan.step("assets", command + manager->install(true) + "\n" + manager->program +
                          " run build\nrm -rf node_modules");
  plan.reason("Assets: " + package->script("build") + " (scripts.build of package.json).");
  return ok();
}

}  // namespace karreg::builder
