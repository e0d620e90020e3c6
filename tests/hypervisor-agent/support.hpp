#pragma once
// What several tests of the agent need: a folder that goes away, coroutines run to their end, small
// builders.

#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "common/async/asio.hpp"
#include "common/async/task_group.hpp"
#include "common/wire/host.hpp"
#include "hypervisor-agent/settings.hpp"
#include "hypervisor-agent/uplink.hpp"

namespace karreg::test {

class TempFolder {
 public:
  TempFolder() {
    std::string name = "/tmp/karreg-agent-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    // QEMU's user must get through.
    std::filesystem::permissions(name, std::filesystem::perms{0755});
    path_ = name;
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Runs one coroutine to its end within 30 s; what it throws is thrown here.
inline void run(awaitable<void> body) {
  asio::io_context io;
  std::exception_ptr failure;
  bool done = false;
  asio::co_spawn(io, std::move(body), [&](std::exception_ptr e) {
    failure = e;
    done = true;
    io.stop();
  });
  io.run_for(std::chrono::seconds(30));
  REQUIRE(done);
  if (failure) std::rethrow_exception(failure);
}

/// Waits until @p holds, at most 10 s; the test fails with @p what otherwise.
inline awaitable<void> until(std::string what, std::function<bool()> holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!holds()) {
    INFO(what);
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    co_await sleep_for(std::chrono::milliseconds(2));
  }
}

inline void write(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

inline agent::Settings settings_in(const std::string& folder) {
  agent::Settings s;
  s.host_id = "host-1";
  s.data_dir = folder;
  s.state_dir = folder + "/agent";
  s.images_dir = folder + "/images";
  s.accelerator = "tcg";
  s.address_prefix = "127.65";
  s.qemu_user = "nobody";
  return s;
}

inline wire::VmSpec a_vm(const std::string& id) {
  wire::VmSpec spec;
  spec.instance_id = id;
  spec.kind = "run";
  spec.app_id = "app_1";
  spec.deployment_id = "deployment_1";
  return spec;
}

inline wire::HostDesired a_desire(const std::vector<std::string>& ids,
                                  std::uint64_t generation = 1) {
  wire::HostDesired desired{"host-1", generation, {}};
  for (const auto& id : ids) desired.vms.push_back(a_vm(id));
  return desired;
}

/// An uplink that the test confirms by hand.
class HandUplink final : public agent::Uplink {
 public:
  Result<void> report(const wire::HostReport& report, Done done) override {
    if (refusing) return Error(ErrorKind::unavailable, "refused");
    reports.push_back(report);
    waiting.push_back(std::move(done));
    return ok();
  }
  Result<void> log(const wire::LogBatch& batch, Done done) override {
    if (refusing) return Error(ErrorKind::unavailable, "refused");
    batches.push_back(batch);
    waiting.push_back(std::move(done));
    return ok();
  }
  void confirm_all() {
    auto all = std::exchange(waiting, {});
    for (auto& done : all) done(ok());
  }

  bool refusing = false;
  std::vector<wire::HostReport> reports;
  std::vector<wire::LogBatch> batches;
  std::vector<Done> waiting;
};

}  // namespace karreg::test
