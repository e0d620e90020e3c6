#include "common/http/router.hpp"

#include <optional>

namespace karreg::http {

namespace {

std::vector<std::string> split(std::string_view path) {
  std::vector<std::string> segments;
  if (path.starts_with('/')) path.remove_prefix(1);
  for (;;) {
    const auto slash = path.find('/');
    segments.emplace_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return segments;
    path.remove_prefix(slash + 1);
  }
}

bool is_parameter(const std::string& segment) {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

bool is_rest(const std::string& segment) {
  return is_parameter(segment) && segment[segment.size() - 2] == '*';
}

struct Candidate {
  PathParameters parameters;
  std::vector<bool> literal;  ///< per segment; compared in order, literal is better
};

std::optional<Candidate> match(const std::vector<std::string>& pattern,
                               const std::vector<std::string>& path) {
  Candidate candidate;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (is_rest(pattern[i])) {
      std::string rest;
      for (std::size_t j = i; j < path.size(); ++j) rest += (j > i ? "/" : "") + path[j];
      candidate.parameters[pattern[i].substr(1, pattern[i].size() - 3)] = rest;
      candidate.literal.push_back(false);
      return candidate;
    }
    if (i >= path.size()) return std::nullopt;
    if (is_parameter(pattern[i])) {
      auto value = percent_decode(path[i], false);
      if (!value || value->empty()) return std::nullopt;
      candidate.parameters[pattern[i].substr(1, pattern[i].size() - 2)] = *value;
      candidate.literal.push_back(false);
    } else {
      if (pattern[i] != path[i]) return std::nullopt;
      candidate.literal.push_back(true);
    }
  }
  if (pattern.size() != path.size()) return std::nullopt;
  return candidate;
}

}  // namespace

std::size_t Router::add(std::string method, std::string_view pattern) {
  routes_.push_back({std::move(method), split(pattern)});
  return routes_.size() - 1;
}

std::expected<Router::Match, Router::Miss> Router::find(std::string_view method,
                                                        std::string_view path) const {
  const auto segments = split(path);
  std::optional<Match> best;
  std::vector<bool> best_literal;
  bool path_known = false;
  for (std::size_t i = 0; i < routes_.size(); ++i) {
    auto candidate = match(routes_[i].segments, segments);
    if (!candidate) continue;
    path_known = true;
    if (routes_[i].method != method && !(method == "HEAD" && routes_[i].method == "GET")) continue;
    if (best && !(candidate->literal > best_literal)) continue;
    best_literal = candidate->literal;
    best = Match{i, std::move(candidate->parameters)};
  }
  if (best) return *best;
  return std::unexpected(path_known ? Miss::method_not_allowed : Miss::no_such_path);
}

}  // namespace karreg::http
