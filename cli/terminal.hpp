#pragma once
/// What the user sees: results on stdout, everything else on stderr; colour and live lines only
/// where a person looks.

#include <map>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace karreg::cli {

enum class Style { plain, bold, dim, red, green, yellow, blue };

/// Whether a stream that is (@p is_terminal) a terminal gets colour: not with NO_COLOR set (to
/// anything but nothing), not on TERM=dumb. Source: no-color.org.
bool wants_colour(bool is_terminal, const std::map<std::string, std::string>& environment);

class Terminal {
 public:
  struct Streams {
    std::ostream& out;
    std::ostream& err;
    bool colour_out = false;
    bool colour_err = false;
    bool interactive = false;  ///< a person can answer questions
  };
  explicit Terminal(Streams streams) : streams_(streams) {}

  /// A line of the result, on stdout.
  void print(std::string_view line);
  /// A line about what is going on, on stderr.
  void note(std::string_view line);
  /// "karreg: @p message" on stderr.
  void fail(std::string_view message);
  /// @p text in @p style when stdout has colour.
  std::string styled(std::string_view text, Style style) const;
  std::string styled_note(std::string_view text, Style style) const;

  bool interactive() const { return streams_.interactive; }
  /// Asks for one line; empty at the end of input.
  std::string ask(std::string_view question);
  /// The same for what nobody who looks on should see: a terminal does not show it.
  std::string ask_secret(std::string_view question);

 private:
  Streams streams_;
};

/// Columns padded to their widest cell, two blanks between them, headings dimmed; no blanks at the
/// ends of lines. Widths count characters, not bytes.
class Table {
 public:
  explicit Table(std::vector<std::string> headings) { rows_.push_back(std::move(headings)); }
  void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  bool empty() const { return rows_.size() == 1; }
  void print(Terminal& terminal) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// @p text without control characters but tabs, so that what an app printed cannot steer the
/// terminal.
std::string harmless(std::string_view text);

}  // namespace karreg::cli
