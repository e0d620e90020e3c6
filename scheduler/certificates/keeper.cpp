#include "scheduler/certificates/keeper.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/log.hpp"
#include "common/wire/json.hpp"
#include "scheduler/certificates/dns_hook.hpp"

namespace karreg::scheduler::certificates {

using namespace std::chrono_literals;

namespace {

/// Without news the certificates are looked at so often, but for no more than a twentieth of the
/// time: among very many it takes a while.
constexpr auto idle_time = 1s;
constexpr int most_idle_share = 20;
/// How often what is long over is cleared away.
constexpr auto forget_time = 1h;
/// How long proxies may take to answer a challenge.
constexpr auto proxies_time = 20s;
constexpr auto look_every = 50ms;
/// Until every name server of a domain has heard of a record.
constexpr auto dns_time = 120s;
/// Nobody has to hear of its end; a scheduler that stops waits for it.
constexpr auto unset_time = 10s;
/// What comes before and after an order's own time.
constexpr auto around_order = 240s;

std::string joined(const std::vector<std::string>& names, const char* between) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : between) + name;
  return text;
}

std::string told(Time time) {
  const auto seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 40> text{};
  const auto n = std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &parts);
  return {text.data(), n};
}

crypto::Seconds in_seconds(Time time) {
  return std::chrono::floor<std::chrono::seconds>(time);
}

constexpr const char* authority_context = "local authority";

}  // namespace

Keeper::Keeper(Settings settings, const std::string& database_url, crypto::Vault vault)
    : settings_(std::move(settings)),
      keys_(vault.for_certificates()),
      vault_(std::move(vault)),
      database_(database_url, settings_.rules.parallel + 2) {}

Keeper::~Keeper() {
  stop();
}

void Keeper::start() {
  if (settings_.rules.acme)
    log::info("certificates are ordered by ACME",
              {log::field("directory", settings_.server.directory),
               log::field("challenge", settings_.challenge)});
  else
    log::info("no certificates are ordered by ACME: setting scheduler.acme_directory is empty");
  thread_ = std::thread([this] { run(); });
}

void Keeper::stop() {
  stopping_ = true;
  wake();
  if (thread_.joinable()) thread_.join();
}

void Keeper::lead(bool leads) {
  if (leads_.exchange(leads) != leads) wake();
}

void Keeper::wake() {
  const std::lock_guard lock(mutex_);
  news_ = true;
  wake_.notify_all();
}

void Keeper::run() {
  bool led = false;
  while (!stopping_) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, pause_, [this] { return news_ || stopping_; });
      news_ = false;
    }
    reap();
    if (stopping_) break;
    if (!leads_) {
      led = false;
      pause_ = idle_time;
      continue;
    }
    const auto began = std::chrono::steady_clock::now();
    auto done = led ? ok() : begin_to_lead();
    led = led || done;
    if (done) done = round();
    if (done) done = forget();
    pause_ = std::max<std::chrono::milliseconds>(
        idle_time, std::chrono::ceil<std::chrono::milliseconds>(
                       most_idle_share * (std::chrono::steady_clock::now() - began)));
    const auto trouble = done ? std::string() : done.error().message();
    if (!trouble.empty() && trouble != trouble_)
      log::error("certificates are not looked after", {log::field("why", trouble)});
    trouble_ = trouble;
  }
  for (auto& job : jobs_) {
    job->child.stop();
    job->hook.stop();
    job->thread.join();
  }
  jobs_.clear();
}

Result<void> Keeper::begin_to_lead() {
  const auto domains = joined(settings_.rules.local_domains, " ");
  return database_.transact([&](pqxx::work& work) -> Result<void> {
    alone(work);
    // Those of this process, if it led before, end by themselves.
    if (jobs_.empty()) forget_orders_under_way(work);
    if (!settings_.rules.local) return ok();
    auto sealed = local_authority(work, domains);
    if (!sealed) {
      auto made =
          make_local_authority(settings_.rules.local_domains, in_seconds(database_time(work)));
      made.key = vault_.seal(made.key, authority_context);
      keep_local_authority(work, domains, made);
      log::info("the platform has a certificate authority of its own",
                {log::field("domains", domains)});
      sealed = std::move(made);
    }
    auto key = vault_.open(sealed->key, authority_context);
    if (!key) return key.error().within("the key of the local certificate authority");
    authority_ = LocalAuthority{sealed->root, *key};
    // Certificates are made without it all the same.
    const auto shown = show_root(*authority_, settings_.local_folder);
    if (!shown) log::error("the root is not shown", {log::field("why", shown.error().message())});
    return ok();
  });
}

Result<void> Keeper::round() {
  std::vector<std::unique_ptr<Job>> begun;
  auto done = database_.transact([&](pqxx::work& work) -> Result<void> {
    begun.clear();
    alone(work);
    const Time now = database_time(work);
    confine_uploaded(work);
    const auto decided = plan(load_facts(work), settings_.rules, now);
    for (const auto& id : decided.drops) drop(work, id);
    for (auto order : decided.orders) {
      order.id = row_of(work, order);
      if (order.origin == Origin::local) {
        auto made = make_locally(work, order, now);
        if (!made) return made;
        continue;
      }
      begin_order(work, order.id, now + settings_.server.patience + around_order);
      auto job = std::make_unique<Job>();
      job->challenge = order.name.starts_with("*.") ? "dns-01" : settings_.challenge;
      job->order = std::move(order);
      begun.push_back(std::move(job));
    }
    tell_proxies(work, expire_challenges(work));
    return ok();
  });
  if (!done) return done;
  for (auto& job : begun) {
    auto& started = *jobs_.emplace_back(std::move(job));
    log::info(started.order.renewal ? "renewing a certificate" : "ordering a certificate",
              {log::field("name", started.order.name)});
    started.thread = std::thread([this, &started] { work_on(started); });
  }
  return ok();
}

Result<void> Keeper::forget() {
  const auto time = std::chrono::steady_clock::now();
  if (forgotten_at_ && time - *forgotten_at_ < forget_time) return ok();
  auto done = database_.transact([](pqxx::work& work) -> Result<void> {
    forget_old(work);
    return ok();
  });
  if (done) forgotten_at_ = time;
  return done;
}

Result<void> Keeper::make_locally(pqxx::work& work, const Order& order, Time now) {
  auto made = issue_locally(*authority_, order.name, in_seconds(now));
  if (!made) return made.error();
  auto facts = crypto::check_chain(made->chain, made->key, in_seconds(now));
  if (!facts) return facts.error().within("the local certificate for " + order.name);
  save_issued(work, order.id, {made->chain, keys_.seal(made->key, order.id), *facts});
  return ok();
}

void Keeper::reap() {
  std::erase_if(jobs_, [](const std::unique_ptr<Job>& job) {
    if (!job->over) return false;
    job->thread.join();
    return true;
  });
}

void Keeper::work_on(Job& job) {
  std::string chain;
  std::string key;
  Result<void> done = ok();
  try {
    done = obtain_for(job, chain, key);
  } catch (const std::exception& e) {
    done = Error(ErrorKind::internal, e.what());
  }
  // The authority has counted the order: what it gave is not thrown away because the database is
  // away for a moment.
  const auto by = std::chrono::steady_clock::now() + around_order;
  for (bool saved = false; !saved && !stopping_ && std::chrono::steady_clock::now() < by;) {
    saved = finish(job, done, chain, key);
    if (saved) break;
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, idle_time);
  }
  job.over = true;
  wake();
}

Result<std::string> Keeper::account_key_pem() {
  const auto& directory = settings_.server.directory;
  const auto context = "acme " + directory;
  auto sealed = database_.transact([&](pqxx::work& work) -> Result<std::string> {
    if (auto kept = account_key(work, directory)) return std::move(*kept);
    const auto made = crypto::to_pem(crypto::new_private_key());
    return keep_account_key(work, directory, vault_.seal(made, context));
  });
  if (!sealed) return sealed;
  auto opened = vault_.open(*sealed, context);
  if (!opened) return opened.error().within("the key of the account at " + directory);
  return opened;
}

Result<void> Keeper::obtain_for(Job& job, std::string& chain, std::string& key) {
  auto account = account_key_pem();
  if (!account) return account.error();
  const auto private_key = crypto::new_private_key();
  const std::vector<std::string> names{job.order.name};
  AcmeOrder order;
  order.account_key = *account;
  order.request = crypto::certificate_request(private_key, names);
  order.challenge = job.challenge;
  std::vector<wire::AcmeChallenge> prepared;
  const auto let_answer = [&](const std::vector<wire::AcmeChallenge>& challenges) {
    prepared = challenges;
    return prepare(job, challenges);
  };
  auto obtained = obtain(job.child, settings_.server, order, let_answer);
  if (job.challenge == "dns-01") {
    for (const auto& challenge : prepared) {
      // Not the job's, which a stop of the scheduler ends: the next order has another record.
      Child unset;
      const auto gone =
          run_dns_hook(unset, settings_.dns_hook, "unset", record_for(challenge), unset_time);
      if (!gone) log::warn("a DNS record is left", {log::field("why", gone.error().message())});
    }
  }
  if (!obtained) return obtained.error();
  chain = std::move(*obtained);
  key = crypto::to_pem(private_key);
  return ok();
}

Result<void> Keeper::prepare(Job& job, const std::vector<wire::AcmeChallenge>& challenges) {
  if (job.challenge != "dns-01") return prepare_at_proxies(job, challenges);
  for (const auto& challenge : challenges) {
    auto set = run_dns_hook(job.hook, settings_.dns_hook, "set", record_for(challenge), dns_time);
    if (!set) return set;
  }
  return ok();
}

Result<void> Keeper::prepare_at_proxies(Job& job,
                                        const std::vector<wire::AcmeChallenge>& challenges) {
  const auto version = database_.transact([&](pqxx::work& work) -> Result<std::uint64_t> {
    alone(work);
    const auto until = database_time(work) + settings_.server.patience + around_order;
    add_challenges(work, job.order.id, challenges, until);
    return tell_proxies(work, true);
  });
  if (!version) return version.error();
  const auto deadline = std::chrono::steady_clock::now() + proxies_time;
  Acknowledged last;
  for (;;) {
    const auto seen = database_.transact(
        [&](pqxx::work& work) -> Result<Acknowledged> { return acknowledged(work, *version); });
    if (seen) last = *seen;
    if (seen && last.live > 0 && last.behind.empty()) return ok();
    if (stopping_) return Error(ErrorKind::unavailable, "the scheduler stops");
    if (std::chrono::steady_clock::now() >= deadline) break;
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, look_every);
  }
  if (last.live == 0)
    return Error(ErrorKind::unavailable,
                 "no reverse proxy is up that could answer the certificate authority");
  return Error(ErrorKind::unavailable,
               "these reverse proxies do not take what they should answer the certificate "
               "authority: " +
                   joined(last.behind, ", "));
}

Result<Issued> Keeper::seal_issued(const Job& job, const std::string& chain, const std::string& key,
                                   Time now) const {
  auto facts = crypto::check_chain(chain, key, in_seconds(now));
  if (facts && !crypto::covers(facts->names, job.order.name))
    facts = Error(ErrorKind::invalid, "it is for " + joined(facts->names, ", "));
  if (!facts) return facts.error().within("the certificate that was issued cannot be used");
  return Issued{chain, keys_.seal(key, job.order.id), *facts};
}

bool Keeper::finish(const Job& job, const Result<void>& done, const std::string& chain,
                    const std::string& key) try {
  const auto& name = job.order.name;
  std::string note;
  const auto saved = database_.transact([&](pqxx::work& work) -> Result<void> {
    alone(work);
    const Time now = database_time(work);
    const bool had_challenges = remove_challenges(work, job.order.id);
    auto issued = done ? seal_issued(job, chain, key, now) : Result<Issued>(done.error());
    if (issued) {
      if (save_issued(work, job.order.id, *issued))
        note = fmt::format("https: the certificate for {} is there, good until {}", name,
                           told(issued->facts.not_after));
    } else {
      const auto next = next_try(settings_.rules, failures_of(work, job.order.id) + 1, now);
      save_failure(work, job.order.id, issued.error().message(), next);
      note = fmt::format("https: no certificate for {}: {}. The next try is at {}.", name,
                         issued.error().message(), told(next));
    }
    if (!note.empty()) tell_owners(work, name, note, now);
    tell_proxies(work, had_challenges);
    return ok();
  });
  if (!saved)
    log::error("the outcome of an order is not saved yet",
               {log::field("name", name), log::field("why", saved.error().message())});
  else if (!note.empty())
    log::info(note);
  return saved.has_value();
} catch (const std::exception& e) {
  // Of a thread whose exceptions nobody else catches.
  log::error("the outcome of an order cannot be saved",
             {log::field("name", job.order.name), log::field("why", e.what())});
  return true;
}

broker::Disposition Keeper::take_report(const std::string& body) {
  const auto report = wire::from_text<wire::CertificateReport>(body, "CertificateReport");
  if (!report) {
    log::error("unusable report", {log::field("why", report.error().message())});
    return broker::Disposition::reject;
  }
  const auto saved = database_.transact([&](pqxx::work& work) -> Result<void> {
    save_report(work, *report);
    return ok();
  });
  {
    const std::lock_guard lock(mutex_);
    // Orders wait for it; the deciding thread has no use for it.
    wake_.notify_all();
  }
  return saved ? broker::Disposition::ack : broker::disposition_after(saved.error());
}

}  // namespace karreg::scheduler::certificates
