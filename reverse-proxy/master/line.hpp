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
/// Its TCP routes need these ports, and no others any more: "4000,4001".
inline constexpr std::string_view tcp_ports = "tcp-ports";
inline constexpr std::string_view tcp_taken = "tcp-taken";  ///< the sockets that came last

// The master.
inline constexpr std::string_view serve = "serve";            ///< load the routes, take connections
inline constexpr std::string_view step_aside = "step-aside";  ///< let another one have the name
inline constexpr std::string_view come_back = "come-back";    ///< take the name again
inline constexpr std::string_view leave =
    "leave";  ///< no new connections; end with those there are

/// Sockets that listen come with it, one for each number in the list: "4000,4000,4001". The next
/// ones come when these are taken.
inline constexpr std::string_view tcp_sockets = "tcp-sockets";
/// A port is not open: "4000", a space, and why.
inline constexpr std::string_view tcp_refused = "tcp-refused";

inline constexpr std::size_t longest_message = 64UL * 1024;
/// Descriptors that one message brings at most.
inline constexpr std::size_t most_descriptors = 253;

}  // namespace karreg::proxy::line
