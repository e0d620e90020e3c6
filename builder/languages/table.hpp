#pragma once
/// The entry of every language; table.cpp puts them in order.

#include "builder/language.hpp"

namespace karreg::builder::languages_of {

Language node();
Language python();
Language cmake();
Language static_site();

}  // namespace karreg::builder::languages_of
