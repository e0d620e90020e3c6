#include "scheduler/certificates/plan.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <ranges>

#include "common/crypto/certificate.hpp"

namespace karreg::scheduler::certificates {

using namespace std::chrono_literals;

namespace {

/// One that an owner has uploaded is replaced so long before its end, if he brings no new one.
constexpr auto uploaded_margin = 24h;
/// What our own authority makes in one round.
constexpr std::size_t local_at_once = 50;

bool is_under(std::string_view host, std::string_view domain) {
  return host == domain || (host.ends_with(domain) && host.size() > domain.size() &&
                            host[host.size() - domain.size() - 1] == '.');
}

bool is_under(std::string_view host, const std::vector<std::string>& domains) {
  return std::ranges::any_of(domains, [&](const auto& domain) { return is_under(host, domain); });
}

bool is_name(std::string_view host) {
  return !host.empty() && host.size() <= 253 && !host.starts_with('.') && !host.ends_with('.') &&
         host.find("..") == std::string_view::npos &&
         host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_.") ==
             std::string_view::npos;
}

/// Every name that wants a certificate, and from where.
std::map<std::string, Origin> wanted_names(const Facts& facts, const Rules& rules, Time now) {
  std::map<std::string, Origin> wanted;
  const auto uploaded = [&](const std::string& host) {
    return std::ranges::any_of(facts.held, [&](const Held& held) {
      return held.origin == Origin::uploaded && !held.without_owner && held.not_after &&
             *held.not_after - now > uploaded_margin && crypto::covers(held.names, host);
    });
  };
  for (const auto& host : facts.hosts) {
    if (!is_name(host) || crypto::covers(rules.elsewhere, host) || uploaded(host)) continue;
    if (is_under(host, rules.local_domains))
      wanted.emplace(host, Origin::local);
    else if (!crypto::covers(rules.platform, host) && is_orderable(host))
      wanted.emplace(host, Origin::acme);
  }
  for (const auto& name : rules.platform) wanted[name] = Origin::acme;
  return wanted;
}

struct Due {
  Order order;
  Time good_until{};     ///< of what there is
  bool presses = false;  ///< half of the time is over that was left for its renewal
};

std::vector<Due> soonest_end_first(std::vector<Due> due) {
  std::ranges::sort(due, {}, [](const Due& each) {
    return std::pair(each.good_until, std::string_view(each.order.name));
  });
  return due;
}

/// One of each owner, then another one of each, and so on; each owner's in the order that they
/// have.
std::vector<Due> in_turns(std::vector<Due> due, const std::map<std::string, std::string>& owners) {
  std::map<std::string, std::size_t> had;
  std::multimap<std::size_t, Due> turns;
  for (auto& each : due) {
    const auto owner = owners.find(each.order.name);
    const auto turn = had[owner == owners.end() ? "" : owner->second]++;
    turns.emplace(turn, std::move(each));
  }
  due.clear();
  for (auto& [turn, each] : turns) due.push_back(std::move(each));
  return due;
}

bool is_due(const Held& held, const Rules& rules, Time now) {
  if (held.ordering || (held.next_try && now < *held.next_try)) return false;
  if (!held.not_before || !held.not_after) return true;
  return now >= renewal_of(rules, *held.not_before, *held.not_after);
}

bool presses(const Held& held, const Rules& rules, Time now) {
  if (!held.not_before || !held.not_after) return false;
  const auto from = renewal_of(rules, *held.not_before, *held.not_after);
  return now - from > *held.not_after - now;
}

}  // namespace

Time next_try(const Rules& rules, int failures, Time now) {
  auto pause = rules.first_retry;
  for (int i = 1; i < failures && pause < rules.longest_retry; ++i) pause *= 2;
  return now + std::min(pause, rules.longest_retry);
}

Time renewal_of(const Rules& rules, Time not_before, Time not_after) {
  return not_before + (not_after - not_before) * rules.renew_percent / 100;
}

bool is_orderable(std::string_view host) {
  if (!is_name(host) || is_under(host, "localhost")) return false;
  const auto dot = host.rfind('.');
  // No top-level domain is a number: this would be an address (RFC 1123 §2.1).
  return dot != std::string_view::npos &&
         host.find_first_not_of("0123456789", dot + 1) != std::string_view::npos;
}

Plan plan(const Facts& facts, const Rules& rules, Time now) {
  Plan result;
  auto wanted = wanted_names(facts, rules, now);
  std::vector<Due> pressing;
  std::vector<Due> first;
  std::vector<Due> renewals;
  std::vector<Due> local;
  std::size_t under_way = 0;
  const auto add = [&](Due due) {
    const bool by_acme = due.order.origin == Origin::acme;
    auto& list = !by_acme ? local : due.presses ? pressing : !due.order.renewal ? first : renewals;
    if (by_acme ? rules.acme : rules.local) list.push_back(std::move(due));
  };
  for (const auto& held : facts.held) {
    under_way += held.ordering && held.origin == Origin::acme ? 1 : 0;
    if (held.origin == Origin::uploaded) {
      if (held.without_owner) result.drops.push_back(held.id);
      continue;
    }
    const auto wish = wanted.find(held.name);
    if (wish == wanted.end() || wish->second != held.origin) {
      // Its order ends first, so that nothing comes of one that is gone.
      if (!held.ordering) result.drops.push_back(held.id);
      continue;
    }
    wanted.erase(wish);
    if (is_due(held, rules, now))
      add({{held.id, held.name, held.origin, held.not_after.has_value()},
           held.not_after.value_or(Time::min()),
           presses(held, rules, now)});
  }
  for (const auto& [name, origin] : wanted) add({{"", name, origin, false}, Time::min(), false});

  const auto take = [&](std::vector<Due> due, std::size_t most) {
    for (auto& each : due | std::views::take(most)) result.orders.push_back(std::move(each.order));
    return most - std::min(most, due.size());
  };
  take(soonest_end_first(std::move(local)), local_at_once);
  auto left =
      std::min(rules.parallel - std::min(rules.parallel, under_way),
               rules.orders_per_hour - std::min(rules.orders_per_hour, facts.ordered_last_hour));
  auto urgent = soonest_end_first(std::move(pressing));
  std::ranges::move(soonest_end_first(std::move(first)), std::back_inserter(urgent));
  left = take(in_turns(std::move(urgent), facts.owners), left);
  take(soonest_end_first(std::move(renewals)), left);
  return result;
}

}  // namespace karreg::scheduler::certificates
