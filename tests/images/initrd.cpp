#include "images/initrd.hpp"

#include <array>
#include <cstdio>

namespace karreg::test {

namespace {

struct Entry {
  std::string name;
  unsigned mode = 0;
  std::string content;
  unsigned device_major = 0;
  unsigned device_minor = 0;
};

void pad(std::string& archive) {
  archive.resize((archive.size() + 3) / 4 * 4, '\0');
}

void add(std::string& archive, const Entry& entry) {
  const std::array<std::size_t, 13> fields = {0,
                                              entry.mode,
                                              0,
                                              0,
                                              1,
                                              0,
                                              entry.content.size(),
                                              0,
                                              0,
                                              entry.device_major,
                                              entry.device_minor,
                                              entry.name.size() + 1,
                                              0};
  archive += "070701";
  for (const std::size_t field : fields) {
    std::array<char, 9> text{};
    std::snprintf(text.data(), text.size(), "%08zx", field);
    archive += text.data();
  }
  archive += entry.name;
  archive += '\0';
  pad(archive);
  archive += entry.content;
  pad(archive);
}

}  // namespace

std::string initrd_of(const std::string& init) {
  std::string archive;
  add(archive, {"dev", 0040755, {}});
  add(archive, {"dev/console", 0020600, {}, 5, 1});
  add(archive, {"init", 0100755, init});
  add(archive, {"TRAILER!!!", 0, {}});
  return archive;
}

}  // namespace karreg::test
