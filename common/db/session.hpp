#pragma once

#include <string>

namespace karreg::db {

/// The connection string @p url with limits on how long a silent server is believed to be alive:
/// connecting, and a connection whose other machine or network is gone without a word. What the
/// operator's string says of them wins.
///
/// Without them the kernel decides, after more than two hours; a leader would think that it leads
/// for as long.
std::string with_timeouts(const std::string& url);

}  // namespace karreg::db
