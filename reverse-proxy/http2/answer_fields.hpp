#pragma once
/// The head of an answer as an application says it by HTTP/2, field by field, made into the head
/// that the rest of the proxy knows (RFC 9113 §8.3.2). Pure.

#include <string>
#include <vector>

#include "reverse-proxy/http1/head.hpp"

namespace karreg::proxy::http2 {

class AnswerFields {
 public:
  /// The next field, name in lower case, ":status" among them. More than @p limits allows is
  /// counted, not kept.
  void add(std::string_view name, std::string_view value, const http1::HeadLimits& limits);
  /// Another head follows it (RFC 9110 §15.2).
  bool informational() const { return status_.starts_with('1'); }
  /// Fills @p into with views of this, and without a reason phrase, of which HTTP/2 has none. Why
  /// it cannot be passed on, with status 502; nothing: it can.
  std::optional<http1::Refusal> finish(http1::ResponseHead& into);

 private:
  struct Place {
    std::size_t name, name_size, value_size;
  };
  std::string text_;
  std::vector<Place> places_;
  std::string status_;
  std::size_t bytes_ = 0;
  std::size_t fields_ = 0;
  bool too_large_ = false;
};

}  // namespace karreg::proxy::http2
