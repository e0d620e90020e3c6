// Static site: an index.html decides, in the root or in one of the usual output folders.
//   build    CC_BUILD_COMMAND, else none.
//   start    karreg's own file server on the folder of index.html, or on CC_WEBROOT.
#include <array>

#include "builder/languages/table.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder::languages_of {
namespace {

/// Made by the image `static`; its only argument is the folder to serve.
constexpr const char* server = "/usr/lib/karreg/serve-static";
constexpr std::array<std::string_view, 6> folders = {"", "public", "dist", "build", "site", "www"};

std::optional<std::string> folder_of_index(const SourceTree& tree) {
  for (const std::string_view folder : folders)
    if (tree.has_file(join_path(folder, "index.html"))) return std::string(folder);
  return std::nullopt;
}

Result<std::string> webroot(const Inspection& about, std::string& reason) {
  if (auto given = about.settings.variable("CC_WEBROOT")) {
    std::string folder = *given;
    while (folder.starts_with("/")) folder.erase(0, 1);
    while (folder.ends_with("/")) folder.pop_back();
    const bool leaves = ("/" + folder + "/").find("/../") != std::string::npos;
    if (leaves || (!about.build_command && !about.tree.has_folder(folder)))
      return Error(ErrorKind::invalid,
                   "CC_WEBROOT=" + *given +
                       ": there is no such folder in the app. Give a folder of the repository, "
                       "for example CC_WEBROOT=/public.");
    reason = "CC_WEBROOT";
    return folder;
  }
  const std::string folder = folder_of_index(about.tree).value_or("");
  reason = join_path(folder, "index.html");
  return folder;
}

Result<LanguagePlan> plan(const Inspection& about) {
  LanguagePlan result;
  result.tool = "none";
  if (about.build_command) {
    result.steps.push_back({"build", *about.build_command});
    result.reasons.push_back("Build: " + *about.build_command + " (CC_BUILD_COMMAND).");
  }
  std::string reason;
  auto folder = webroot(about, reason);
  if (!folder) return folder.error();
  const std::string served = "/" + join_path("app", *folder);
  result.start = Start{{server, served}, "the file server on " + served + " (" + reason + ")"};
  return result;
}

}  // namespace

Language static_site() {
  return {"static", "static site", "index.html, also in public/, dist/, build/, site/ or www/",
          [](const SourceTree& tree, const AppSettings& settings) -> std::optional<std::string> {
            if (settings.variable("CC_WEBROOT")) return "CC_WEBROOT";
            if (auto folder = folder_of_index(tree)) return join_path(*folder, "index.html");
            return std::nullopt;
          },
          plan};
}

}  // namespace karreg::builder::languages_of
