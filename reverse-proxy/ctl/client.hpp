#pragma once
/// `karreg-proxy ctl` and `karreg-proxy top`: what the operator sees of a running proxy.

#include <filesystem>
#include <string>

#include "common/error.hpp"
#include "common/json.hpp"

namespace karreg::proxy {

/// Asks the process behind @p socket (server.hpp). Errors: `unavailable` when none is there, or it
/// does not answer in a minute; those that it answers with.
Result<nlohmann::json> ask(const std::filesystem::path& socket, const nlohmann::json& question);

/// The question for the table in @p file, "-" for standard input: a wire::RouteSnapshot, as in
/// <data>/proxy/<id>.json. Error `invalid` when there is none.
Result<nlohmann::json> question_to_use(const std::string& file);

struct TopOptions {
  double every = 2;   ///< seconds
  int rows = 20;      ///< applications
  bool once = false;  ///< one interval, then the end
};
/// Prints a table of the busiest applications again and again, until it is interrupted.
Result<void> run_top(const std::filesystem::path& socket, const TopOptions& options);

/// One picture: what came between two answers to {"do": "traffic"}, @p seconds apart. Pure.
std::string render_top(const nlohmann::json& before, const nlohmann::json& after, double seconds,
                       int rows);

}  // namespace karreg::proxy
