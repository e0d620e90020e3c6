#pragma once
/// package.json and what stands beside it: scripts, dependencies, the package manager.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "builder/language.hpp"
#include "common/json.hpp"

namespace karreg::builder::node {

inline constexpr const char* manifest_name = "package.json";

class Package {
 public:
  /// Error `invalid` names file and place.
  static Result<Package> read(const SourceTree& tree, std::string_view path = manifest_name);

  const std::string& script(const std::string& name) const;
  const std::string& main() const { return main_; }
  /// engines.NAME; may be empty.
  const std::string& engine(const std::string& name) const;
  /// "pnpm@9.1.0"; may be empty.
  const std::string& package_manager() const { return package_manager_; }
  const std::string& volta_node() const { return volta_node_; }
  const std::map<std::string, std::string>& about() const { return about_; }  ///< name, version
  const std::vector<std::string>& workspaces() const { return workspaces_; }  ///< glob patterns

  bool needs(const std::string& package) const {
    return dependencies_.contains(package) || needs_to_develop(package);
  }
  bool needs_to_run(const std::string& package) const { return dependencies_.contains(package); }
  bool needs_to_develop(const std::string& package) const { return development_.contains(package); }
  bool has_dependencies() const { return !dependencies_.empty(); }
  bool has_development() const { return !development_.empty(); }
  /// The development dependency that the first word of a command of @p line comes from; empty:
  /// none does.
  std::string development_tool_of(const std::string& line) const;

 private:
  std::map<std::string, std::string> scripts_, engines_, about_;
  std::map<std::string, std::string> dependencies_, development_;  ///< name -> range
  std::vector<std::string> workspaces_;
  std::string main_, package_manager_, volta_node_;
};

/// How dependencies are installed.
struct Manager {
  std::string name;       ///< npm, pnpm, yarn, yarn-berry, bun
  std::string reason;     ///< "pnpm-lock.yaml"
  std::string lock_file;  ///< empty: there is none
  std::string package;    ///< of the npm registry, that brings it: "pnpm@9"; empty: it is there
  std::string program;    ///< how it is called
  std::vector<std::string> unused;  ///< lock files of others

  /// The command that installs, with development dependencies or without.
  std::string install(bool development) const;
  /// The command that takes them away again; empty: this manager has none.
  std::string prune() const;
};

/// The setting, then `packageManager`, then the lock file, then `engines`, then npm. Error
/// `invalid` for a manager that nobody knows.
Result<Manager> manager_of(const Inspection& about, const Package& package);

/// @p line, a script, as it can run without a package manager: `npm run x` and its like become the
/// script x, `npx x` becomes x. Error `invalid` for what needs one.
Result<std::string> without_manager(const Package& package, const std::string& line,
                                    bool bun_is_there);

}  // namespace karreg::builder::node
