#include "scheduler/shell/settings.hpp"

#include "common/db/database.hpp"

namespace karreg::scheduler {

std::vector<Setting> declared_settings() {
  std::vector<Setting> all = {
      {"scheduler.images_dir", "the image store made by images/build", "", true},
      {"scheduler.drain_timeout", "how long an old instance may finish open requests", "30s",
       false},
      {"scheduler.start_timeout", "how long a new instance may take until it is healthy", "180s",
       false},
      {"scheduler.host_lost_after", "a host silent for longer loses its instances", "30s", false},
      {"scheduler.waking_timeout",
       "requests are held for an application that wakes, and its visitors told that nothing serves "
       "after it; proxies hold each for proxy.hold_timeout at most",
       "180s", false},
      {"scheduler.release_timeout", "what the release command of a deployment may take", "30m",
       false},
      {"secrets.key_file", "file with the key that seals secrets", "", true},
      {"log.level", "debug, info, warn or error", "info", false},
  };
  for (auto& s : certificates::declared_settings()) all.push_back(std::move(s));
  for (auto& s : db::settings()) all.push_back(std::move(s));
  for (auto& s : broker::settings()) all.push_back(std::move(s));
  return all;
}

Result<Settings> read_settings(const Config& config) {
  Settings s;
  s.database_url = config.text("database.url");
  s.images_dir = config.text("scheduler.images_dir");
  s.key_file = config.text("secrets.key_file");
  auto address = broker::address(config);
  if (!address) return address.error();
  s.broker = *address;
  const auto duration = [&](const char* name, milliseconds& into) -> Result<void> {
    auto value = config.duration(name);
    if (!value) return value.error();
    into = *value;
    return ok();
  };
  for (auto [name, into] : {std::pair{"scheduler.drain_timeout", &s.policy.drain_timeout},
                            std::pair{"scheduler.host_lost_after", &s.policy.host_lost_after},
                            std::pair{"scheduler.waking_timeout", &s.policy.waking_timeout},
                            std::pair{"scheduler.release_timeout", &s.policy.release_timeout},
                            std::pair{"scheduler.start_timeout", &s.start_timeout}}) {
    auto read = duration(name, *into);
    if (!read) return read.error();
  }
  auto about_certificates = certificates::read_settings(config);
  if (!about_certificates) return about_certificates.error();
  s.certificates = std::move(*about_certificates);
  // Two tries, and what comes before and after them.
  s.policy.starting_timeout =
      2 * s.start_timeout + s.policy.capacity_timeout + milliseconds(120'000);
  return s;
}

}  // namespace karreg::scheduler
