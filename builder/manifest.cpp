#include "builder/manifest.hpp"

#include "builder/language.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder {

Result<nlohmann::json> read_json_object(const SourceTree& tree, std::string_view path) {
  const std::string file(path);
  auto text = tree.read(path, max_inspected_bytes);
  if (!text) return Error(ErrorKind::invalid, text.error().message());
  try {
    nlohmann::json parsed = nlohmann::json::parse(*text);
    if (!parsed.is_object())
      return Error(ErrorKind::invalid, file + ": expected a JSON object, found " +
                                           std::string(parsed.type_name()) + ".");
    return parsed;
  } catch (const nlohmann::json::parse_error& e) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error ..."
    std::string what = e.what();
    constexpr std::string_view before = "parse error at ";
    if (const auto at = what.find(before); at != std::string::npos)
      what = what.substr(at + before.size());
    return Error(ErrorKind::invalid, file + ", " + what);
  }
}

Result<std::string> text_at(const nlohmann::json& manifest, std::string_view file,
                            const std::string& section, const std::string& key) {
  const nlohmann::json* holder = &manifest;
  if (!section.empty()) {
    const auto found = manifest.find(section);
    if (found == manifest.end()) return std::string();
    if (!found->is_object())
      return Error(ErrorKind::invalid,
                   std::string(file) + ": `" + section + "` must be an object.");
    holder = &*found;
  }
  const auto value = holder->find(key);
  if (value == holder->end()) return std::string();
  if (!value->is_string())
    return Error(ErrorKind::invalid, std::string(file) + ": `" +
                                         (section.empty() ? "" : section + ".") + key +
                                         "` must be text.");
  return trimmed(value->get<std::string>());
}

}  // namespace karreg::builder
