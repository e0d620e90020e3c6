#pragma once
/// What images are made of, compared: which packages differ, and whether an artifact that was made
/// for one may run on another.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace karreg {

/// Name -> version.
using Packages = std::map<std::string, std::string>;

/// The packages of a manifest of the image store: a line "NAME VERSION" each, with " (npm)" behind
/// it for those of the npm registry, which is then part of the name: Debian may have a package of
/// the same one. What is no such line is left out.
Packages parse_manifest(std::string_view text);

struct PackageChange {
  std::string name;
  std::string from;  ///< version; empty: it was not there
  std::string to;    ///< version; empty: it is not there any more
  bool operator==(const PackageChange&) const = default;
};
/// What differs from @p from to @p to, by name.
std::vector<PackageChange> package_changes(const Packages& from, const Packages& to);

/// What the catalogue says of a run image of a runtime.
struct ImageFacts {
  std::string version;  ///< what it is, with the release of Debian: "node run, Debian trixie"
  /// Tool -> version; nothing: not known.
  std::optional<std::map<std::string, std::string>> versions;
  bool operator==(const ImageFacts&) const = default;
};

/// "3.13" of the Debian version "1:3.13.5-1": what a program that was built for it relies on. A
/// version of one number is that number.
std::string major_minor(std::string_view version);

/// Why an artifact that runs on an image that is @p from has to be built again to run on one of the
/// same runtime that is @p to, as a clause; empty: it need not. It runs on both when they are of
/// one release of Debian, whose updates keep what programs are linked with, and the tools that the
/// runtime is known by have the same major and minor version.
std::string reason_to_rebuild(const ImageFacts& from, const ImageFacts& to);

}  // namespace karreg
