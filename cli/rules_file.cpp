#include "cli/rules_file.hpp"

#include <crypt.h>
#include <fmt/format.h>

#include <memory>
#include <sstream>
#include <vector>

#include "common/toml.hpp"

namespace karreg::cli {

using nlohmann::json;

namespace {

/// Bcrypt's work: 2^10 rounds, some 50 ms.
constexpr unsigned long cost = 10;

/// The parts of a dotted name; empty: it is malformed.
std::vector<std::string> parts_of(std::string_view name) {
  std::vector<std::string> parts;
  for (;;) {
    std::size_t end = 0;
    if (name.starts_with('"')) {
      end = name.find('"', 1);
      if (end == std::string_view::npos) return {};
      parts.emplace_back(name.substr(1, end - 1));
      ++end;
    } else {
      end = std::min(name.find('.'), name.size());
      parts.emplace_back(name.substr(0, end));
    }
    if (parts.back().empty()) return {};
    if (end == name.size()) return parts;
    if (name[end] != '.') return {};
    name.remove_prefix(end + 1);
  }
}

/// Where an assignment's name ends: the first '=' outside of quotes.
std::size_t end_of_name(std::string_view assignment) {
  bool quoted = false;
  for (std::size_t i = 0; i < assignment.size(); ++i) {
    if (assignment[i] == '"') quoted = !quoted;
    if (assignment[i] == '=' && !quoted) return i;
  }
  return std::string_view::npos;
}

}  // namespace

Result<json> parse_rules(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && text[first] == '{') {
    try {
      return json::parse(text);
    } catch (const json::exception& e) {
      return Error(ErrorKind::invalid, std::string("the rules are not valid JSON: ") + e.what());
    }
  }
  try {
    const auto table = parse_toml(text);
    std::ostringstream out;
    out << toml::json_formatter(table);
    return json::parse(out.str());
  } catch (const TomlError& e) {
    return Error(
        ErrorKind::invalid,
        fmt::format("the rules are neither JSON (that begins with {{) nor valid TOML: line "
                    "{}: {}",
                    e.line(), e.what()));
  } catch (const json::exception&) {
    // Dates and the like.
    return Error(ErrorKind::invalid, "the rules have a value that JSON does not have");
  }
}

Result<void> edit_rules(json& rules, std::string_view assignment) {
  const auto equals = end_of_name(assignment);
  const auto parts = equals == std::string_view::npos ? std::vector<std::string>()
                                                      : parts_of(assignment.substr(0, equals));
  if (parts.empty())
    return Error(ErrorKind::invalid,
                 fmt::format("\"{}\" is not like maintenance.on=true: a field's "
                             "name, =, and its value",
                             assignment));
  const auto text = assignment.substr(equals + 1);
  auto value = json::parse(text, nullptr, false);
  if (value.is_discarded()) value = std::string(text);
  json* at = &rules;
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
    if (!at->contains(parts[i]) && text.empty()) return ok();
    at = &(*at)[parts[i]];
    if (at->is_null()) *at = json::object();
    if (!at->is_object())
      return Error(ErrorKind::invalid,
                   fmt::format("\"{}\" of \"{}\" is no object: change the file, and set that",
                               parts[i], assignment.substr(0, equals)));
  }
  if (text.empty())
    at->erase(parts.back());
  else
    (*at)[parts.back()] = std::move(value);
  return ok();
}

Result<std::string> hash_password(const std::string& password) {
  if (password.empty()) return Error(ErrorKind::invalid, "the password is empty");
  if (password.size() > 72 || password.find('\0') != std::string::npos)
    return Error(ErrorKind::invalid,
                 "the password has more than 72 bytes, which bcrypt does not look at, or a NUL");
  std::string salt(CRYPT_GENSALT_OUTPUT_SIZE, '\0');
  if (crypt_gensalt_rn("$2b$", cost, nullptr, 0, salt.data(), static_cast<int>(salt.size())) ==
      nullptr)
    return Error(ErrorKind::internal, "this system's libcrypt makes no salt for bcrypt");
  const auto state = std::make_unique<crypt_data>();
  const char* hash = ::crypt_r(password.c_str(), salt.c_str(), state.get());
  if (hash == nullptr || !std::string_view(hash).starts_with("$2b$"))
    return Error(ErrorKind::internal, "this system's libcrypt makes no bcrypt");
  return std::string(hash);
}

}  // namespace karreg::cli
