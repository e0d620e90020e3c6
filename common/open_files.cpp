#include "common/open_files.hpp"

#include <sys/resource.h>

#include <algorithm>

#include "common/log.hpp"

namespace karreg {

namespace {
/// Open files besides those of connections.
constexpr std::size_t other_files = 1024;
}  // namespace

std::size_t possible_connections(std::size_t wanted, std::size_t files_each, std::size_t others) {
  const auto besides = other_files + others;
  const rlim_t needed = wanted * files_each + besides;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
  if (limit.rlim_cur < needed) {
    limit.rlim_cur = std::min(needed, limit.rlim_max);
    (void)::setrlimit(RLIMIT_NOFILE, &limit);
    (void)::getrlimit(RLIMIT_NOFILE, &limit);
  }
  if (limit.rlim_cur >= needed) return wanted;
  // Half of a small limit is for the rest.
  const auto free = limit.rlim_cur > besides * 2 ? limit.rlim_cur - besides : limit.rlim_cur / 2;
  const auto possible = std::max<std::size_t>(1, free / files_each);
  log::info("fewer connections than wanted, for want of open files",
            {log::field("connections", possible), log::field("wanted", wanted),
             log::field("open_files", limit.rlim_cur)});
  return possible;
}

}  // namespace karreg
