#include "cli/terminal.hpp"

#include <catch2/catch.hpp>
#include <sstream>

using namespace karreg::cli;

TEST_CASE("colour is for terminals whose owner wants it") {
  CHECK(wants_colour(true, {{"TERM", "xterm"}}));
  CHECK_FALSE(wants_colour(false, {{"TERM", "xterm"}}));
  CHECK_FALSE(wants_colour(true, {{"NO_COLOR", "1"}}));
  CHECK(wants_colour(true, {{"NO_COLOR", ""}}));
  CHECK_FALSE(wants_colour(true, {{"TERM", "dumb"}}));
}

TEST_CASE("results and notes go to their own streams, styled only with colour") {
  std::ostringstream out;
  std::ostringstream err;
  Terminal plain({out, err, false, false, false});
  plain.print(plain.styled("result", Style::green));
  plain.note("note");
  plain.fail("why, and the way out");
  CHECK(out.str() == "result\n");
  CHECK(err.str() == "note\nkarreg: why, and the way out\n");

  const Terminal coloured({out, err, true, true, false});
  CHECK(coloured.styled("x", Style::red) == "\x1b[31mx\x1b[0m");
  CHECK(coloured.styled("x", Style::plain) == "x");
}

TEST_CASE("columns are as wide as their widest cell, in characters") {
  std::ostringstream out;
  Terminal terminal({out, out, false, false, false});
  Table table({"NAME", "STATE"});
  CHECK(table.empty());
  table.row({"caf\xc3\xa9-crepes", "up"});
  table.row({"x", "stopped"});
  table.print(terminal);
  CHECK(out.str() ==
        "NAME         STATE\n"
        "caf\xc3\xa9-crepes  up\n"
        "x            stopped\n");
}

TEST_CASE("what an app printed cannot steer the terminal") {
  CHECK(harmless("a\x1b[31mred\x1b[0m b") == "ared b");
  CHECK(harmless("\x1b]0;title\x07x\rback\b\x7f\ttab") == "0;titlexback\ttab");
  CHECK(harmless("caf\xc3\xa9") == "caf\xc3\xa9");
  CHECK(harmless("cut \x1b[3") == "cut ");
}
