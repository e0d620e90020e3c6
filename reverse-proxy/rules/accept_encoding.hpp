#pragma once
/// Which content coding a visitor gets (RFC 9110 §12.5.3). Pure.

#include <optional>
#include <span>
#include <string_view>

#include "reverse-proxy/http1/head.hpp"

namespace karreg::proxy::rules {

enum class Coding { identity, gzip, br, zstd };

/// "gzip"; "" for identity.
std::string_view name_of(Coding coding);
/// identity for what is none of them.
Coding coding_of(std::string_view name);

/// The one of @p offered that the Accept-Encoding fields of @p head like best, the first of those
/// liked equally. identity: without such a field, when none of them is acceptable, or when it is
/// liked better. Members that are malformed do not count.
Coding choose_coding(const http1::RequestHead& head, std::span<const Coding> offered);

}  // namespace karreg::proxy::rules
