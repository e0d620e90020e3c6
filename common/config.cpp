#include "common/config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <iterator>
#include <set>

#include "common/toml.hpp"

extern char** environ;  // NOLINT(readability-redundant-declaration): POSIX leaves the declaration
                        // to the program

namespace karreg {

namespace {

std::string environment_name(const std::string& setting) {
  std::string name = "KARREG_";
  for (char c : setting)
    name += (c == '.' || c == '-') ? '_'
                                   : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

Result<std::string> scalar_text(const toml::node& node, const std::string& name,
                                const std::string& file) {
  if (auto s = node.value_exact<std::string>()) return *s;
  if (auto b = node.value_exact<bool>()) return std::string(*b ? "true" : "false");
  if (auto i = node.value_exact<std::int64_t>()) return std::to_string(*i);
  return Error(ErrorKind::invalid,
               fmt::format("{}:{}: setting {} must be a string, a whole number, true or false",
                           file, node.source().begin.line, name));
}

// Sections that every program shares and of which each declares only what it uses: unknown keys
// there belong to others.
bool is_shared(std::string_view section) {
  static constexpr std::array<std::string_view, 5> shared = {"data", "database", "broker", "log",
                                                             "secrets"};
  return std::ranges::find(shared, section) != shared.end();
}

Result<std::map<std::string, std::string>> read_file(const std::string& file,
                                                     const std::set<std::string>& names,
                                                     const std::set<std::string>& sections) {
  std::map<std::string, std::string> values;
  if (file.empty()) return values;
  std::ifstream stream(file);
  const std::string content{std::istreambuf_iterator<char>(stream), {}};
  if (!stream.is_open() || stream.bad())
    return Error(ErrorKind::invalid, "configuration file " + file + " cannot be read");
  toml::table table;
  try {
    table = parse_toml(content);
  } catch (const TomlError& e) {
    return Error(ErrorKind::invalid, fmt::format("configuration file {}:{}:{}: {}", file, e.line(),
                                                 e.column(), e.what()));
  }
  for (const auto& [section, node] : table) {
    const std::string section_name(section.str());
    const auto* keys = node.as_table();
    if (keys == nullptr || !sections.contains(section_name)) continue;
    for (const auto& [key, value] : *keys) {
      const std::string name = section_name + "." + std::string(key.str());
      if (!names.contains(name)) {
        if (is_shared(section_name)) continue;
        return Error(ErrorKind::invalid,
                     fmt::format("{}:{}: unknown setting {}; --help lists those of [{}]", file,
                                 key.source().begin.line, name, section_name));
      }
      auto text = scalar_text(value, name, file);
      if (!text) return text.error();
      values[name] = *text;
    }
  }
  return values;
}

}  // namespace

Result<Config> Config::load(const std::vector<Setting>& declared, const std::string& file,
                            const std::map<std::string, std::string>& environment) {
  std::set<std::string> names;
  std::set<std::string> sections;
  for (const auto& s : declared) {
    names.insert(s.name);
    sections.insert(s.name.substr(0, s.name.find('.')));
  }
  const auto from_file = read_file(file, names, sections);
  if (!from_file) return from_file.error();
  Config config;
  for (const auto& s : declared) {
    if (auto it = environment.find(environment_name(s.name)); it != environment.end()) {
      config.values_[s.name] = it->second;
    } else if (auto found = from_file->find(s.name); found != from_file->end()) {
      config.values_[s.name] = found->second;
    } else if (s.required) {
      return Error(
          ErrorKind::invalid,
          fmt::format("setting {} is missing: put it in the configuration file or in {}. It is: {}",
                      s.name, environment_name(s.name), s.text));
    } else {
      config.values_[s.name] = s.default_value;
    }
  }
  return config;
}

std::map<std::string, std::string> Config::process_environment() {
  std::map<std::string, std::string> result;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const auto equals = text.find('=');
    if (text.starts_with("KARREG_") && equals != std::string_view::npos)
      result[std::string(text.substr(0, equals))] = std::string(text.substr(equals + 1));
  }
  return result;
}

const std::string& Config::text(const std::string& name) const {
  auto it = values_.find(name);
  KARREG_INVARIANT(it != values_.end());
  return it->second;
}

Result<std::int64_t> Config::number(const std::string& name, std::int64_t min,
                                    std::int64_t max) const {
  const std::string& value = text(name);
  std::int64_t parsed = 0;
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), parsed);
  if (error != std::errc{} || end != value.data() + value.size() || parsed < min || parsed > max)
    return Error(ErrorKind::invalid,
                 fmt::format("setting {} = \"{}\" must be a whole number from {} to {}", name,
                             value, min, max));
  return parsed;
}

Result<bool> Config::flag(const std::string& name) const {
  const std::string& value = text(name);
  if (value == "true") return true;
  if (value == "false") return false;
  return Error(ErrorKind::invalid,
               fmt::format("setting {} = \"{}\" must be true or false", name, value));
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view value) {
  std::int64_t count = 0;
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), count);
  const std::string_view unit(end, static_cast<std::size_t>(value.data() + value.size() - end));
  std::int64_t factor = 0;
  if (unit == "ms") factor = 1;
  if (unit == "s") factor = 1000;
  if (unit == "m") factor = 60'000;
  if (unit == "h") factor = 3'600'000;
  if (error != std::errc{} || factor == 0 || count < 0 || count > 1'000'000'000)
    return std::nullopt;
  return std::chrono::milliseconds(count * factor);
}

Result<std::chrono::milliseconds> Config::duration(const std::string& name) const {
  if (const auto parsed = parse_duration(text(name))) return *parsed;
  return Error(ErrorKind::invalid,
               fmt::format("setting {} = \"{}\" must be a duration such as 500ms, 30s, 10m or 2h",
                           name, text(name)));
}

Result<Endpoint> parse_endpoint(const std::string& text) {
  const auto colon = text.rfind(':');
  Endpoint endpoint;
  if (colon != std::string::npos && colon > 0) {
    endpoint.host = text.substr(0, colon);
    if (endpoint.host.size() > 2 && endpoint.host.front() == '[' && endpoint.host.back() == ']')
      endpoint.host = endpoint.host.substr(1, endpoint.host.size() - 2);
    const char* begin = text.data() + colon + 1;
    const char* last = text.data() + text.size();
    auto [end, error] = std::from_chars(begin, last, endpoint.port);
    if (error == std::errc{} && end == last && begin != last) return endpoint;
  }
  return Error(ErrorKind::invalid,
               fmt::format("\"{}\" must be an address and a port, such as 127.0.0.1:8080", text));
}

}  // namespace karreg
