#pragma once
/// The head of a request as an application gets it that speaks HTTP/2 (RFC 9113 §8.3.1): the same
/// fields as by HTTP/1.1. Pure.

#include <string>
#include <vector>

#include "reverse-proxy/http1/forward.hpp"

namespace karreg::proxy::http2 {

class RequestLines {
 public:
  /// Makes the lines of a request; memory of the last one is kept. @p scheme: of the connection
  /// to the application; what the visitor came by stands in X-Forwarded-Proto.
  void set(const http1::RequestHead& head, const http1::Target& target,
           const http1::Framing& framing, const http1::ForwardedBy& by, std::string_view scheme);
  /// Pseudo fields first, names in lower case. Valid until the next set(), as long as the head and
  /// the target live.
  const std::vector<http1::Field>& fields() const { return fields_; }

 private:
  std::string text_;
  std::vector<http1::Field> fields_;
};

}  // namespace karreg::proxy::http2
