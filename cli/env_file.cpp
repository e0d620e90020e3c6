#include "cli/env_file.hpp"

#include <cctype>

#include "common/json.hpp"

namespace karreg::cli {
namespace {

/// Reads a `.env` text character by character and counts lines.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  Result<std::map<std::string, std::string>> variables() {
    std::map<std::string, std::string> found;
    while (skip_to_variable()) {
      const int line = line_;
      std::string name = word();
      if (name == "export" && !done() && (text_[at_] == ' ' || text_[at_] == '\t')) {
        blanks();
        name = word();
      }
      blanks();
      if (!is_variable_name(name) || done() || text_[at_] != '=')
        return wrong(line, "expected NAME=VALUE");
      ++at_;
      auto value = this->value();
      if (!value) return value.error();
      found[name] = std::move(*value);
    }
    return found;
  }

 private:
  bool done() const { return at_ >= text_.size(); }
  static Error wrong(int line, const std::string& what) {
    return {ErrorKind::invalid, "line " + std::to_string(line) + ": " + what + "."};
  }
  void blanks() {
    while (!done() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
  }
  void rest_of_line() {
    while (!done() && text_[at_] != '\n') ++at_;
  }
  bool skip_to_variable() {
    while (!done()) {
      if (text_[at_] == '#') {
        rest_of_line();
      } else if (std::isspace(static_cast<unsigned char>(text_[at_])) != 0) {
        if (text_[at_] == '\n') ++line_;
        ++at_;
      } else {
        return true;
      }
    }
    return false;
  }
  std::string word() {
    const std::size_t from = at_;
    while (!done() &&
           (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '_'))
      ++at_;
    return std::string(text_.substr(from, at_ - from));
  }
  Result<std::string> value() {
    blanks();
    if (!done() && (text_[at_] == '"' || text_[at_] == '\'')) return quoted(text_[at_++]);
    const std::size_t from = at_;
    rest_of_line();
    std::string_view plain = text_.substr(from, at_ - from);
    // A comment after a value stands behind a blank, so that colours and fragments survive.
    for (std::size_t i = 1; i < plain.size(); ++i)
      if (plain[i] == '#' && (plain[i - 1] == ' ' || plain[i - 1] == '\t')) {
        plain = plain.substr(0, i);
        break;
      }
    while (!plain.empty() && std::isspace(static_cast<unsigned char>(plain.back())) != 0)
      plain.remove_suffix(1);
    return std::string(plain);
  }
  Result<std::string> quoted(char quote) {
    const int opened = line_;
    std::string value;
    for (; !done() && text_[at_] != quote; ++at_) {
      char c = text_[at_];
      if (c == '\n') ++line_;
      if (quote == '"' && c == '\\' && at_ + 1 < text_.size()) {
        const char next = text_[++at_];
        if (next == 'n') {
          c = '\n';
        } else if (next == 't') {
          c = '\t';
        } else {
          if (next != '"' && next != '\\' && next != '$') value += '\\';
          c = next;
        }
      }
      value += c;
    }
    if (done()) return wrong(opened, std::string("the quote ") + quote + " is not closed");
    ++at_;
    blanks();
    if (!done() && text_[at_] != '\n' && text_[at_] != '#' && text_[at_] != '\r')
      return wrong(line_, "there is text after the closing quote");
    rest_of_line();
    return value;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int line_ = 1;
};

}  // namespace

bool is_variable_name(std::string_view name) {
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name.front())) != 0) return false;
  for (const char c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_') return false;
  return true;
}

Result<std::pair<std::string, std::string>> parse_assignment(std::string_view word) {
  const auto equals = word.find('=');
  const std::string_view name = word.substr(0, equals);
  if (equals == std::string_view::npos || !is_variable_name(name))
    return Error(
        ErrorKind::invalid,
        "`" + std::string(word) + "` is not NAME=VALUE with a name of letters, digits and _.");
  return std::pair{std::string(name), std::string(word.substr(equals + 1))};
}

Result<std::map<std::string, std::string>> parse_env_file(std::string_view text) {
  return Reader(text).variables();
}

Result<std::map<std::string, std::string>> parse_env_json(std::string_view text) {
  const auto parsed = nlohmann::json::parse(text, nullptr, false);
  const Error wrong(ErrorKind::invalid,
                    "expected a JSON object of texts, {\"NAME\": \"value\"}, or a list of "
                    "{\"name\": ..., \"value\": ...}.");
  std::map<std::string, std::string> found;
  if (parsed.is_object()) {
    for (const auto& [name, value] : parsed.items()) {
      if (!is_variable_name(name) || !value.is_string()) return wrong;
      found[name] = value.get<std::string>();
    }
    return found;
  }
  if (!parsed.is_array()) return wrong;
  for (const auto& each : parsed) {
    if (!each.is_object() || !each.contains("name") || !each["name"].is_string() ||
        !each.contains("value") || !each["value"].is_string() ||
        !is_variable_name(each["name"].get<std::string>()))
      return wrong;
    found[each["name"].get<std::string>()] = each["value"].get<std::string>();
  }
  return found;
}

std::string env_line(std::string_view name, std::string_view value) {
  std::string line(name);
  line += "=\"";
  for (const char c : value) {
    if (c == '"' || c == '\\' || c == '$') line += '\\';
    if (c == '\n') {
      line += "\\n";
    } else {
      line += c;
    }
  }
  return line + "\"";
}

}  // namespace karreg::cli
