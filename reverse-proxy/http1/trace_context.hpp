#pragma once
/// W3C Trace Context (https://www.w3.org/TR/trace-context/): which trace a request belongs to.
/// Pure.

#include <optional>
#include <string>
#include <string_view>

#include "reverse-proxy/http1/head.hpp"

namespace karreg::proxy::http1 {

/// The trace id (32 hexadecimal digits, lower case) of the request's one valid traceparent (§3.2);
/// nothing: there is none, and tracestate means nothing either (§3.3.1.1).
std::optional<std::string_view> trace_id_of(const RequestHead& head);

/// Whether @p name is a field that must not go on without a valid traceparent.
bool is_trace_field(std::string_view name);

/// Appends the field traceparent for a trace that begins here: of @p trace_id, 32 hexadecimal
/// digits of chance, whose second half names the span, too; not sampled.
void append_traceparent(std::string& out, std::string_view trace_id);

}  // namespace karreg::proxy::http1
