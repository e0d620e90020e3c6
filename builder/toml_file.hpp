#pragma once
/// Manifests in TOML. Apart from manifest.hpp, for the parser is a large header.

#include <string_view>

#include "builder/language.hpp"
#include "builder/source_tree.hpp"
#include "common/error.hpp"
#include "common/toml.hpp"

namespace karreg::builder {

/// The table in the file at @p path. Error `invalid`: "Cargo.toml, line 3, column 5: ...".
inline Result<toml::table> read_toml(const SourceTree& tree, std::string_view path) {
  auto text = tree.read(path, max_inspected_bytes);
  if (!text) return Error(ErrorKind::invalid, text.error().message());
  try {
    return parse_toml(*text);
  } catch (const TomlError& e) {
    return Error(ErrorKind::invalid, std::string(path) + ", line " + std::to_string(e.line()) +
                                         ", column " + std::to_string(e.column()) + ": " +
                                         e.what());
  }
}

}  // namespace karreg::builder
