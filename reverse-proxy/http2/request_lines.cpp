#include "reverse-proxy/http2/request_lines.hpp"

namespace karreg::proxy::http2 {

void RequestLines::set(const http1::RequestHead& head, const http1::Target& target,
                       const http1::Framing& framing, const http1::ForwardedBy& by,
                       std::string_view scheme) {
  text_.clear();
  http1::append_request_fields(text_, head, target, framing, by);
  fields_.clear();
  fields_.push_back({":method", head.method});
  fields_.push_back({":scheme", scheme});
  fields_.push_back({":authority", target.authority});
  fields_.push_back({":path", target.forward});
  for (std::size_t at = 0; at < text_.size();) {
    const auto colon = text_.find(':', at);
    const auto end = text_.find("\r\n", colon);
    for (auto i = at; i < colon; ++i)
      if (text_[i] >= 'A' && text_[i] <= 'Z') text_[i] = static_cast<char>(text_[i] + 32);
    const std::string_view line(text_);
    fields_.push_back({line.substr(at, colon - at), line.substr(colon + 2, end - colon - 2)});
    at = end + 2;
  }
}

}  // namespace karreg::proxy::http2
