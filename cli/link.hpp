#pragma once
/// `.karreg.json`: which apps a folder is pushed to. Found in the working folder or the nearest one
/// above.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/error.hpp"

namespace karreg::cli {

struct LinkedApp {
  std::string alias;
  std::string id;
  std::string owner;  ///< organisation
  std::string name;
  std::string git_url;
};

struct Links {
  std::filesystem::path file;  ///< where they are, or would be
  std::vector<LinkedApp> apps;
};

inline constexpr const char* link_file_name = ".karreg.json";

/// The links that hold in @p folder; none, to be stored in @p folder itself, when there is no file
/// up to the root. Error `invalid` names a broken file.
Result<Links> find_links(const std::filesystem::path& folder);
/// Removes the file when nothing is left.
Result<void> save_links(const Links& links);

/// The app called @p alias, or the only one when @p alias is empty. Error `not_found` says which
/// there are.
Result<LinkedApp> choose_link(const Links& links, const std::string& alias);

/// Adds @p app, or replaces the one of the same alias when it is the same app. Error `conflict`
/// when the alias is another app's.
Result<void> add_link(Links& links, LinkedApp app);
/// Removes the app called @p alias (the only one when empty) and gives it back.
Result<LinkedApp> remove_link(Links& links, const std::string& alias);

}  // namespace karreg::cli
