#pragma once
/// What a pusher is told in the end: git's report on its way to the client, and ours where git has
/// none to give. Pure. Source: gitprotocol-pack(5), "Report Status"; gitprotocol-capabilities(5),
/// "side-band-64k".

#include <cstdint>
#include <string>
#include <string_view>

#include "api/git/pkt_line.hpp"

namespace karreg::api::git {

/// The largest object that git may hold in memory while it takes a push, bytes: clients send no
/// larger one as a delta (core.bigFileThreshold as it comes), and what is none is not held.
inline constexpr std::int64_t max_object_bytes = 512L * 1024 * 1024;

/// git's answer to a push, in whole packets.
class Report {
 public:
  /// @p secret: the reason of refs that were not refused (env_shallow); empty: there is none.
  Report(const PushHead& head, std::string secret);
  /// Takes what git says next. Returns what the client is to get, with a sentence of ours where git
  /// says that an object was larger than max_object_bytes. Throws std::runtime_error on what are no
  /// packets.
  std::string pass(std::string_view bytes);
  /// Whether git has said everything.
  bool complete() const { return complete_; }

 private:
  std::string rewritten(const PktReader::Packet& packet) const;

  bool side_band_;
  std::string secret_;
  PktReader outer_;
  PktReader inner_;  ///< the report within the side band
  bool complete_ = false;
};

/// The answer to a push whose pack has more than @p max_bytes: what happened and what to do, on the
/// side band when the client takes one, and as the reason for each ref.
std::string oversize_answer(const PushHead& head, std::int64_t max_bytes);

/// The answer to a push over which git ended without a whole report: a client would wait for it.
std::string broken_answer(const PushHead& head);

}  // namespace karreg::api::git
