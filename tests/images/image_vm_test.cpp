// Apps that are a root of their own, in real VMs: built by a user who has others, and run.
#include <algorithm>
#include <catch2/catch.hpp>

#include "images/workshop.hpp"

using namespace karreg::test;
using namespace std::chrono_literals;
using Mode = Disk::Mode;

namespace {

bool printed(const std::vector<std::string>& logs, const std::string& line) {
  return std::find(logs.begin(), logs.end(), line) != logs.end();
}

/// Makes a root out of the build image's own programs, with @p config as its image's.
std::string root_of(const std::string& config) {
  return R"sh(
root=/home/app/root
mkdir -p $root/.karreg $root/etc $root/srv
cp -a /bin /lib /lib64 $root/
# /bin/sh is dash.
cp -a --parents /usr/bin/{bash,sh,dash,cat,id,sleep,ls} /usr/lib64/ld-linux-x86-64.so.2 $root/
cp -aL --parents /usr/lib/x86_64-linux-gnu/{ld-linux-x86-64.so.2,libc.so.6,libtinfo.so.6,libselinux.so.1,libpcre2-8.so.0,libcap.so.2} $root/
echo 'root:x:0:0::/root:/bin/sh
web:x:101:102::/srv:/bin/sh' >$root/etc/passwd
echo 'web:x:102:
mail:x:8:web' >$root/etc/group
echo of the image >$root/srv/file
chown 101:102 $root/srv $root/srv/file
cat >$root/.karreg/image.json <<'END'
)sh" + config +
         R"sh(
END
tar -C $root --numeric-owner -cf /home/app/root.tar .
)sh";
}

}  // namespace

TEST_CASE("a step with users of its own makes a root, which is run as its image says") {
  const auto images = find_images();
  if (!images) return;
  Workshop workshop(*images, 512);
  workshop.add_source("file", "x");
  workshop.pack_source();
  const std::string& output = workshop.output;
  std::vector<std::string> logs;
  {
    GuestVm guest(*images, workshop.vm(*images, "static"));
    guest.attach();
    auto config = a_build(
        {{"before", "echo before $(id -u)"},
         {"image",
          "echo within $(id -u) $(id -g); touch /home/app/other; chown 5:6 /home/app/other; "
          "stat -c 'owner %u %g' /home/app/other; touch /usr/x 2>/dev/null || echo no real root; " +
              root_of(
                  R"({"User":"web","Env":["PATH=/usr/bin:/bin","GREETING=image","LESS=image"],)"
                  R"("WorkingDir":"/srv","Entrypoint":["/bin/bash","-c"],"Cmd":[)"
                  R"("echo $(id -u) $(id -g) $(id -G) $PWD $HOME $GREETING $LESS $PORT $(cat file); )"
                  R"(trap 'echo asked to quit; exit 0' QUIT; while :; do sleep 1; done"],)"
                  R"("StopSignal":"SIGQUIT"})"),
          true},
         {"after", "echo after $(id -u)"}});
    config.build.output_root = "/home/app/root.tar";
    guest.send(config);
    const auto result = guest.expect<msg::BuildResult>(400s);
    logs = guest.logs();
    for (const auto& line : logs) UNSCOPED_INFO(line);
    REQUIRE(result.reason == "");
    REQUIRE(result.ok);
    guest.expect_end(90s);
  }
  CHECK(printed(logs, "build: before 1000"));
  CHECK(printed(logs, "build: within 0 0"));
  CHECK(printed(logs, "build: owner 5 6"));
  CHECK(printed(logs, "build: no real root"));
  CHECK(printed(logs, "build: after 1000"));

  const GuestVm::Options disks{
      {{"image", images->blob(images->runtime("static").run), Mode::read_only},
       {"scratch", images->blob(images->catalogue.scratch_run), Mode::snapshot},
       {"artifact", output, Mode::read_only}},
      256};
  {
    GuestVm vm(*images, disks);
    vm.attach();
    auto config = a_run({msg::image_start});
    config.env = {{"GREETING", "owner"}};
    config.run.pre_run = "echo hook as $(id -u) in $PWD";
    config.run.workers = {{"mail", "echo worker as $(id -u) in $PWD"}};
    vm.send(config);
    vm.expect_log("101 102 102 8 /srv /srv owner image 8080 of the image", 90s);
    vm.expect_log("hook as 101 in /srv", 20s);
    vm.expect_log("worker as 101 in /srv", 20s);
    vm.send(msg::Stop{20'000});
    CHECK(vm.expect<msg::Exit>(30s).exit_code == 0);
    vm.expect_end(20s);
    CHECK(printed(vm.logs(), "out: asked to quit"));
  }
  GuestVm job(*images, disks);
  job.attach();
  job.send(a_job("cat file; echo $(id -un); ls -d /app 2>/dev/null || echo no app folder"));
  CHECK(job.expect<msg::Exit>(90s).exit_code == 0);
  job.expect_end(20s);
  for (const std::string line : {"of the image", "web", "no app folder"}) {
    INFO(line);
    CHECK(printed(job.logs(), "out: " + line));
  }
}

TEST_CASE("a Dockerfile is built in a VM, by users of its own, and the image is run") {
  const auto images = find_images();
  if (!images) return;
  if (!images->catalogue.runtimes.contains("oci")) {
    WARN("skipped: the image store has no runtime oci; `images/build add oci` makes it");
    return;
  }
  Workshop workshop(*images);
  workshop.add_source("Dockerfile", R"df(FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
ARG WORD=none
ARG NOT_SET=kept
RUN mkdir -p /srv/www /etc && echo 'web:x:101:102::/srv:/bin/sh' > /etc/passwd && chown 101:102 /srv/www
RUN echo "built with $WORD $NOT_SET by $(id -u)" > /srv/www/index.html
ENV GREETING=image
WORKDIR /srv/www
USER web
CMD echo "$(id -u) $PWD $GREETING $(stat -c %u .)"; exec httpd -f -p $PORT
)df");
  shell("cp /usr/bin/busybox " + (workshop.folder.path / "tree/busybox").string());
  workshop.pack_source();
  auto config =
      a_build({{"image", "/usr/lib/karreg/build-image Dockerfile /home/app/image.tar", true}});
  config.build.output_root = "/home/app/image.tar";
  config.env = {{"WORD", "of the app"}, {"SECRET", "not asked for"}};
  std::vector<std::string> logs;
  const auto result = workshop.build(*images, "oci", config, &logs, 1024);
  for (const auto& line : logs) UNSCOPED_INFO(line);
  REQUIRE(result.reason == "");

  GuestVm vm(*images, {{{"image", images->blob(images->runtime("oci").run), Mode::read_only},
                        {"scratch", images->blob(images->catalogue.scratch_run), Mode::snapshot},
                        {"artifact", workshop.output, Mode::read_only}},
                       256});
  vm.attach();
  vm.send(a_run({msg::image_start}));
  vm.expect_phase("listening", 90s);
  vm.expect_log("101 /srv/www image 101", 30s);
  CHECK(vm.get("/", 30s).find("built with of the app kept by 0") != std::string::npos);
}
