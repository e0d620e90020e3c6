#pragma once
/// Which backend gets a request. Pure: counters, clock and chance are parameters.
///
/// The backend with the fewest requests in flight wins, chance decides between equals; of more than
/// eight backends two are drawn and the better one wins (Mitzenmacher 2001), so the price does not
/// grow. Where backends have weights, these are their shares: chance decides by them, and the load
/// between those that have the same. Backends that failed lately are set aside, unless all are:
/// then the request is worth a try.

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

namespace karreg::proxy {

/// What is known of one backend at the moment of the choice.
struct Candidate {
  int in_flight = 0;
  bool aside = false;  ///< failed lately
  bool tried = false;  ///< by this request
  bool full = false;   ///< has as many in hand as it may have
  int weight = 1;      ///< for choose_by_weight()
};
inline bool is_healthy(const Candidate& candidate) {
  return !candidate.aside && !candidate.tried && !candidate.full;
}

/// Index into @p candidates; nothing when all were tried or are full. @p chance: uniform random
/// bits.
std::optional<std::size_t> choose_backend(std::span<const Candidate> candidates,
                                          std::uint64_t chance);

/// The same where weights differ; a backend of weight 0 is never chosen.
std::optional<std::size_t> choose_by_weight(std::span<const Candidate> candidates,
                                            std::uint64_t chance);

/// The one with the highest rank, by weight (rendezvous hashing, Thaler and Ravishankar 1998): who
/// comes again gets the same, and one more or fewer moves only who must move. @p ranks: uniform
/// random bits of who comes with each candidate, always the same for those two.
std::optional<std::size_t> choose_by_rank(std::span<const Candidate> candidates,
                                          std::span<const std::uint64_t> ranks);

/// When a backend is set aside, and for how long.
struct AsideRule {
  int bad_answers = 5;                        ///< in a row
  std::chrono::milliseconds first{500};       ///< for the first time
  std::chrono::milliseconds longest{10'000};  ///< each time twice as long, up to this
};
/// How long it is when it is set aside the @p times-th time in a row (1, 2, ...).
std::chrono::milliseconds aside_time(int times, const AsideRule& rule);

/// Whether one request more may be repeated, where @p repeats of @p in_hand at an application are:
/// @p percent of them, but three at least. Else requests that are repeated would be the load under
/// which an application breaks.
bool may_repeat(int repeats, int in_hand, int percent);

/// After a failure without a byte of the answer: whether the request may go to a backend again.
/// @p received: all of it may have reached the application. @p idempotent: the method is; others
/// may have had their effect, and a proxy must not repeat them (RFC 9110 §9.2.2). @p replayable:
/// all of the body is still here. @p attempts made, of @p max.
bool may_retry(bool received, bool idempotent, bool replayable, int attempts, int max);

/// GET, HEAD, OPTIONS, TRACE, PUT, DELETE.
bool is_idempotent(std::string_view method);

}  // namespace karreg::proxy
