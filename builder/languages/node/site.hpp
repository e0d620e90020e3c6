#pragma once
/// Apps of Node.js tools that make files once and need no Node.js to serve them.

#include <optional>
#include <string>

#include "builder/languages/node/package.hpp"

namespace karreg::builder::node {

/// Files that a build makes, and how they are served.
struct Site {
  std::string tool;          ///< "vite"
  std::string folder;        ///< below the app's folder: "dist"
  std::string usual;         ///< where the tool puts it when its settings do not say otherwise
  bool single_page = false;  ///< unknown paths get index.html, whose script knows them
  std::string build;         ///< when there is no script `build`
};

/// The site that the tree becomes; nothing when it is served by a program of its own.
std::optional<Site> site_of(const Inspection& about, const Package& package);

}  // namespace karreg::builder::node
