// What VMs boot from comes to hosts that share nothing with the builder: the builder's real server
// and the agent's real client, with connections that break between them.
#include "hypervisor-agent/store.hpp"

#include <catch2/catch.hpp>
#include <random>

#include "builder/store_server.hpp"
#include "common/crypto/digest.hpp"
#include "common/http/client.hpp"
#include "hypervisor-agent/files.hpp"
#include "support/scratch.hpp"
#include "support/short_relay.hpp"

using namespace karreg;
using namespace karreg::agent;
using namespace karreg::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;
using Catch::Matchers::Contains;

namespace {

constexpr std::uint64_t mebibyte = 1024UL * 1024;
const std::string token = "0123456789abcdef0123456789abcdef";

/// @p bytes that no two calls give alike.
std::string noise(std::size_t bytes) {
  static std::mt19937_64 random(20'250'101);
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

/// A builder that serves its folders, and another host.
struct TwoHosts {
  ScratchFolder scratch;
  std::unique_ptr<builder::StoreServer> server;
  std::unique_ptr<ShortRelay> relay;
  Settings settings;

  TwoHosts() {
    builder::Options options;
    options.data = scratch / "data";
    options.images = scratch / "images";
    options.store_listen = Endpoint{"127.0.0.1", 0};
    options.store_token = token;
    auto started = builder::StoreServer::start(options);
    REQUIRE(started);
    server = std::move(*started);
    relay = std::make_unique<ShortRelay>(server->port());
    settings.data_dir = (scratch / "other").string();
    settings.state_dir = settings.data_dir + "/agent";
    settings.images_dir = settings.data_dir + "/images";
    settings.store_url = "http://127.0.0.1:" + std::to_string(relay->port());
    settings.store_token = token;
    fs::create_directories(settings.state_dir + "/fetched");
  }
  /// In the builder's folders; its digest.
  std::string artifact(const std::string& bytes) const { return put("data/artifacts/", bytes); }
  std::string blob(const std::string& bytes) const { return put("images/blobs/", bytes); }
  std::string put(const std::string& folder, const std::string& bytes) const {
    const std::string digest = crypto::sha256_hex(bytes);
    write_file(scratch.path() / folder / digest, bytes);
    return digest;
  }
  fs::path fetched(const std::string& digest) const { return fetched_path(settings, digest); }
  fs::path part(const std::string& digest) const { return fetched(digest).string() + ".part"; }

  Result<void> fetch_artifact(const std::string& digest) const {
    Transfer transfer{"artifact", "/artifacts/" + digest, digest};
    return fetch(settings, transfer);
  }
  http::Response ask(const std::string& path, http::Headers headers,
                     const std::string& method = "GET") const {
    http::ClientRequest request{method, "http://127.0.0.1:" + std::to_string(server->port()) + path,
                                std::move(headers), ""};
    auto response = http::fetch_blocking(std::move(request));
    REQUIRE(response);
    return *response;
  }
  http::Response ask(const std::string& path) const {
    return ask(path, {{"Authorization", "Bearer " + token}});
  }
};

ErrorKind kind_of(const Result<void>& result) {
  REQUIRE_FALSE(result);
  return result.error().kind();
}

/// Runs @p task to its end, at most a minute.
template <class Task>
void run_on(asio::io_context& io, Task task) {
  bool done = false;
  asio::co_spawn(io, std::move(task), [&](const std::exception_ptr& failure) {
    done = true;
    if (failure) std::rethrow_exception(failure);
  });
  io.run_for(60s);
  REQUIRE(done);
}

}  // namespace

TEST_CASE("an artifact is fetched whole, and kept under its digest") {
  const TwoHosts hosts;
  const std::string bytes = noise(3 * mebibyte + 17);
  const std::string digest = hosts.artifact(bytes);
  REQUIRE(hosts.fetch_artifact(digest));
  CHECK(read_file(hosts.fetched(digest)) == bytes);
  CHECK_FALSE(fs::exists(hosts.part(digest)));
  CHECK(artifact_path(hosts.settings, digest) == hosts.fetched(digest));
}

TEST_CASE("a transfer that was cut goes on where it was") {
  const TwoHosts hosts;
  const std::string bytes = noise(4 * mebibyte);
  const std::string digest = hosts.artifact(bytes);
  hosts.relay->break_after(mebibyte, 1);
  CHECK(kind_of(hosts.fetch_artifact(digest)) == ErrorKind::unavailable);
  CHECK_FALSE(fs::exists(hosts.fetched(digest)));
  const auto here = fs::file_size(hosts.part(digest));
  CHECK(here > mebibyte / 2);
  CHECK(here < mebibyte);
  const auto before = hosts.relay->forwarded();
  REQUIRE(hosts.fetch_artifact(digest));
  CHECK(read_file(hosts.fetched(digest)) == bytes);
  // The rest, and what frames it.
  CHECK(hosts.relay->forwarded() - before < bytes.size() - here + mebibyte / 8);
}

TEST_CASE("what an earlier transfer left and is of no use is fetched anew") {
  const TwoHosts hosts;
  const std::string bytes = noise(mebibyte);
  const std::string digest = hosts.artifact(bytes);
  const auto leave = [&](const std::string& left) { write_file(hosts.part(digest), left); };
  SECTION("other bytes") {
    leave(noise(1000));
  }
  SECTION("more than there are") {
    leave(noise(2 * mebibyte));
  }
  CHECK(kind_of(hosts.fetch_artifact(digest)) == ErrorKind::unavailable);
  CHECK_FALSE(fs::exists(hosts.part(digest)));
  REQUIRE(hosts.fetch_artifact(digest));
  CHECK(read_file(hosts.fetched(digest)) == bytes);
}

TEST_CASE("a transfer that was whole and had no name yet gets it") {
  const TwoHosts hosts;
  const std::string bytes = noise(mebibyte);
  const std::string digest = hosts.artifact(bytes);
  write_file(hosts.part(digest), bytes);
  REQUIRE(hosts.fetch_artifact(digest));
  CHECK(read_file(hosts.fetched(digest)) == bytes);
}

TEST_CASE("bytes that are not those of the digest are not kept") {
  const TwoHosts hosts;
  const std::string digest = hosts.artifact(noise(mebibyte));
  write_file(hosts.scratch.path() / "data/artifacts" / digest, noise(mebibyte));
  const auto refused = hosts.fetch_artifact(digest);
  CHECK(kind_of(refused) == ErrorKind::internal);
  CHECK_THAT(refused.error().message(), Contains("gave other bytes for the artifact"));
  CHECK_FALSE(fs::exists(hosts.fetched(digest)));
  CHECK_FALSE(fs::exists(hosts.part(digest)));
}

TEST_CASE("a store that does not know the token or the artifact says so") {
  TwoHosts hosts;
  const std::string digest = hosts.artifact("x");
  CHECK(kind_of(hosts.fetch_artifact(crypto::sha256_hex("nobody made it"))) ==
        ErrorKind::not_found);
  hosts.settings.store_token = "another token, as long as the right one";
  const auto refused = hosts.fetch_artifact(digest);
  CHECK(kind_of(refused) == ErrorKind::forbidden);
  CHECK_THAT(refused.error().message(), Contains("agent.store_token_file"));
}

TEST_CASE("the server gives files by digest to whoever has the token, and nothing else") {
  const TwoHosts hosts;
  write_file(hosts.scratch / "images/catalogue.json", "{}");
  write_file(hosts.scratch / "data/secret.key", "secret");
  const std::string digest = hosts.blob("0123456789");
  const std::string path = "/blobs/" + digest;
  CHECK(hosts.ask("/catalogue.json").body == "{}");
  CHECK(hosts.ask(path).body == "0123456789");
  const auto part = [&](const std::string& range) {
    return hosts.ask(path, {{"Authorization", "Bearer " + token}, {"Range", range}});
  };
  const auto rest = part("bytes=4-");
  CHECK(rest.status == 206);
  CHECK(rest.body == "456789");
  CHECK(rest.headers.get("Content-Range") == "bytes 4-9/10");
  CHECK(part("bytes=2-3").body == "23");
  CHECK(part("bytes=10-").status == 416);
  CHECK(part("bytes=10-").headers.get("Content-Range") == "bytes */10");
  CHECK(hosts.ask(path, {}).status == 401);
  CHECK(hosts.ask(path, {{"Authorization", "Bearer 0"}}).status == 401);
  CHECK(hosts.ask(path, {{"Authorization", "Bearer " + token}}, "DELETE").status == 405);
  for (const std::string& other : std::vector<std::string>{
           "/", "/blobs/", "/artifacts/" + digest, "/blobs/../../data/secret.key",
           "/blobs/%2e%2e%2fcatalogue.json", "/data/secret.key", "/blobs/" + digest + "0",
           "/blobs/" + digest.substr(1), "/blobs/" + std::string(64, 'G')})
    CHECK(hosts.ask(other).status == 404);
}

TEST_CASE("two VMs of one app fetch it once, and the owner is told how far it is") {
  const TwoHosts hosts;
  wire::VmSpec spec;
  spec.kernel_digest = hosts.blob(noise(1000));
  spec.initrd_digest = hosts.blob(noise(1001));
  spec.scratch_digest = hosts.blob(noise(1002));
  spec.image_digest = hosts.blob(noise(5 * mebibyte));
  spec.artifact_digest = hosts.artifact(noise(2 * mebibyte));
  asio::io_context io(1);
  SealedFiles sealed;
  Store store(hosts.settings, io.get_executor(), sealed);
  std::set<std::string> told;
  const auto tell = [&](const std::string& text) { told.insert(text.substr(0, text.find(':'))); };
  hosts.relay->break_after(mebibyte, 4);
  int brought = 0;
  // NOLINTNEXTLINE(cppcoreguidelines-avoid-capturing-lambda-coroutines): kept until it is done
  const auto vm = [&]() -> awaitable<void> {
    auto result = co_await store.bring(spec, std::chrono::steady_clock::now() + 50s, tell,
                                       [] { return true; });
    if (!result) WARN(result.error().message());
    brought += result ? 1 : 0;
    if (brought == 2) co_await store.stop();
  };
  asio::co_spawn(io, vm(), asio::detached);
  run_on(io, vm());
  CHECK(brought == 2);
  for (const auto& digest : {spec.kernel_digest, spec.initrd_digest, spec.scratch_digest,
                             spec.image_digest, spec.artifact_digest})
    CHECK(fs::exists(hosts.fetched(digest)));
  // Five files, of which the fourth was cut: the first three are shorter than what breaks.
  CHECK(hosts.relay->connections() == 6);
  CHECK(told.contains("fetching the runtime image " + spec.image_digest.substr(0, 12)));
  CHECK(told.contains("fetching the artifact " + spec.artifact_digest.substr(0, 12)));
}

TEST_CASE("what lost a byte after it was fetched is fetched anew") {
  const TwoHosts hosts;
  wire::VmSpec spec;
  spec.kernel_digest = spec.initrd_digest = spec.scratch_digest = spec.image_digest =
      hosts.blob("y");
  const std::string bytes = noise(mebibyte);
  spec.artifact_digest = hosts.artifact(bytes);
  REQUIRE(hosts.fetch_artifact(spec.artifact_digest));
  std::string damaged = bytes;
  damaged[1000] = static_cast<char>(damaged[1000] + 1);
  write_file(hosts.fetched(spec.artifact_digest), damaged);
  write_file(hosts.fetched(spec.kernel_digest), "z");
  asio::io_context io(1);
  SealedFiles sealed;
  Store store(hosts.settings, io.get_executor(), sealed);
  Result<void> result = ok();
  // NOLINTNEXTLINE(cppcoreguidelines-avoid-capturing-lambda-coroutines): kept until it is done
  const auto vm = [&]() -> awaitable<void> {
    result = co_await store.bring(
        spec, std::chrono::steady_clock::now() + 50s, [](const std::string&) {},
        [] { return true; });
    co_await store.stop();
  };
  run_on(io, vm());
  CHECK(result);
  CHECK(read_file(hosts.fetched(spec.artifact_digest)) == bytes);
  CHECK(read_file(hosts.fetched(spec.kernel_digest)) == "y");
}

TEST_CASE("a VM that is told to stop, or whose time is over, waits no longer") {
  TwoHosts hosts;
  wire::VmSpec spec;
  spec.artifact_digest = hosts.artifact("x");
  spec.kernel_digest = spec.initrd_digest = spec.scratch_digest = spec.image_digest =
      hosts.blob("y");
  hosts.server.reset();  // the builder is away
  asio::io_context io(1);
  SealedFiles sealed;
  Store store(hosts.settings, io.get_executor(), sealed);
  Result<void> result = ok();
  bool wanted = true;
  auto deadline = std::chrono::steady_clock::now() + 50s;
  // NOLINTNEXTLINE(cppcoreguidelines-avoid-capturing-lambda-coroutines): kept until it is done
  const auto vm = [&]() -> awaitable<void> {
    result =
        co_await store.bring(spec, deadline, [](const std::string&) {}, [&] { return wanted; });
    co_await store.stop();
  };
  SECTION("told to stop") {
    wanted = false;
    run_on(io, vm());
    CHECK(kind_of(result) == ErrorKind::unavailable);
  }
  SECTION("over") {
    deadline = std::chrono::steady_clock::now() + 1s;
    run_on(io, vm());
    CHECK(kind_of(result) == ErrorKind::timeout);
    CHECK_THAT(result.error().message(), Contains("when the time to start was over (no answer"));
  }
}

TEST_CASE("what no VM boots from makes room, the oldest first") {
  TwoHosts hosts;
  hosts.settings.store_keep_mb = 3;
  std::vector<std::string> digests;
  for (int i = 0; i < 4; ++i) {
    digests.push_back(hosts.artifact(noise(mebibyte)));
    REQUIRE(hosts.fetch_artifact(digests.back()));
    fs::last_write_time(hosts.fetched(digests.back()),
                        fs::file_time_type::clock::now() - std::chrono::hours(10 - i));
  }
  const std::string young(64, 'a');
  const std::string old(64, 'b');
  for (const auto& digest : {young, old}) write_file(hosts.part(digest), "a beginning");
  fs::last_write_time(hosts.part(old), fs::file_time_type::clock::now() - 25h);
  asio::io_context io(1);
  SealedFiles sealed;
  Store store(hosts.settings, io.get_executor(), sealed);
  store.sweep({digests[0]});
  CHECK(fs::exists(hosts.fetched(digests[0])));
  CHECK_FALSE(fs::exists(hosts.fetched(digests[1])));
  CHECK(fs::exists(hosts.fetched(digests[2])));
  CHECK(fs::exists(hosts.fetched(digests[3])));
  CHECK(fs::exists(hosts.part(young)));
  CHECK_FALSE(fs::exists(hosts.part(old)));
}

TEST_CASE("a host without images of its own probes with those of the store") {
  const TwoHosts hosts;
  const std::string kernel = hosts.blob("a kernel");
  const std::string initrd = hosts.blob("an initrd");
  const std::string text =
      R"({"kernel":{"digest":")" + kernel + R"("},"initrd":{"digest":")" + initrd + R"("}})";
  write_file(hosts.scratch / "images/catalogue.json", text);
  auto catalogue = catalogue_for_probe(hosts.settings);
  REQUIRE(catalogue);
  CHECK(*catalogue == text);
  CHECK(blob_path(hosts.settings, kernel, "kernel").value() == hosts.fetched(kernel).string());
  CHECK(blob_path(hosts.settings, initrd, "initrd").value() == hosts.fetched(initrd).string());
}

TEST_CASE("a host that was set up before starts while the builder is away") {
  TwoHosts hosts;
  write_file(hosts.scratch / "images/catalogue.json", R"({"kernel":{"digest":")" + hosts.blob("k") +
                                                          R"("},"initrd":{"digest":")" +
                                                          hosts.blob("i") + R"("}})");
  const auto before = catalogue_for_probe(hosts.settings);
  REQUIRE(before);
  hosts.server.reset();
  const auto after = catalogue_for_probe(hosts.settings);
  REQUIRE(after);
  CHECK(*after == *before);
}
