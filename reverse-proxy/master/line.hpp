#pragma once
/// What the master and a serving process say to each other, over a pair of SOCK_SEQPACKET sockets:
/// a message is one of these words, and where it says so a sentence after a space.

#include <string_view>

namespace karreg::proxy::line {

// The serving process.
inline constexpr std::string_view ready = "ready";    ///< all is set up; waits for `serve`
inline constexpr std::string_view serves = "serves";  ///< takes connections
inline constexpr std::string_view aside = "aside";  ///< reports under a name of its own, confirmed
inline constexpr std::string_view stays = "stays";  ///< ... could not, and why

// The master.
inline constexpr std::string_view serve = "serve";            ///< load the routes, take connections
inline constexpr std::string_view step_aside = "step-aside";  ///< let another one have the name
inline constexpr std::string_view come_back = "come-back";    ///< take the name again
inline constexpr std::string_view leave =
    "leave";  ///< no new connections; end with those there are

inline constexpr std::size_t longest_message = 1024;

}  // namespace karreg::proxy::line
