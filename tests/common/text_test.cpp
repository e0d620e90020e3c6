#include "common/text.hpp"

#include <catch2/catch.hpp>

namespace karreg::text {

TEST_CASE("ASCII letters change their case, others keep it") {
  CHECK(lower("KARREG-Ä.Example:80") == "karreg-Ä.example:80");
  CHECK(iequals("Content-Length", "content-length"));
  CHECK_FALSE(iequals("Content-Length", "content_length"));
  CHECK_FALSE(iequals("chunked", "chunked,"));
  CHECK_FALSE(iequals("[", "{"));  // 0x20 apart, as letters are
}

TEST_CASE("the white space of HTTP around a text is cut off, and no other") {
  CHECK(trimmed(" \t a b\t ") == "a b");
  CHECK(trimmed(" \t ").empty());
  CHECK(trimmed("").empty());
  CHECK(trimmed("\r\na\n") == "\r\na\n");
}

TEST_CASE("a token has letters, digits and fifteen other characters, and one at least") {
  CHECK(is_token("aZ09!#$%&'*+-.^_`|~"));
  for (const auto* other :
       {"", "a b", "a\t", "a:", "a,", "a(", "a\"", "a/", "a@", "a{", "\x7f", "ä"}) {
    CAPTURE(other);
    CHECK_FALSE(is_token(other));
  }
  CHECK_FALSE(is_token(std::string_view("a\0", 2)));
}

TEST_CASE("well-formed UTF-8 is told from what only looks like it") {
  for (const auto* good : {"", "a", "\x7f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000",
                           "\uffff", "\U00010000", "\U0010ffff", "grüße, 世界 🚀"}) {
    CAPTURE(good);
    CHECK(is_utf8(good));
  }
  for (const auto* bad :
       {"\x80", "\xc0\x80", "\xc1\xbf", "\xc3", "\xc3(", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xe4\xb8",
        "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"}) {
    CAPTURE(bad);
    CHECK_FALSE(is_utf8(bad));
    CHECK(utf8_length(bad) == 0);
  }
}

TEST_CASE("the length of a sequence is that of its first character") {
  CHECK(utf8_length("") == 0);
  CHECK(utf8_length("abc") == 1);
  CHECK(utf8_length("üb") == 2);
  CHECK(utf8_length("世界") == 3);
  CHECK(utf8_length("🚀!") == 4);
}

TEST_CASE("text of strangers becomes one line that terminals and databases take") {
  CHECK(printable("plain, \xC3\xA9") == "plain, \xC3\xA9");
  CHECK(printable("a\nb\tc") == "a b c");
  CHECK(printable("\x1b[31m") == "\xEF\xBF\xBD[31m");
  CHECK(printable(std::string_view("a\0b", 3)) ==
        "a\xEF\xBF\xBD"
        "b");
  CHECK(printable("\xFF\xC3") == "\xEF\xBF\xBD\xEF\xBF\xBD");
  CHECK(printable("\xC2\x9b"
                  "31m") ==
        "\xEF\xBF\xBD"
        "31m");
}

TEST_CASE("the words of a text are what stands between white space") {
  CHECK(words(" a\tbc \r\n d") == std::vector<std::string_view>{"a", "bc", "d"});
  CHECK(words(" \t").empty());
}

TEST_CASE("words are quoted for a shell only where needed") {
  CHECK(shell_quote("flask==2.0") == "flask==2.0");
  CHECK(shell_quote("a b") == "'a b'");
  CHECK(shell_quote("it's") == "'it'\\''s'");
  CHECK(shell_quote("") == "''");
  CHECK(shell_quote("$(x)") == "'$(x)'");
}

}  // namespace karreg::text
