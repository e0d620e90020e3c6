// The agent's loop against a hypervisor that refuses: what libvirt's test driver never does.
#include "hypervisor-agent/agent.hpp"
#include "support.hpp"

using namespace karreg;
using namespace karreg::agent;
using namespace std::chrono_literals;

namespace {
/// One domain that does not end.
class Stubborn final : public Hypervisor {
 public:
  void warm_up(bool) override {}
  Result<void> start(const std::string&) override { return refused(); }
  Result<std::vector<std::string>> running() override { return std::vector{domain}; }
  Result<std::vector<std::string>> halted() override { return std::vector<std::string>{}; }
  Result<void> resume(const std::string&) override { return refused(); }
  Result<bool> is_running(const std::string& name) override { return name == domain; }
  Result<void> destroy(const std::string&) override {
    ++tries;
    return refused();
  }
  std::atomic<int> tries{0};

 private:
  static Error refused() { return Error(ErrorKind::unavailable, "not today"); }
  const std::string domain = "karreg-ghost";
};
}  // namespace

TEST_CASE("a step that has no effect is tried again, once a second", "[agent]") {
  test::TempFolder folder;
  asio::io_context io;
  test::HandUplink uplink;
  Stubborn hypervisor;
  // Without a readable specification nobody knows it.
  test::write(folder.path() + "/agent/vms/ghost/spec.json", "{");
  Agent agent(io, test::settings_in(folder.path()), hypervisor, uplink, {});
  REQUIRE(agent.start());
  agent.accept(test::a_desire({}));
  io.run_for(3500ms);
  CHECK(hypervisor.tries >= 2);
  CHECK(hypervisor.tries <= 5);
  bool stopped = false;
  asio::co_spawn(io, agent.stop(), [&](std::exception_ptr) { stopped = true; });
  io.run_for(10s);
  CHECK(stopped);
}
