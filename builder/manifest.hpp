#pragma once
/// Manifests of package managers, read out of a tree with messages that name file and line.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "builder/runtimes.hpp"
#include "builder/source_tree.hpp"
#include "common/error.hpp"
#include "common/json.hpp"

namespace karreg::builder {

/// The JSON object in the file at @p path. Error `invalid`: "package.json, line 3, column 5: ...".
Result<nlohmann::json> read_json_object(const SourceTree& tree, std::string_view path);

/// The same of a text that is at hand; @p comments: it may have some.
Result<nlohmann::json> parse_json_object(const std::string& text, const std::string& file,
                                         bool comments = false);

/// Whatever JSON the text of @p file is.
Result<nlohmann::json> parse_json(const std::string& text, const std::string& file,
                                  bool comments = false);

/// The text at @p section / @p key of a manifest, trimmed; empty when either is absent. Error
/// `invalid` when it is there and is not text. An empty @p section is the manifest itself.
Result<std::string> text_at(const nlohmann::json& manifest, std::string_view file,
                            const std::string& section, const std::string& key);

/// The first line of a small file, without the white space around it; empty when there is none.
std::string first_line(const SourceTree& tree, std::string_view path);

/// What `.tool-versions` (asdf, mise) asks for under one of @p names: "nodejs 20.1.0".
std::optional<VersionWish> tool_version(const SourceTree& tree,
                                        const std::vector<std::string_view>& names);

}  // namespace karreg::builder
