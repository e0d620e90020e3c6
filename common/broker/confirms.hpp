#pragma once

#include <cstdint>
#include <set>

namespace karreg::broker {

/// Which of the messages published on a channel the broker has not answered for yet. Queues answer
/// in their own time: a single answer may come before those of earlier messages, and a `multiple`
/// one after those of later ones, so tags are matched, not counted. Pure.
class Confirms {
 public:
  /// One more was published; the broker counts them from 1.
  void published() { open_.insert(++last_); }
  /// The broker answered for @p tag or, with @p multiple, for all up to it (0: for all).
  void settle(std::uint64_t tag, bool multiple) {
    if (!multiple)
      open_.erase(tag);
    else
      open_.erase(open_.begin(), tag == 0 ? open_.end() : open_.upper_bound(tag));
  }
  /// The broker took all that was published.
  bool complete() const { return open_.empty(); }

 private:
  std::uint64_t last_ = 0;
  std::set<std::uint64_t> open_;
};

}  // namespace karreg::broker
