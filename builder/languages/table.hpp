#pragma once
/// The entry of every language; table.cpp puts them in order.

#include "builder/language.hpp"

namespace karreg::builder::languages_of {

Language php();
Language ruby();
Language elixir();
Language java();
Language go();
Language rust();
Language haskell();
Language deno();
Language node();
Language python();
Language perl();
Language r();
Language cpp();
Language static_site();
Language shell();
Language docker();
Language dotnet();

}  // namespace karreg::builder::languages_of
