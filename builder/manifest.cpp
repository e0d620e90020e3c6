#include "builder/manifest.hpp"

#include "builder/language.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder {

Result<nlohmann::json> parse_json(const std::string& text, const std::string& file, bool comments) {
  try {
    return nlohmann::json::parse(text, nullptr, true, comments);
  } catch (const nlohmann::json::exception& e) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error ...", or
    // "[json.exception.out_of_range.406] number overflow parsing '1e999'"
    std::string what = e.what();
    constexpr std::string_view before = "parse error at ";
    if (const auto at = what.find(before); at != std::string::npos)
      what = what.substr(at + before.size());
    else if (const auto end = what.find("] "); end != std::string::npos)
      what = what.substr(end + 2);
    return Error(ErrorKind::invalid, file + ", " + what);
  }
}

Result<nlohmann::json> parse_json_object(const std::string& text, const std::string& file,
                                         bool comments) {
  auto parsed = parse_json(text, file, comments);
  if (parsed && !parsed->is_object())
    return Error(ErrorKind::invalid, file + ": expected a JSON object, found " +
                                         std::string(parsed->type_name()) + ".");
  return parsed;
}

Result<nlohmann::json> read_json_object(const SourceTree& tree, std::string_view path) {
  auto text = tree.read(path, max_inspected_bytes);
  if (!text) return Error(ErrorKind::invalid, text.error().message());
  return parse_json_object(*text, std::string(path));
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

std::string first_line(const SourceTree& tree, std::string_view path) {
  const auto text = tree.read(path, 4096);
  return text ? trimmed(std::string_view(*text).substr(0, text->find('\n'))) : std::string();
}

std::optional<VersionWish> tool_version(const SourceTree& tree,
                                        const std::vector<std::string_view>& names) {
  constexpr const char* file = ".tool-versions";
  const auto text = tree.read(file, max_inspected_bytes);
  if (!text) return std::nullopt;
  std::string_view rest = *text;
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    const std::string line = trimmed(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    const auto blank = line.find_first_of(" \t");
    if (blank == std::string::npos) continue;
    for (const std::string_view name : names)
      if (line.substr(0, blank) == name)
        return VersionWish{trimmed(std::string_view(line).substr(blank)), file};
  }
  return std::nullopt;
}

}  // namespace karreg::builder
