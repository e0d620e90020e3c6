#pragma once
/// The SQL of certificates. Every function works in the caller's transaction.

#include <cstdint>
#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "common/crypto/certificate.hpp"
#include "common/wire/certificates.hpp"
#include "scheduler/certificates/local_authority.hpp"
#include "scheduler/certificates/plan.hpp"

namespace karreg::scheduler::certificates {

/// facts_store.cpp: first of all in a transaction that decides or tells the proxies: no other one
/// does until it ends.
void alone(pqxx::work& work);
/// facts_store.cpp: when the transaction began, by the database's clock.
Time database_time(pqxx::work& work);
/// facts_store.cpp: uploaded certificates are shown for hosts of their applications only, which
/// may have changed.
void confine_uploaded(pqxx::work& work);
/// facts_store.cpp: everything that plan() needs.
Facts load_facts(pqxx::work& work);

/// A chain that has been issued, and its key.
struct Issued {
  std::string chain;
  std::string sealed_key;  ///< Vault::for_certificates(), context = its id
  crypto::ChainFacts facts;
};

/// orders_store.cpp: the row of @p order, made when there is none. Its id.
std::string row_of(pqxx::work& work, const Order& order);
/// orders_store.cpp: an order by ACME begins, which takes until @p until at most.
void begin_order(pqxx::work& work, const std::string& id, Time until);
/// orders_store.cpp: it was issued; false: nobody wants it any more.
bool save_issued(pqxx::work& work, const std::string& id, const Issued& issued);
/// orders_store.cpp: how often it failed in a row before.
int failures_of(pqxx::work& work, const std::string& id);
/// orders_store.cpp: the order failed, for the reason @p why, and is tried again at @p next.
void save_failure(pqxx::work& work, const std::string& id, const std::string& why, Time next);
/// orders_store.cpp: no order is under way, since none of this platform's schedulers has one.
void forget_orders_under_way(pqxx::work& work);
/// orders_store.cpp: nobody wants it any more.
void drop(pqxx::work& work, const std::string& id);
/// orders_store.cpp: orders and proxies that nobody asks for any more.
void forget_old(pqxx::work& work);
/// orders_store.cpp: line @p text in the logs of the applications at @p name.
void tell_owners(pqxx::work& work, const std::string& name, const std::string& text, Time now);

/// orders_store.cpp: sealed; nothing: there is none for this certificate authority.
std::optional<std::string> account_key(pqxx::work& work, const std::string& directory);
/// orders_store.cpp: keeps it unless another scheduler was faster; the one that is kept.
std::string keep_account_key(pqxx::work& work, const std::string& directory,
                             const std::string& sealed);
/// orders_store.cpp: the local authority of these domains, its key sealed; nothing: there is none.
std::optional<LocalAuthority> local_authority(pqxx::work& work, const std::string& domains);
/// orders_store.cpp: replaces the authority, and drops what an earlier one made.
void keep_local_authority(pqxx::work& work, const std::string& domains,
                          const LocalAuthority& sealed);

/// proxies_store.cpp: proxies answer @p challenges, which belong to the order of @p id, until they
/// are removed or @p until has come.
void add_challenges(pqxx::work& work, const std::string& id,
                    const std::vector<wire::AcmeChallenge>& challenges, Time until);
/// Whether there were any.
bool remove_challenges(pqxx::work& work, const std::string& id);
/// proxies_store.cpp: sends what proxies have not been told of certificates and, if @p challenges,
/// of challenges. The version of what they have been told, now or before.
std::uint64_t tell_proxies(pqxx::work& work, bool challenges);
/// proxies_store.cpp: whether challenges are there whose time is over; they are removed.
bool expire_challenges(pqxx::work& work);
/// proxies_store.cpp: what a proxy uses. Writes the whole for it when it wants it.
void save_report(pqxx::work& work, const wire::CertificateReport& report);

/// How far proxies that are heard of are.
struct Acknowledged {
  std::size_t live = 0;
  std::vector<std::string> behind;  ///< ids of those that use an older version
};
/// proxies_store.cpp: those that use at least @p version.
Acknowledged acknowledged(pqxx::work& work, std::uint64_t version);

}  // namespace karreg::scheduler::certificates
