#pragma once
/// The programs that tests start, found from where the test's own program lies. No path of this
/// checkout is compiled in: what was compiled in another one is found in the compiler's cache.

#include <filesystem>
#include <string>

namespace karreg::test {

/// build/PRESET of this checkout.
inline std::filesystem::path build_folder() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path();
}
/// Our program @p name, of the same preset as the test.
inline std::string program(const std::string& name) {
  return (build_folder() / "bin" / name).string();
}
/// The file @p path of the source tree, such as "docs/cli.md".
inline std::string source_file(const std::string& path) {
  return (build_folder().parent_path().parent_path() / path).string();
}

}  // namespace karreg::test
