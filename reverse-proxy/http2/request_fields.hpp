#pragma once
/// The head of a request as HTTP/2 brings it, field by field, made into the head that the rest of
/// the proxy knows (RFC 9113 §8.3). Pure.

#include <string>
#include <vector>

#include "reverse-proxy/http1/head.hpp"

namespace karreg::proxy::http2 {

class RequestFields {
 public:
  /// For the next request; memory is kept.
  void clear();
  /// The next field, name in lower case, pseudo fields among them. More than @p limits allows is
  /// counted, not kept.
  void add(std::string_view name, std::string_view value, const http1::HeadLimits& limits);
  /// Fills @p into with views that are valid until the next clear(). Refused: what HTTP/1.1, which
  /// the application speaks, could not say unmistakably, and CONNECT for another protocol than
  /// WebSocket (501); that becomes HTTP/1.1's request for an upgrade, but for its key. @p has_body:
  /// more than the head comes.
  std::optional<http1::Refusal> finish(bool has_body, http1::RequestHead& into);

 private:
  struct Place {
    std::size_t name, name_size, value_size;
  };
  std::string_view name_of(const Place& place) const;
  std::string_view value_of(const Place& place) const;
  std::string_view pseudo(std::string_view name) const;

  std::string text_;
  std::vector<Place> places_;
  std::string cookies_;
  std::size_t bytes_ = 0;
  std::size_t fields_ = 0;
  bool too_large_ = false;
};

}  // namespace karreg::proxy::http2
