#pragma once
// A session whose streams and folder a test looks into.

#include <catch2/catch.hpp>
#include <sstream>

#include "cli/run.hpp"
#include "support/scratch.hpp"

namespace karreg::cli {

class SessionFixture {
  std::ostringstream out_;
  std::ostringstream err_;

 public:
  test::ScratchFolder scratch;
  Terminal terminal;
  Session session;

  explicit SessionFixture(Environment environment = {})
      : terminal({out_, err_, false, false, false}),
        session(terminal, with_home(std::move(environment)), scratch.path(),
                [] { return std::int64_t{1'700'000'000'000}; }) {}

  int run(const std::vector<std::string>& arguments) { return cli::run(session, arguments); }
  std::string out() const { return out_.str(); }
  std::string err() const { return err_.str(); }

 private:
  Environment with_home(Environment environment) const {
    environment.try_emplace("HOME", (scratch.path() / "home").string());
    return environment;
  }
};

}  // namespace karreg::cli
