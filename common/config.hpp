#pragma once
/// Settings: declared once, read from a TOML file and from the environment (which wins), validated
/// at start.
///
/// A setting `api.listen` stands in the file as `listen` under `[api]` and in the environment as
/// `KARREG_API_LISTEN`.

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/error.hpp"

namespace karreg {

/// Declaration of one setting; `docs` are generated from these.
struct Setting {
  std::string name;           ///< "section.key"
  std::string text;           ///< one sentence: meaning, unit, bounds
  std::string default_value;  ///< as written in the file; ignored when required
  bool required = false;
};

/// "500ms", "30s", "10m", "2h"; nothing for any other text.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

/// Values of the declared settings, every one present and checked for its type when read.
class Config {
 public:
  /// Reads @p file (none when empty) and @p environment ("KARREG_..." names) for the @p declared
  /// settings. Error `invalid` names the setting or the file's line. Keys of the file in a section
  /// of @p declared that are not declared are errors; other sections belong to other programs.
  static Result<Config> load(const std::vector<Setting>& declared, const std::string& file,
                             const std::map<std::string, std::string>& environment);
  /// The KARREG_* part of this process's environment.
  static std::map<std::string, std::string> process_environment();

  /// Value as text. The setting must have been declared.
  const std::string& text(const std::string& name) const;
  /// Whole number within [@p min, @p max]; otherwise an `invalid` error that names the setting.
  Result<std::int64_t> number(const std::string& name, std::int64_t min, std::int64_t max) const;
  /// "true" or "false".
  Result<bool> flag(const std::string& name) const;
  /// "500ms", "30s", "10m", "2h".
  Result<std::chrono::milliseconds> duration(const std::string& name) const;

 private:
  std::map<std::string, std::string> values_;
};

/// "host:port" split; IPv6 as "[::1]:80". Error `invalid` otherwise.
struct Endpoint {
  std::string host;
  std::uint16_t port = 0;
};
Result<Endpoint> parse_endpoint(const std::string& text);

}  // namespace karreg
