#include "hypervisor-agent/files.hpp"

#include <sys/stat.h>

#include "common/wire/json.hpp"
#include "support.hpp"

using namespace karreg;
using namespace karreg::agent;
using Catch::Matchers::Contains;

TEST_CASE("the books tell started, ended and meaningless folders apart", "[agent]") {
  test::TempFolder folder;
  const auto settings = test::settings_in(folder.path());
  const auto put = [&](const std::string& id, const std::string& spec, const std::string& record) {
    const VmFiles files(settings, id);
    std::filesystem::create_directories(files.folder);
    if (!spec.empty()) test::write(files.spec(), spec);
    if (!record.empty()) test::write(files.record(), record);
  };
  put("running", wire::to_text(test::a_vm("running")), wire::to_text(Record{1, false, {}}));
  put("fresh", wire::to_text(test::a_vm("fresh")), "");
  put("over", wire::to_text(test::a_vm("over")), wire::to_text(Record{1, true, {}}));
  put("cut", "{\"instance_id\":", "");
  put("empty", "", "");
  put("other", wire::to_text(test::a_vm("somebody")), "");
  CHECK(read_books(settings) == std::map<std::string, Books>{{"running", Books::started},
                                                             {"fresh", Books::started},
                                                             {"over", Books::ended},
                                                             {"cut", Books::scraps},
                                                             {"empty", Books::scraps},
                                                             {"other", Books::scraps}});
}

TEST_CASE("without a folder there are no books", "[agent]") {
  test::TempFolder folder;
  CHECK(read_books(test::settings_in(folder.path())).empty());
}

TEST_CASE("a record comes back as it was written", "[agent]") {
  test::TempFolder folder;
  const VmFiles files(test::settings_in(folder.path()), "i");
  std::filesystem::create_directories(files.folder);
  Record record{1234, true, {}};
  record.status.phase = "failed";
  record.status.last_lines = {"a", "b"};
  record.status.stages.healthy_ms = 99;
  record.status.exit = {3, 0, false, "the command exited with 3", true};
  REQUIRE(write_atomically(files.record(), wire::to_text(record)));
  const auto back = read_record(files);
  REQUIRE(back);
  CHECK(wire::to_text(*back) == wire::to_text(record));
  CHECK(back->status.exit.exit_code == 3);
  CHECK(back->status.exit.timed_out);
}

TEST_CASE("sockets have short names, one set per instance", "[agent]") {
  const auto settings = test::settings_in("/data");
  const VmFiles a(settings, "instance_00000000-0000-4000-8000-000000000001");
  const VmFiles b(settings, "instance_00000000-0000-4000-8000-000000000002");
  CHECK(a.channel() != b.channel());
  CHECK(a.channel() != a.network());
  CHECK(a.channel().size() - settings.state_dir.size() <= 21);
}

TEST_CASE("removing a VM leaves nothing", "[agent]") {
  test::TempFolder folder;
  const auto settings = test::settings_in(folder.path());
  const VmFiles files(settings, "i");
  for (const auto& path : {files.spec(), files.record(), files.overlay(), files.console(),
                           files.channel(), files.network(), files.network_pid()})
    test::write(path, "x");
  remove_remains(files);
  CHECK(std::filesystem::exists(files.spec()));
  CHECK(std::filesystem::exists(files.record()));
  CHECK_FALSE(std::filesystem::exists(files.overlay()));
  CHECK_FALSE(std::filesystem::exists(files.channel()));
  remove_all(files);
  CHECK_FALSE(std::filesystem::exists(files.folder));
  CHECK(std::filesystem::is_empty(settings.state_dir + "/s"));
}

TEST_CASE("a console is bounded and its end can be read", "[agent]") {
  test::TempFolder folder;
  const std::string path = folder.path() + "/console.log";
  CHECK(read_tail(path, 10).empty());
  test::write(path, "Kernel panic\r\n - not syncing");
  CHECK(read_tail(path, 11) == "not syncing");
  CHECK(read_tail(path, 1000) == "Kernel panic\n - not syncing");
  bound_file(path, 1000);
  CHECK(std::filesystem::file_size(path) == 28);
  bound_file(path, 27);
  CHECK(std::filesystem::file_size(path) == 0);
}

TEST_CASE("a file that QEMU's user cannot read is named with the way out", "[agent]") {
  if (::geteuid() != 0) {
    WARN("only root runs QEMU as another user; run as root to check that");
    return;
  }
  test::TempFolder folder;
  const auto settings = test::settings_in(folder.path());
  const std::string closed = folder.path() + "/closed";
  test::write(closed + "/blob", "x");
  ::chmod((closed + "/blob").c_str(), 0644);
  ::chmod(closed.c_str(), 0700);
  const auto refused = check_readable_by_qemu(settings, closed + "/blob");
  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().message(), Contains("the user nobody, which VMs run as, cannot read"));
  CHECK_THAT(refused.error().message(), Contains("chmod o+x"));
  // The rights of this thread are its own again.
  CHECK(read_whole(closed + "/blob"));
  ::chmod(closed.c_str(), 0711);
  CHECK(check_readable_by_qemu(settings, closed + "/blob"));
  const auto missing = check_readable_by_qemu(settings, closed + "/other");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().kind() == ErrorKind::not_found);
}

TEST_CASE("a part that is not in the image store is named", "[agent]") {
  test::TempFolder folder;
  const auto settings = test::settings_in(folder.path());
  const auto absent = blob_path(settings, "0123456789abcdef", "kernel");
  REQUIRE_FALSE(absent);
  CHECK(absent.error().message() == "the kernel (0123456789ab) is not in the image store " +
                                        settings.images_dir + "; images/build makes it");
  CHECK_FALSE(blob_path(settings, "", "kernel"));
}
