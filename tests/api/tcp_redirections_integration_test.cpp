// Ports of TCP services, over HTTP against a real karreg-api and database.
#include <mutex>
#include <set>
#include <thread>

#include "support/an_api.hpp"

using namespace karreg;
using namespace karreg::test;

namespace {
/// Clever's names of the resources of an app.
std::string redirs(const std::string& app) {
  return "/v2/self/applications/" + app + "/tcpRedirs";
}
constexpr const char* of_default = R"({"namespace":"default"})";

Environment with_ports(const std::string& ports, const std::string& per_app = "4") {
  return {{"KARREG_TCP_PORTS", ports}, {"KARREG_API_TCP_REDIRECTIONS", per_app}};
}
}  // namespace

TEST_CASE("an application gets ports of TCP services, shows them, and gives them back") {
  AnApi api("tcp", with_ports("4000-4005"));
  const User ann = api.make_user("ann@example.org");
  const std::string app = api.make_app(ann, "shop");
  CHECK(api.good(ann, "GET", "/v2/self/namespaces") == Json::parse(R"([{"namespace":"default"}])"));
  CHECK(api.good(ann, "GET", redirs(app)) == Json::array());
  CHECK(api.good(ann, "POST", redirs(app), of_default) ==
        Json({{"namespace", "default"}, {"port", 4000}}));
  CHECK(api.good(ann, "POST", redirs(app), of_default)["port"] == 4001);
  CHECK(
      api.good(ann, "GET", redirs(app)) ==
      Json::parse(R"([{"namespace":"default","port":4000},{"namespace":"default","port":4001}])"));
  CHECK(api.good(ann, "DELETE", redirs(app) + "/4000?namespace=default")["type"] == "success");
  CHECK(api.good(ann, "GET", redirs(app)).size() == 1);
  const auto again = api.call(ann, "DELETE", redirs(app) + "/4000?namespace=default");
  CHECK(again.status == 404);
  CHECK(message_of(again) == "the application has no TCP redirection of port 4000");
}

TEST_CASE("a port that was given back is kept for its application, and for nobody else") {
  AnApi api("tcp_quarantine", with_ports("4000-4005", "6"));
  const User ann = api.make_user("ann@example.org");
  const std::string shop = api.make_app(ann, "shop");
  const std::string blog = api.make_app(ann, "blog");
  for (int port = 4000; port <= 4002; ++port)
    CHECK(api.good(ann, "POST", redirs(shop), of_default)["port"] == port);
  api.good(ann, "DELETE", redirs(shop) + "/4000");
  api.good(ann, "DELETE", redirs(shop) + "/4001");
  for (int port = 4003; port <= 4005; ++port)
    CHECK(api.good(ann, "POST", redirs(blog), of_default)["port"] == port);
  const auto refused = api.call(ann, "POST", redirs(blog), of_default);
  CHECK(refused.status == 409);
  CHECK(message_of(refused) ==
        "all 6 ports of TCP redirections are taken; one that was given back is free again in 24 "
        "hours");
  // The one that it gave back last.
  CHECK(api.good(ann, "POST", redirs(shop), of_default)["port"] == 4001);
  api.database().query(
      "UPDATE tcp_redirections SET released_at = now() - interval '25 hours' WHERE port = 4000");
  CHECK(api.good(ann, "POST", redirs(blog), of_default)["port"] == 4000);
  CHECK(api.database().value("SELECT app_id FROM tcp_redirections WHERE port = 4000") == blog);
  CHECK(message_of(api.call(ann, "POST", redirs(blog), of_default)) ==
        "all 6 ports of TCP redirections are taken; whoever runs the platform can add some "
        "(setting tcp.ports)");
}

TEST_CASE("an application has no more ports than it may, and a deleted one has none") {
  AnApi api("tcp_bound", with_ports("4000-4005", "2"));
  const User ann = api.make_user("ann@example.org");
  const std::string app = api.make_app(ann, "shop");
  api.good(ann, "POST", redirs(app), of_default);
  api.good(ann, "POST", redirs(app), of_default);
  const auto refused = api.call(ann, "POST", redirs(app), of_default);
  CHECK(refused.status == 409);
  CHECK(message_of(refused) ==
        "the application has 2 TCP redirections, which is as many as one may have: remove one "
        "first");
  api.good(ann, "DELETE", "/v2/self/applications/" + app);
  CHECK(api.database().value("SELECT count(*) FROM tcp_redirections WHERE released_at IS NULL") ==
        "0");
}

TEST_CASE("what is wrong with a TCP redirection is said") {
  AnApi api("tcp_wrong", with_ports("4000-4005"));
  const User ann = api.make_user("ann@example.org");
  const User mallory = api.make_user("mallory@example.org");
  const std::string app = api.make_app(ann, "shop");
  const auto other = api.call(ann, "POST", redirs(app), R"({"namespace":"cleverapps"})");
  CHECK(other.status == 400);
  CHECK(message_of(other) == "there is no namespace \"cleverapps\": use \"default\"");
  for (const std::string port : {"x", "70000", "-1", "4000x"})
    CHECK(api.call(ann, "DELETE", redirs(app) + "/" + port).status == 400);
  api.good(ann, "POST", redirs(app), of_default);
  CHECK(api.call(mallory, "GET", redirs(app)).status == 404);
  CHECK(api.call(mallory, "POST", redirs(app), of_default).status == 404);
  CHECK(api.call(mallory, "DELETE", redirs(app) + "/4000").status == 404);
  // Nor by an application of her own.
  const std::string hers = api.make_app(mallory, "hers");
  CHECK(api.call(mallory, "DELETE", redirs(hers) + "/4000").status == 404);
  CHECK(api.good(ann, "GET", redirs(app)).size() == 1);
}

TEST_CASE("who asks at the same time gets different ports") {
  AnApi api("tcp_race", with_ports("4000-4019", "10"));
  const User ann = api.make_user("ann@example.org");
  const std::vector<std::string> apps{api.make_app(ann, "shop"), api.make_app(ann, "blog")};
  std::mutex mutex;
  std::multiset<int> given;
  int refused = 0;
  std::vector<std::thread> askers;
  for (std::size_t i = 0; i < 8; ++i)
    askers.emplace_back([&, i] {
      for (int n = 0; n < 3; ++n) {
        http::ClientRequest request{"POST", api.url() + redirs(apps.at(i % 2)), {}, of_default};
        request.headers.add("Authorization", ann.bearer());
        const auto answer = http::fetch_blocking(std::move(request));
        const std::lock_guard lock(mutex);
        if (answer && answer->status == 200)
          given.insert(Json::parse(answer->body)["port"].get<int>());
        else
          ++refused;
      }
    });
  for (auto& asker : askers) asker.join();
  // Twelve were asked for by each application, and ten are allowed.
  CHECK(given.size() == 20);
  CHECK(std::set<int>(given.begin(), given.end()).size() == 20);
  CHECK(refused == 4);
}

TEST_CASE("a platform without ports of TCP services says so") {
  AnApi api("tcp_none");
  const User ann = api.make_user("ann@example.org");
  const std::string app = api.make_app(ann, "shop");
  CHECK(api.good(ann, "GET", "/v2/self/namespaces") == Json::array());
  const auto refused = api.call(ann, "POST", redirs(app), of_default);
  CHECK(refused.status == 409);
  CHECK(message_of(refused) == "this platform has no TCP redirections (setting tcp.ports)");
}
