#pragma once
/// The table of the last run, on disk: what a proxy serves by until the scheduler speaks.
///
/// Two files: the whole table, and a journal of the updates since, one JSON line each, so that an
/// update costs what it changes. Both have a name that they share; a journal of another name is the
/// rest of an older table, and is left alone.

#include <cstdint>
#include <filesystem>
#include <vector>

#include "reverse-proxy/route_table.hpp"

namespace karreg::proxy {

class SavedRoutes {
 public:
  /// @p file: of the whole; the journal stands beside it.
  explicit SavedRoutes(std::filesystem::path file);
  ~SavedRoutes();
  SavedRoutes(const SavedRoutes&) = delete;
  SavedRoutes& operator=(const SavedRoutes&) = delete;

  /// What was saved last, up to the first update that is torn or does not fit (a machine that lost
  /// its power). Error `not_found`: nothing was; `invalid`: the whole cannot be read.
  Result<RouteTable> load() const;
  /// Replaces all. When it returns, the disk has it. Error `unavailable` names the file.
  Result<void> save(const RouteTable& table);
  /// Adds updates that lead on from what was saved last by this object. Durable as save().
  Result<void> append(const std::vector<wire::RouteUpdate>& updates);
  /// Whether append() may be used: there is a whole to which it would add, and the journal is not
  /// longer than that.
  bool can_append() const { return journal_ >= 0 && journal_bytes_ <= whole_bytes_ + spare_bytes; }

 private:
  static constexpr std::uint64_t spare_bytes = 1UL << 20;
  void close_journal();

  std::filesystem::path file_;
  std::filesystem::path journal_file_;
  int journal_ = -1;
  std::uint64_t whole_bytes_ = 0;
  std::uint64_t journal_bytes_ = 0;
};

}  // namespace karreg::proxy
