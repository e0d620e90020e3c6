#include "common/db/arrays.hpp"

#include <sstream>

namespace karreg::db {

std::string array_of(std::span<const std::string> words) {
  std::string text = "{";
  for (const auto& word : words) {
    text += text.size() == 1 ? "\"" : ",\"";
    for (const char c : word) {
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
    text += '"';
  }
  return text + "}";
}

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> all;
  for (std::string word; in >> word;) all.push_back(word);
  return all;
}

}  // namespace karreg::db
