#pragma once
/// The types of apps: what an owner chooses with `karreg create --type`, what the API lists, and
/// what the builder decides by itself when the type is `auto`.

#include <array>
#include <optional>
#include <span>
#include <string_view>

namespace karreg::wire {

struct AppType {
  std::string_view name;   ///< what people write and the platform stores: "node"
  std::string_view title;  ///< for people: "Node.js"
  /// Other words for it, separated by blanks; those of Clever Cloud's types among them.
  std::string_view also = {};
};

/// Every type, `auto` first.
inline constexpr std::array app_types = {
    AppType{"auto", "Automatic"},
    AppType{"node", "Node.js", "bun javascript typescript"},
    AppType{"deno", "Deno"},
    AppType{"python", "Python"},
    AppType{"php", "PHP", "frankenphp"},
    AppType{"ruby", "Ruby"},
    AppType{"go", "Go", "golang"},
    AppType{"rust", "Rust"},
    AppType{"java", "Java, Kotlin, Scala", "jar maven gradle sbt play2 kotlin scala war"},
    AppType{"elixir", "Elixir"},
    AppType{"haskell", "Haskell"},
    AppType{"cpp", "C and C++", "c cmake meson autotools make"},
    AppType{"perl", "Perl"},
    AppType{"r", "R"},
    AppType{"static", "Static site", "static-apache"},
    AppType{"shell", "Shell and Procfile", "linux procfile"},
    AppType{"docker", "Dockerfile"},
    AppType{"dotnet", ".NET"},
};

/// The type that @p word means: its name, or another word for it.
constexpr std::optional<AppType> app_type(std::string_view word) {
  for (const AppType& type : app_types) {
    if (type.name == word) return type;
    std::string_view rest = type.also;
    while (!rest.empty()) {
      const auto blank = rest.find(' ');
      if (rest.substr(0, blank) == word) return type;
      rest.remove_prefix(blank == std::string_view::npos ? rest.size() : blank + 1);
    }
  }
  return std::nullopt;
}

}  // namespace karreg::wire
