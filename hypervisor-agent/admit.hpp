#pragma once
/// What of a guest's words goes on into reports and logs. Pure.
///
/// A guest is root in its VM and says what it likes (law 4). What it says ends in the database,
/// where text holds no NUL, and in reports that carry all VMs of the host at once: a word that
/// cannot be saved, or one that is endless, would silence its neighbours too. The form is checked
/// before: what is no JSON or no UTF-8 is no message (wire::guest::decode).

#include <optional>
#include <string>
#include <string_view>

#include "common/wire/guest.hpp"

namespace karreg::agent {

/// A sentence for a human: a reason, a detail.
inline constexpr std::size_t max_sentence_bytes = 2000;
/// The name of a worker, which comes with each of its lines.
inline constexpr std::size_t max_process_bytes = 64;

/// @p text (UTF-8) without NULs, at most @p max_bytes and not cut inside a letter.
std::string cleaned(std::string_view text, std::size_t max_bytes);

/// @p message with its texts cleaned; nothing when it names a phase that is no guest's to name (a
/// verdict such as `failed` is the agent's).
std::optional<wire::guest::FromGuest> admit(wire::guest::FromGuest message);

}  // namespace karreg::agent
