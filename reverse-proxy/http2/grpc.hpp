#pragma once
/// What the proxy says itself to clients of gRPC, which take an answer of plain HTTP for a broken
/// one (gRPC over HTTP/2, "Responses"). Pure.

#include <string>
#include <string_view>

namespace karreg::proxy::http2 {

/// Whether a request with this Content-Type is one of gRPC ("application/grpc", "...+proto").
bool is_grpc(std::string_view content_type);
/// The code that stands for an HTTP status (gRPC's "HTTP to gRPC Status Code Mapping"): 14
/// (unavailable) for 429, 502, 503 and 504.
std::string_view grpc_status(int http_status);
/// @p text as grpc-message carries it: all but printable ASCII as %XX, and the percent sign.
std::string grpc_message(std::string_view text);

}  // namespace karreg::proxy::http2
