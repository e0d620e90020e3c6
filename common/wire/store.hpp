#pragma once
/// agents on other hosts -> karreg-builder (docs/contracts.md §7): what VMs boot from, by digest.
/// HTTP GET with `Authorization: Bearer <token>`; `Range: bytes=N-` goes on where an earlier answer
/// was cut.

#include <string>

#include "common/error.hpp"

namespace karreg::wire::store {

inline constexpr const char* artifacts = "/artifacts/";      ///< and a digest
inline constexpr const char* blobs = "/blobs/";              ///< of images, and a digest
inline constexpr const char* catalogue = "/catalogue.json";  ///< of images (catalogue.hpp)

/// The token in @p file, which is the value of @p setting: one line of 32 to 200 visible ASCII
/// characters. Error `not_found` or `invalid` with what to do.
Result<std::string> read_token(const std::string& file, const std::string& setting);

/// Whether @p text can be a digest: 64 lower-case hexadecimal digits.
bool is_digest(std::string_view text);

}  // namespace karreg::wire::store
