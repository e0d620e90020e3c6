#pragma once
/// git's pkt-line framing (gitprotocol-common(5)): four hexadecimal digits of length, then the
/// payload. Pure.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace karreg::api::git {

/// One packet with @p payload.
std::string pkt_line(std::string_view payload);
inline constexpr std::string_view flush_pkt = "0000";

/// Cuts packets out of bytes as they come.
class PktReader {
 public:
  struct Packet {
    bool flush = false;
    std::string payload;
  };
  void feed(std::string_view bytes) { buffer_ += bytes; }
  /// The next whole packet, if there is one. Throws std::runtime_error on a malformed length.
  std::optional<Packet> next();

 private:
  std::string buffer_;
};

/// Whether @p bytes hold a whole packet, or can never do so.
bool holds_packet(std::string_view bytes);

/// One ref update that a push asks for.
struct RefCommand {
  std::string old_id;
  std::string new_id;
  std::string ref;
};
/// "<old> <new> <ref>"; nothing when it is not of that form.
std::optional<RefCommand> parse_command(std::string_view payload);

/// Whether the first packet of a push's body names an agent that polls by itself instead of reading
/// progress.
bool is_polling_client(std::string_view body_beginning);

}  // namespace karreg::api::git
