#include "scheduler/certificates/plan.hpp"

#include <algorithm>
#include <map>

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

bool is_due(const Held& held, const Rules& rules, Time now) {
  if (held.ordering || (held.next_try && now < *held.next_try)) return false;
  if (!held.not_before || !held.not_after) return true;
  return now >= renewal_of(rules, *held.not_before, *held.not_after);
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
  struct Due {
    Order order;
    Time good_until;  ///< nothing is there: long ago
  };
  std::vector<Due> acme;
  std::vector<Due> local;
  std::size_t under_way = 0;
  const auto add = [&](Due due) {
    auto& list = due.order.origin == Origin::acme ? acme : local;
    const bool possible = due.order.origin == Origin::acme ? rules.acme : rules.local;
    if (possible) list.push_back(std::move(due));
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
           held.not_after.value_or(Time::min())});
  }
  for (const auto& [name, origin] : wanted) add({{"", name, origin, false}, Time::min()});

  const auto take = [&](std::vector<Due>& list, std::size_t most) {
    std::ranges::sort(list, {}, [](const Due& due) {
      return std::pair(due.good_until, std::string_view(due.order.name));
    });
    for (auto& due : list) {
      if (most-- == 0) break;
      result.orders.push_back(std::move(due.order));
    }
  };
  take(local, local_at_once);
  const auto at_once = rules.parallel - std::min(rules.parallel, under_way);
  const auto this_hour =
      rules.orders_per_hour - std::min(rules.orders_per_hour, facts.ordered_last_hour);
  take(acme, std::min(at_once, this_hour));
  return result;
}

}  // namespace karreg::scheduler::certificates
