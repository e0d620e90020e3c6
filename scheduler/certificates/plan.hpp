#pragma once
/// Which certificates are ordered, renewed and dropped. Pure: what is there, the rules and the time
/// in, decisions out.
///
/// Every host of an application wants a certificate, unless one covers it that the operator keeps,
/// that the platform orders for itself, or that an owner has uploaded. Hosts of the local domains
/// get it from the platform's own authority, all others by ACME. One is ordered again when so many
/// percent of its life are over; after a failure the pause doubles, and no more orders are made in
/// an hour than the certificate authority takes. However many names one owner has, what the others
/// have does not run out, and they get theirs: one of each owner before another one of any, of his
/// own those first whose renewal presses, then what has none yet; renewals that do not press come
/// last. What nobody wants any more is dropped.

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace karreg::scheduler::certificates {

using Time = std::chrono::sys_time<std::chrono::milliseconds>;

enum class Origin {
  acme,
  local,     ///< made by the platform's own authority
  uploaded,  ///< brought by an owner
};

struct Rules {
  bool acme = false;   ///< there is a certificate authority to order from
  bool local = false;  ///< there is an authority of our own
  std::vector<std::string> local_domains{"localhost"};
  std::vector<std::string> platform;   ///< names ordered by ACME for the platform, maybe "*.domain"
  std::vector<std::string> elsewhere;  ///< names that certificates of the operator are for
  int renew_percent = 67;              ///< of its life, 1 to 99
  std::chrono::milliseconds first_retry{std::chrono::minutes(15)};
  std::chrono::milliseconds longest_retry{std::chrono::hours(24)};
  std::size_t parallel = 4;  ///< orders under way
  std::size_t orders_per_hour = 100;
};

/// A certificate, or the wish for one.
struct Held {
  std::string id;
  Origin origin = Origin::acme;
  std::string name;                ///< acme, local: what it is ordered for
  std::vector<std::string> names;  ///< that it is shown for, once it is there
  std::optional<Time> not_before;  ///< nothing: it is not there yet
  std::optional<Time> not_after;
  std::optional<Time> next_try;  ///< after a failure
  bool ordering = false;         ///< an order is under way
  bool without_owner = false;    ///< uploaded: the application is gone
};

struct Facts {
  std::vector<std::string> hosts;  ///< of applications
  std::vector<Held> held;
  std::size_t ordered_last_hour = 0;               ///< by ACME
  std::map<std::string, std::string> owners = {};  ///< host -> owner
};

struct Order {
  std::string id;  ///< of what is held already; empty: nothing is
  std::string name;
  Origin origin = Origin::acme;
  bool renewal = false;
};

struct Plan {
  std::vector<Order> orders;  ///< most urgent first
  std::vector<std::string> drops;
};

Plan plan(const Facts& facts, const Rules& rules, Time now);

/// When a name is tried again after @p failures in a row, at least 1.
Time next_try(const Rules& rules, int failures, Time now);
/// When a certificate is ordered again.
Time renewal_of(const Rules& rules, Time not_before, Time not_after);
/// Whether a certificate authority could be asked for @p host: a DNS name with a dot, no address,
/// nothing under "localhost". What else it does not like it says itself.
bool is_orderable(std::string_view host);

}  // namespace karreg::scheduler::certificates
