#pragma once
/// git's pkt-line framing (gitprotocol-common(5)): four hexadecimal digits of length, then the
/// payload. Pure.

#include <cstdint>
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
  /// Bytes that were fed and are in no packet yet.
  std::size_t rest() const { return buffer_.size(); }

 private:
  std::string buffer_;
};

/// One ref update that a push asks for.
struct RefCommand {
  std::string old_id;
  std::string new_id;
  std::string ref;
};
/// "<old> <new> <ref>"; nothing when it is not of that form.
std::optional<RefCommand> parse_command(std::string_view payload);

/// What stands before the pack in the body of a push: the boundary of a shallow clone, the commands
/// with the client's capabilities, its options. Source: gitprotocol-pack(5), "Reference Update
/// Request".
class PushHead {
 public:
  /// Takes the next bytes of the body, also those of the pack.
  void feed(std::string_view bytes);
  /// The capabilities are known, or never will be.
  bool known() const { return !capabilities_.empty() || stage_ != Stage::commands; }
  /// Whether the client announced @p capability, such as "side-band-64k".
  bool offers(std::string_view capability) const;
  /// Whether the client has only a part of the history.
  bool shallow() const { return shallow_; }
  /// The bytes of the pack so far.
  std::int64_t pack_bytes() const { return pack_bytes_; }
  /// The refs that are to change, the first of them.
  const std::vector<std::string>& refs() const { return refs_; }
  /// Whether the client polls the API by itself instead of reading progress.
  bool polls() const;

 private:
  enum class Stage { commands, options, pack, malformed };
  void take(const PktReader::Packet& packet);
  static constexpr std::size_t most_refs = 100;

  PktReader reader_;
  Stage stage_ = Stage::commands;
  std::string capabilities_;
  std::vector<std::string> refs_;
  bool shallow_ = false;
  std::int64_t pack_bytes_ = 0;
};

}  // namespace karreg::api::git
