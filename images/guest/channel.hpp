#pragma once

#include <optional>
#include <string>
#include <utility>

#include "common/wire/guest.hpp"

namespace karreg::guest {

/// The virtio-serial port to the agent: lines in both directions, without ever blocking. The agent
/// may be absent at any time.
class Channel {
 public:
  /// Finds and opens the port; throws when the VM has none.
  Channel();

  int fd() const { return fd_; }
  /// What to give to poll(2) while connected().
  short wanted_events() const;

  template <class T>
  void send(const T& message) {
    out_ += wire::guest::encode(message);
    out_ += '\n';
  }
  /// Moves bytes both ways as far as possible.
  void pump();
  /// The next message of the agent; lines that are no message, or are longer than
  /// `max_line_bytes`, are skipped.
  std::optional<wire::guest::ToGuest> receive();
  /// Whether a line was skipped for its length since the last time this was asked.
  bool overflowed() { return std::exchange(overflowed_, false); }
  bool flushed() const { return out_.empty(); }
  /// False while no agent is attached, as of the last pump(). The port then reports a hang-up to
  /// poll(2) without pause: look again by timer.
  bool connected() const { return connected_; }
  /// Forgets unsent bytes: a new agent starts at a line of its own.
  void discard_output();

 private:
  int fd_;
  std::string in_;
  std::string out_;
  bool connected_ = true;
  bool overflowed_ = false;
};

}  // namespace karreg::guest
