#include "builder/git_config.hpp"

#include <optional>

#include "common/text.hpp"

namespace karreg::builder {
namespace {

constexpr bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
constexpr bool is_key_character(char c) {
  return is_letter(c) || (c >= '0' && c <= '9') || c == '-';
}
constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<std::vector<GitConfigEntry>> all() {
    constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
    if (text_.starts_with(byte_order_mark)) text_.remove_prefix(byte_order_mark.size());
    if (text_.find('\0') != std::string_view::npos) return wrong("there is a zero byte");
    for (;;) {
      skip_blanks();
      const auto c = peek();
      if (!c) return std::move(entries_);
      if (*c == '\n') {
        take();
      } else if (*c == '#' || *c == ';') {
        skip_comment();
      } else {
        auto done = *c == '[' ? header() : entry();
        if (!done) return done.error();
      }
    }
  }

 private:
  /// A line may end as on Windows.
  std::optional<char> peek() {
    if (text_.starts_with("\r\n")) text_.remove_prefix(1);
    if (text_.empty()) return std::nullopt;
    return text_.front();
  }
  void take() {
    if (text_.front() == '\n') ++line_;
    text_.remove_prefix(1);
  }
  void skip_blanks() {
    for (auto c = peek(); c && is_blank(*c); c = peek()) take();
  }
  void skip_comment() {
    for (auto c = peek(); c && *c != '\n'; c = peek()) take();
  }
  Error wrong(const std::string& what) const {
    return {ErrorKind::invalid, "line " + std::to_string(line_) + ": " + what};
  }

  Result<void> header() {
    take();
    section_.clear();
    subsection_.clear();
    for (auto c = peek(); c && (is_key_character(*c) || *c == '.'); c = peek()) {
      section_ += text::lower(*c);
      take();
    }
    if (section_.empty()) return wrong("a section has no name");
    if (const auto c = peek(); c && is_blank(*c)) {
      skip_blanks();
      if (auto done = quoted_subsection(); !done) return done;
    }
    if (peek() != ']') return wrong("the name of a section does not end with ]");
    take();
    return ok();
  }

  Result<void> quoted_subsection() {
    if (peek() != '"') return wrong("the name after [" + section_ + " stands in no quotes");
    take();
    for (;;) {
      auto c = peek();
      if (c == '"') {
        take();
        return ok();
      }
      if (c == '\\') {
        take();
        c = peek();
      }
      if (!c || *c == '\n') return wrong("a name in quotes does not end on its line");
      subsection_ += *c;
      take();
    }
  }

  Result<void> entry() {
    if (section_.empty()) return wrong("there is no [section] above it");
    GitConfigEntry entry{section_, subsection_, "", "", line_};
    for (auto c = peek(); c && is_key_character(*c); c = peek()) {
      entry.key += text::lower(*c);
      take();
    }
    if (entry.key.empty() || !is_letter(entry.key.front()))
      return wrong("it is neither `name = value`, nor a [section], nor a comment");
    skip_blanks();
    const auto c = peek();
    if (c == '=') {
      take();
      skip_blanks();
      auto read = value();
      if (!read) return read.error();
      entry.value = std::move(*read);
    } else if (!c || *c == '\n' || *c == '#' || *c == ';') {
      entry.value = "true";
    } else {
      return wrong("there is no = after " + entry.key);
    }
    entries_.push_back(std::move(entry));
    return ok();
  }

  /// Up to the end of the line, or of those that a backslash joins.
  Result<std::string> value() {
    std::string read;
    std::size_t kept = 0;  // blanks at the end count in quotes alone
    bool in_quotes = false;
    for (;;) {
      const auto c = peek();
      if (!c || *c == '\n') {
        if (in_quotes) return wrong("a value in quotes does not end on its line");
        break;
      }
      if (!in_quotes && (*c == '#' || *c == ';')) {
        skip_comment();
        break;
      }
      take();
      if (*c == '"') {
        in_quotes = !in_quotes;
        kept = read.size();
      } else if (*c == '\\') {
        auto meant = escaped();
        if (!meant) return meant.error();
        read += *meant;
        kept = read.size();
      } else {
        read += *c;
        if (in_quotes || !is_blank(*c)) kept = read.size();
      }
    }
    read.resize(kept);
    return read;
  }

  /// What the backslash means that was just read: a character, or the line goes on.
  Result<std::string> escaped() {
    const auto c = peek();
    const auto is = [&](char meant) {
      take();
      return std::string(1, meant);
    };
    if (c == '\n') {
      take();
      return std::string();
    }
    if (c == '\\' || c == '"') return is(*c);
    if (c == 'n') return is('\n');
    if (c == 't') return is('\t');
    if (c == 'b') return is('\b');
    return wrong(R"(after a backslash stands neither \, ", n, t, b, nor the end of the line)");
  }

  std::string_view text_;
  int line_ = 1;
  std::string section_;
  std::string subsection_;
  std::vector<GitConfigEntry> entries_;
};

}  // namespace

Result<std::vector<GitConfigEntry>> parse_git_config(std::string_view text) {
  return Parser(text).all();
}

}  // namespace karreg::builder
