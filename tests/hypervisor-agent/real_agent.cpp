#include "real_agent.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sstream>
#include <thread>

#include "common/crypto/digest.hpp"
#include "common/http/client.hpp"
#include "common/wire/json.hpp"
#include "support/programs.hpp"

extern char** environ;

namespace karreg::test {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {
std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void shell(const std::string& command) {
  INFO(command);
  REQUIRE(std::system(command.c_str()) == 0);  // NOLINT: the commands are ours
}

std::string images_folder() {
  if (const char* folder = std::getenv("KARREG_TEST_IMAGES_DIR")) return folder;
  // As images/build has it.
  const char* home = std::getenv("HOME");
  if (::geteuid() == 0 || home == nullptr) return "/var/cache/karreg/images";
  return std::string(home) + "/.cache/karreg/images";
}

pid_t spawn(const std::vector<std::string>& words, const std::string& out, const std::string& err) {
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid > 0) return pid;
  const int flags = O_WRONLY | O_CREAT | O_APPEND;
  for (const auto& [path, standard] : {std::pair{&out, STDOUT_FILENO}, {&err, STDERR_FILENO}}) {
    const int file = ::open(path->c_str(), flags, 0600);
    if (file < 0 || ::dup2(file, standard) < 0) ::_exit(126);
  }
  std::vector<char*> argv;
  for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}
}  // namespace

void eventually(const std::string& what, const std::function<bool()>& holds,
                std::chrono::seconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) FAIL("not within the deadline: " << what);
    std::this_thread::sleep_for(20ms);
  }
}

std::optional<std::pair<int, std::string>> get(const std::string& address,
                                               const std::string& path) {
  http::ClientRequest request;
  request.url = "http://" + address + path;
  request.deadline = 10s;
  auto response = http::fetch_blocking(std::move(request));
  if (!response) return std::nullopt;
  return std::pair(response->status, response->body);
}

RealAgent::RealAgent()
    // Long on purpose: sockets must be reachable there too.
    : data_(folder_.path() + "/a-data-folder-with-a-rather-long-name"),
      images_(folder_.path() + "/images") {
  const std::string store = images_folder();
  const auto text = read(store + "/catalogue.json");
  if (text.empty())
    FAIL("there is no image catalogue in " << store << ": run `./dev images`, or set "
                                           << "KARREG_TEST_IMAGES_DIR to an image store");
  if (::access("/usr/bin/qemu-system-x86_64", X_OK) != 0)
    FAIL("there is no /usr/bin/qemu-system-x86_64: install qemu-system-x86");
  auto catalogue = wire::from_text<wire::Catalogue>(text, "catalogue.json");
  REQUIRE(catalogue);
  catalogue_ = *catalogue;
  fs::create_directories(images_ + "/blobs");
  for (const char* name : {"artifacts", "builds", "cache"})
    fs::create_directories(data_ + "/" + name);
  fs::copy_file(store + "/catalogue.json", images_ + "/catalogue.json");
  const auto& site = catalogue_.runtimes.at("static");
  for (const auto& digest :
       {catalogue_.kernel.digest, catalogue_.initrd.digest, catalogue_.scratch_run.digest,
        catalogue_.scratch_build.digest, site.run.digest, site.build.digest}) {
    std::error_code ec;
    const std::string to = images_ + "/blobs/" + digest;
    fs::create_hard_link(store + "/blobs/" + digest, to, ec);
    if (ec) shell("cp --sparse=always " + store + "/blobs/" + digest + " " + to);
  }
  write(folder_.path() + "/karreg.toml", "[data]\ndir = \"" + data_ +
                                             "\"\n[agent]\nimages_dir = \"" + images_ +
                                             "\"\naddress_prefix = \"127.66\"\n");
  desire({});
}

RealAgent::~RealAgent() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  const std::string command = program("karreg-agent") + " --config " + folder_.path() +
                              "/karreg.toml purge >/dev/null 2>&1";
  (void)!std::system(command.c_str());  // NOLINT
}

void RealAgent::start() {
  seen_ = printed().size();
  pid_ = spawn({program("karreg-agent"), "--config", folder_.path() + "/karreg.toml", "run",
                "--desired", folder_.path() + "/desired.json"},
               folder_.path() + "/out", folder_.path() + "/err");
  eventually("the first report", [&] { return printed().size() > seen_; }, 120s);
}

void RealAgent::kill() {
  REQUIRE(pid_ > 0);
  ::kill(pid_, SIGKILL);
  REQUIRE(::waitpid(pid_, nullptr, 0) == pid_);
  pid_ = -1;
}

void RealAgent::stop() {
  REQUIRE(pid_ > 0);
  ::kill(pid_, SIGTERM);
  int status = 0;
  eventually("the agent ends", [&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; });
  pid_ = -1;
  CHECK(status == 0);
}

std::string RealAgent::purge() {
  const std::string out = folder_.path() + "/purge";
  fs::remove(out);
  const pid_t pid =
      spawn({program("karreg-agent"), "--config", folder_.path() + "/karreg.toml", "purge"}, out,
            folder_.path() + "/err");
  int status = 0;
  eventually("the purge ends", [&] { return ::waitpid(pid, &status, WNOHANG) == pid; }, 60s);
  INFO(log());
  CHECK(status == 0);
  return read(out);
}

void RealAgent::desire(const std::vector<wire::VmSpec>& vms) {
  const std::string path = folder_.path() + "/desired.json";
  write(path + ".new", wire::to_text(wire::HostDesired{"host-1", ++generation_, vms}));
  fs::rename(path + ".new", path);
  if (pid_ > 0) ::kill(pid_, SIGHUP);
}

std::vector<std::string> RealAgent::printed() const {
  std::istringstream text(read(folder_.path() + "/out"));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

wire::HostReport RealAgent::report() const {
  const auto lines = printed();
  for (std::size_t i = lines.size(); i > seen_; --i) {
    const auto json = nlohmann::json::parse(lines[i - 1], nullptr, false);
    if (json.is_object() && json.contains("report")) return json["report"].get<wire::HostReport>();
  }
  return {};
}

std::optional<wire::VmStatus> RealAgent::status(const std::string& instance_id) const {
  for (const auto& vm : report().vms)
    if (vm.instance_id == instance_id) return vm;
  return std::nullopt;
}

wire::VmStatus RealAgent::wait_for(const std::string& instance_id, const std::string& what,
                                   const std::function<bool(const wire::VmStatus&)>& holds) const {
  const auto deadline = std::chrono::steady_clock::now() + 90s;
  for (;;) {
    auto now = status(instance_id);
    if (now && holds(*now)) return *now;
    if (std::chrono::steady_clock::now() > deadline)
      FAIL("not within 90 s: " << what << "\nlast status: "
                               << (now ? wire::to_text(*now) : std::string("none")) << "\n"
                               << log());
    std::this_thread::sleep_for(20ms);
  }
}

void RealAgent::wait_until_gone(const std::string& instance_id) const {
  INFO(log());
  eventually(instance_id + " is gone", [&] {
    const auto now = report();
    return now.generation == generation_ && !status(instance_id);
  });
}

std::vector<std::string> RealAgent::lines(const std::string& instance_id,
                                          const std::string& service) const {
  std::vector<std::string> result;
  for (const auto& line : printed()) {
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_object() || !json.contains("log")) continue;
    const auto batch = json["log"].get<wire::LogBatch>();
    if (batch.instance_id != instance_id || batch.service != service) continue;
    for (const auto& l : batch.lines)
      result.push_back((l.process.empty() ? "" : "[" + l.process + "] ") + l.text);
  }
  return result;
}

std::string RealAgent::artifact(const std::string& content) {
  const std::string tree = folder_.path() + "/tree";
  fs::remove_all(tree);
  write(tree + "/index.html", content);
  const std::string file = folder_.path() + "/artifact";
  fs::remove(file);
  shell("mkfs.erofs " + file + " " + tree + " >/dev/null 2>&1");
  const auto digest = crypto::sha256_file(file);
  REQUIRE(digest);
  fs::rename(file, data_ + "/artifacts/" + *digest);
  return *digest;
}

wire::VmSpec RealAgent::shell_app(const std::string& instance_id, const std::string& command) {
  wire::VmSpec spec = a_vm(instance_id);
  spec.kernel_digest = catalogue_.kernel.digest;
  spec.initrd_digest = catalogue_.initrd.digest;
  spec.image_digest = catalogue_.runtimes.at("static").run.digest;
  spec.scratch_digest = catalogue_.scratch_run.digest;
  spec.artifact_digest = artifact("hello from " + instance_id);
  spec.env = {{"PORT", "8080"}};
  spec.run.command = {"/bin/bash", "-c", command};
  spec.stop_grace_ms = 3000;
  return spec;
}

wire::VmSpec RealAgent::static_site(const std::string& instance_id) {
  auto spec = shell_app(instance_id, "");
  spec.run.command = {"/usr/lib/karreg/serve-static", "/app"};
  return spec;
}

wire::VmSpec RealAgent::job(const std::string& instance_id, const std::string& command) {
  auto spec = shell_app(instance_id, "");
  spec.kind = "job";
  spec.run = {};
  spec.job.command = command;
  return spec;
}

wire::VmSpec RealAgent::build(const std::string& instance_id,
                              std::vector<wire::guest::BuildStep> steps) {
  auto spec = shell_app(instance_id, "");
  spec.kind = "build";
  spec.build_id = "build_" + instance_id;
  spec.image_digest = catalogue_.runtimes.at("static").build.digest;
  spec.scratch_digest = catalogue_.scratch_build.digest;
  spec.artifact_digest.clear();
  spec.build.steps = std::move(steps);
  const std::string folder = build_folder(spec.build_id);
  write(folder_.path() + "/source/index.html", "<h1>source</h1>");
  fs::create_directories(folder);
  shell("tar -C " + folder_.path() + "/source -cf " + folder + "/source.tar index.html");
  shell("truncate -s 64M " + folder + "/output.img");
  const std::string cache = data_ + "/cache/" + spec.app_id + ".img";
  if (!fs::exists(cache))
    shell("cp --sparse=always " + images_folder() + "/blobs/" + catalogue_.cache_template.digest +
          " " + cache);
  return spec;
}

std::string RealAgent::build_folder(const std::string& build_id) const {
  return data_ + "/builds/" + build_id;
}

std::vector<pid_t> RealAgent::processes(const std::string& name) const {
  std::vector<pid_t> result;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string text = entry.path().filename();
    if (text.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string command = read(entry.path() / "cmdline");
    const std::string first = command.substr(0, command.find('\0'));
    if (first.substr(first.rfind('/') + 1).starts_with(name) &&
        command.find(folder_.path()) != std::string::npos)
      result.push_back(std::stoi(text));
  }
  return result;
}

std::vector<std::string> RealAgent::remains() const {
  std::vector<std::string> result;
  for (const char* part : {"/vms", "/s"}) {
    std::error_code ec;
    for (const auto& entry : fs::directory_iterator(state_dir() + part, ec))
      result.push_back(entry.path());
  }
  return result;
}

std::string RealAgent::log() const {
  return "agent's log:\n" + read(folder_.path() + "/err");
}

}  // namespace karreg::test
