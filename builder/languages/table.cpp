#include "builder/languages/table.hpp"

#include <array>

namespace karreg::builder {

std::span<const Language> languages() {
  // Between equal evidence (language.hpp) the first wins. A package.json stands beside apps of most
  // other languages, for their assets; requirements.txt beside those of Node.js, for their tools.
  static const std::array table = {
      languages_of::php(),     languages_of::ruby(),   languages_of::elixir(),
      languages_of::java(),    languages_of::go(),     languages_of::rust(),
      languages_of::haskell(), languages_of::dotnet(), languages_of::deno(),
      languages_of::node(),    languages_of::python(), languages_of::perl(),
      languages_of::r(),       languages_of::cpp(),    languages_of::static_site(),
      languages_of::docker(),  languages_of::shell(),
  };
  return table;
}

}  // namespace karreg::builder
