#include "cli/terminal.hpp"

#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

namespace karreg::cli {
namespace {

std::string_view code(Style style) {
  switch (style) {
    case Style::plain:
      return "";
    case Style::bold:
      return "\x1b[1m";
    case Style::dim:
      return "\x1b[2m";
    case Style::red:
      return "\x1b[31m";
    case Style::green:
      return "\x1b[32m";
    case Style::yellow:
      return "\x1b[33m";
    case Style::blue:
      return "\x1b[34m";
  }
  return "";
}

std::string wrapped(std::string_view text, Style style, bool colour) {
  if (!colour || style == Style::plain) return std::string(text);
  return std::string(code(style)) + std::string(text) + "\x1b[0m";
}

std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;  // not a UTF-8 continuation
  }));
}

}  // namespace

bool wants_colour(bool is_terminal, const std::map<std::string, std::string>& environment) {
  const auto value = [&](const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? std::string() : found->second;
  };
  return is_terminal && value("NO_COLOR").empty() && value("TERM") != "dumb";
}

void Terminal::print(std::string_view line) {
  streams_.out << line << '\n' << std::flush;
}
void Terminal::note(std::string_view line) {
  streams_.err << line << '\n' << std::flush;
}
void Terminal::fail(std::string_view message) {
  streams_.err << wrapped("karreg:", Style::red, streams_.colour_err) << ' ' << message << '\n'
               << std::flush;
}

std::string Terminal::styled(std::string_view text, Style style) const {
  return wrapped(text, style, streams_.colour_out);
}
std::string Terminal::styled_note(std::string_view text, Style style) const {
  return wrapped(text, style, streams_.colour_err);
}

std::string Terminal::ask(std::string_view question) {
  streams_.err << question << ' ' << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  return answer;
}

std::string Terminal::ask_secret(std::string_view question) {
  termios shown{};
  const bool hide = ::tcgetattr(STDIN_FILENO, &shown) == 0;
  auto hidden = shown;
  hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  if (hide) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
  auto answer = ask(question);
  if (!hide) return answer;
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
  note("");
  return answer;
}

void Table::print(Terminal& terminal) const {
  std::vector<std::size_t> widths;
  for (const auto& row : rows_)
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (widths.size() <= i) widths.push_back(0);
      widths[i] = std::max(widths[i], width(row[i]));
    }
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    std::string line;
    for (std::size_t i = 0; i < rows_[r].size(); ++i) {
      line += rows_[r][i];
      line += std::string(widths[i] - width(rows_[r][i]) + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    terminal.print(r == 0 ? terminal.styled(line, Style::dim) : line);
  }
}

std::string harmless(std::string_view text) {
  std::string clean;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\x1b') {
      // A whole escape sequence goes: CSI up to its final byte, or two characters.
      if (i + 1 < text.size() && text[i + 1] == '[') {
        i += 2;
        while (i < text.size() && (text[i] < '@' || text[i] > '~')) ++i;
      } else {
        ++i;
      }
    } else if (c == '\t' || static_cast<unsigned char>(c) >= 0x20) {
      if (c != '\x7f') clean += c;
    }
  }
  return clean;
}

}  // namespace karreg::cli
