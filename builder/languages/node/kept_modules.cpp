#include "builder/languages/node/kept_modules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "builder/shell_line.hpp"

namespace karreg::builder::node {
namespace {

// What differs from build to build and that no install asks for. A variable that is not known to be
// of this kind counts.
constexpr std::string_view of_one_build =
    "SOURCE_DATE_EPOCH|(CC_)?COMMIT_ID|CC_DEPLOYMENT_ID|INSTANCE_[A-Z]*|CC_PRETTY_INSTANCE_NAME|_|"
    "SHLVL|"
    "PWD|OLDPWD";

/// Scripts of an app's own package.json that `npm ci` runs.
constexpr std::array own_scripts = {"preinstall", "install", "postinstall", "prepublish",
                                    "preprepare", "prepare", "postprepare"};

}  // namespace

std::string keeping_modules(const Package& package, const std::string& lock_file,
                            const std::string& install) {
  const bool runs_more = std::ranges::any_of(
      own_scripts, [&](const char* name) { return !package.script(name).empty(); });
  if (runs_more || !package.workspaces().empty()) return install;
  // A full cache is no reason to fail. Packages of folders ("link") are not all in node_modules.
  return fmt::format(
      "kept=/cache/node_modules\n"
      "key=$({{\n"
      "  cat package.json {3}; cat .npmrc 2>/dev/null || true\n"
      "  node --version; npm --version; uname -m; echo {0}\n"
      "  env -0 | grep -zvE '^({1})=' | sort -z\n"
      "}} | sha256sum)\n"
      "if [ \"$(cat $kept.key 2>/dev/null)\" = \"$key\" ] && rm -rf node_modules && tar -xf "
      "$kept.tar; then\n"
      "  echo 'node_modules is that of the last build: nothing that it is made from has changed'\n"
      "  if grep -qE '\"hasInstallScript\"|\"lockfileVersion\": 1\\b' {3}; then npm rebuild; fi\n"
      "else\n"
      "  rm -f $kept.key $kept.tar\n"
      "  {2}\n"
      "  if [ -d node_modules ] && ! grep -q '\"link\": true' {3}; then\n"
      "    {{ tar -cf $kept.tar node_modules && echo \"$key\" >$kept.key; }} || rm -f $kept.key "
      "$kept.tar\n"
      "  fi\n"
      "fi",
      shell_quote(install), of_one_build, install, lock_file);
}

}  // namespace karreg::builder::node
