// The two files of the last run's routes, with a zero between: read as far as they can be, and what
// was read is there again after it was saved, also with an update more.
#include "reverse-proxy/saved_routes.hpp"

#include <unistd.h>

#include <fstream>

#include "common/log.hpp"
#include "fuzz/forwarded.hpp"

using namespace karreg;
using namespace karreg::proxy;

namespace {

/// In memory where there is such a folder: each input writes files.
const std::filesystem::path& folder() {
  static const std::filesystem::path made = [] {
    log::start("fuzz", "error");
    const auto base = std::filesystem::is_directory("/dev/shm")
                          ? std::filesystem::path("/dev/shm")
                          : std::filesystem::temp_directory_path();
    auto path = base / ("karreg-fuzz." + std::to_string(::getpid()));
    std::filesystem::create_directories(path);
    std::atexit([] { std::filesystem::remove_all(folder()); });
    return path;
  }();
  return made;
}

void write(const std::filesystem::path& file, std::string_view text) {
  std::ofstream(file, std::ios::binary) << text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto zero = bytes.find('\0');
  const auto file = folder() / "routes.json";
  write(file, bytes.substr(0, zero));
  write(folder() / "routes.json.journal",
        zero == std::string_view::npos ? std::string_view() : bytes.substr(zero + 1));
  SavedRoutes saved(file);
  auto table = saved.load();
  if (!table) return 0;
  table->check_invariants();
  fuzz::must(saved.save(*table).has_value() && saved.can_append());
  const auto again = saved.load();
  fuzz::must(again.has_value() && *again == *table);
  // No version follows the last one that there can be.
  if (table->version() == UINT64_MAX) return 0;
  const wire::RouteUpdate update{table->version(), table->version() + 1, {}, {{"a.test", "/"}}};
  fuzz::must(saved.append({update}).has_value() && table->apply(update).has_value());
  const auto later = saved.load();
  fuzz::must(later.has_value() && *later == *table);
  return 0;
}
