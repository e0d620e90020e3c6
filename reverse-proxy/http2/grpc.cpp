#include "reverse-proxy/http2/grpc.hpp"

#include "common/text.hpp"

namespace karreg::proxy::http2 {

bool is_grpc(std::string_view content_type) {
  constexpr std::string_view plain = "application/grpc";
  if (!text::iequals(content_type.substr(0, plain.size()), plain)) return false;
  // Not application/grpc-web, which is plain HTTP to all between.
  const auto rest = content_type.substr(plain.size());
  return rest.empty() || rest.front() == '+' || rest.front() == ';' || rest.front() == ' ';
}

std::string_view grpc_status(int http_status) {
  switch (http_status) {
    case 400:
      return "13";
    case 401:
      return "16";
    case 403:
      return "7";
    case 404:
      return "12";
    case 429:
    case 502:
    case 503:
    case 504:
      return "14";
    default:
      return "2";
  }
}

std::string grpc_message(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c >= ' ' && c <= '~' && c != '%') {
      out += c;
      continue;
    }
    constexpr std::string_view digits = "0123456789ABCDEF";
    const auto byte = static_cast<unsigned char>(c);
    out += {'%', digits[byte >> 4U], digits[byte & 0xfU]};
  }
  return out;
}

}  // namespace karreg::proxy::http2
