#pragma once

#include "reverse-proxy/backend.hpp"
#include "reverse-proxy/connection.hpp"
#include "reverse-proxy/rules/speech.hpp"

namespace karreg::proxy {

class Worker;

/// A new connection to @p backend, with TLS where @p speech wants it; @p name: that it is called by
/// then. nullptr for @p speech: in clear. @p first: what is said before all else. All of it stays
/// alive meanwhile.
Task<Connection::Connected> link_to(Worker& worker, const Backend& backend,
                                    const rules::Speech* speech, std::string_view name,
                                    std::string_view first = {});

}  // namespace karreg::proxy
