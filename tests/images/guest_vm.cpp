#include "images/guest_vm.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <thread>
#include <tuple>

#include "images/initrd.hpp"
#include "support/programs.hpp"

namespace karreg::test {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

std::string whole(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// As the agent gives it under software emulation (docs/images.md).
constexpr const char* kernel_command_line =
    "console=ttyS0 quiet loglevel=4 panic=-1 reboot=t mitigations=off random.trust_cpu=on "
    "no_timer_check noreplace-smp nolapic_timer";

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int open_socket(int family) {
  const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw std::runtime_error("no socket");
  return fd;
}

/// A port that is free now; QEMU binds it itself.
int free_port() {
  const int probe = open_socket(AF_INET);
  auto address = loopback(0);
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(probe, generic, length) != 0 || ::getsockname(probe, generic, &length) != 0)
    throw std::runtime_error("no free port");
  ::close(probe);
  return ntohs(address.sin_port);
}

int milliseconds_until(Clock::time_point until) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
  return left < 0 ? 0 : static_cast<int>(left);
}

/// As images/build has it.
fs::path cache_folder() {
  if (const char* cache = std::getenv("KARREG_CACHE_DIR")) return cache;
  const char* home = std::getenv("HOME");
  if (::geteuid() == 0 || home == nullptr) return "/var/cache/karreg";
  return fs::path(home) / ".cache/karreg";
}

fs::path images_folder() {
  if (const char* folder = std::getenv("KARREG_IMAGES_DIR")) return folder;
  return cache_folder() / "images";
}

std::optional<Images> images_in(const fs::path& folder) {
  auto catalogue = nlohmann::json::parse(whole(folder / "catalogue.json"), nullptr, false);
  if (catalogue.is_discarded()) return std::nullopt;
  return Images{catalogue.get<wire::Catalogue>(), folder};
}

}  // namespace

std::optional<Images> find_images() {
  const fs::path folder = images_folder();
  auto images = images_in(folder);
  if (!images)
    std::cout << "SKIPPED: no image catalogue in " << folder.string()
              << "; make it with images/build\n";
  return images;
}

std::optional<Images> find_stock_images() {
  const fs::path folder = cache_folder() / "images-stock";
  auto images = images_in(folder);
  if (!images)
    WARN("skipped: there is no image store with Debian's kernel in "
         << folder.string() << "; make_stock_images in dev.d/images.sh makes it");
  return images;
}

Folder::Folder() {
  std::string name = fs::temp_directory_path() / "karreg-guest-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
  path = name;
}

Folder::~Folder() {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

std::string Folder::write(const std::string& name, const std::string& content) const {
  fs::create_directories((path / name).parent_path());
  std::ofstream(path / name, std::ios::binary) << content;
  return path / name;
}

void shell(const std::string& command) {
  if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

GuestVm::GuestVm(const Images& images, const Options& options) : port_(free_port()) {
  start(images, options);
}

GuestVm::~GuestVm() {
  detach();
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
}

void GuestVm::start(const Images& images, const Options& options) {
  // The store's initrd has the modules of its kernel, if it needs any; of two files of one name the
  // later counts.
  const std::string initrd = folder_.write("initrd", whole(images.blob(images.catalogue.initrd)) +
                                                         initrd_of(whole(program("karreg-init"))));
  const std::string dir = folder_.path;
  std::vector<std::string> argv = {
      "qemu-system-x86_64",
      "-nodefaults",
      "-no-user-config",
      "-no-reboot",
      "-display",
      "none",
      "-machine",
      "pc,accel=tcg",
      "-m",
      std::to_string(options.memory_mb),
      "-kernel",
      images.blob(images.catalogue.kernel),
      "-initrd",
      initrd,
      "-append",
      kernel_command_line,
      "-serial",
      "file:" + dir + "/console",
      "-device",
      "virtio-rng-pci",
      "-device",
      "virtio-serial-pci",
      "-chardev",
      "socket,id=agent,server=on,wait=off,path=" + dir + "/agent",
      "-device",
      std::string("virtserialport,chardev=agent,name=") + msg::port_name,
      "-netdev",
      "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:" + std::to_string(port_) + "-10.0.2.15:8080",
      "-device",
      "virtio-net-pci,netdev=net,romfile=",
  };
  for (const auto& disk : options.disks) {
    std::string drive =
        "if=none,id=" + disk.serial + ",format=" + disk.format + ",file=" + disk.path;
    if (disk.mode == Disk::Mode::read_only) drive += ",readonly=on";
    if (disk.mode == Disk::Mode::snapshot) drive += ",snapshot=on";
    argv.insert(argv.end(), {"-drive", drive, "-device",
                             "virtio-blk-pci,drive=" + disk.serial + ",serial=" + disk.serial});
  }
  std::vector<char*> words;
  words.reserve(argv.size() + 1);
  for (auto& word : argv) words.push_back(word.data());
  words.push_back(nullptr);
  const std::string errors = dir + "/qemu.log";
  pid_ = ::fork();
  if (pid_ == 0) {
    const int log = ::open(errors.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (log >= 0) {
      ::dup2(log, STDOUT_FILENO);
      ::dup2(log, STDERR_FILENO);
    }
    ::execvp(words[0], words.data());
    ::_exit(127);
  }
  if (pid_ < 0) throw std::runtime_error("fork");
}

void GuestVm::give_up(const std::string& why) const {
  std::string text =
      why + "\nconsole: " + console() + "\nqemu: " + whole(folder_.path / "qemu.log");
  for (const auto& line : logs()) text += "\nlog: " + line;
  throw std::runtime_error(text);
}

void GuestVm::attach() {
  detach();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = folder_.path / "agent";
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  const auto until = Clock::now() + 20s;
  for (;;) {
    socket_ = open_socket(AF_UNIX);
    if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) break;
    ::close(socket_);
    socket_ = -1;
    if (Clock::now() > until) give_up("QEMU does not open the channel");
    std::this_thread::sleep_for(10ms);
  }
  in_.clear();
  send(msg::Attach{});
}

void GuestVm::detach() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

void GuestVm::send_line(const std::string& line) {
  const std::string bytes = line + "\n";
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t n = ::send(socket_, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
    if (n <= 0) give_up("the channel broke");
    at += static_cast<std::size_t>(n);
  }
}

msg::FromGuest GuestVm::receive(Seconds limit) {
  const auto until = Clock::now() + limit;
  for (;;) {
    if (auto message = next_message()) return *message;
    if (!read_more(until)) give_up("the VM ended");
  }
}

bool GuestVm::read_more(Clock::time_point until) {
  if (in_.size() > msg::max_line_bytes) give_up("a line over the bound");
  pollfd ready{socket_, POLLIN, 0};
  if (::poll(&ready, 1, milliseconds_until(until)) <= 0) give_up("nothing in time");
  char buffer[64UL * 1024];
  const ssize_t n = ::read(socket_, buffer, sizeof buffer);
  if (n <= 0) return false;
  in_.append(buffer, static_cast<std::size_t>(n));
  return true;
}

std::optional<msg::FromGuest> GuestVm::next_message() {
  for (;;) {
    const auto newline = in_.find('\n');
    if (newline == std::string::npos) return std::nullopt;
    const std::string line = in_.substr(0, newline);
    in_.erase(0, newline + 1);
    auto message = msg::decode<msg::FromGuest>(line);
    if (!message) continue;
    if (const auto* log = std::get_if<msg::Log>(&*message)) {
      batches_.push_back(*log);
      // The guest may have ended by now.
      const std::string ack = msg::encode(msg::LogAck{log->seq}) + "\n";
      if (acknowledges) std::ignore = ::send(socket_, ack.data(), ack.size(), MSG_NOSIGNAL);
    }
    return message;
  }
}

msg::State GuestVm::expect_phase(const std::string& phase, Seconds limit) {
  return expect<msg::State>(limit, [&](const msg::State& s) { return s.phase == phase; });
}

void GuestVm::expect_log(const std::string& text, Seconds limit) {
  const auto until = Clock::now() + limit;
  for (;;) {
    for (const auto& line : logs())
      if (line.find(text) != std::string::npos) return;
    if (Clock::now() >= until) give_up("no log line with " + text);
    receive(std::chrono::ceil<Seconds>(until - Clock::now()));
  }
}

void GuestVm::expect_end(Seconds limit) {
  const auto until = Clock::now() + limit;
  // An agent goes on acknowledging logs: the guest waits for that.
  do {
    while (next_message()) continue;
  } while (read_more(until));
  int status = 0;
  while (::waitpid(pid_, &status, WNOHANG) == 0) {
    if (Clock::now() > until) give_up("the VM does not end");
    std::this_thread::sleep_for(10ms);
  }
  pid_ = -1;
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) give_up("QEMU failed");
}

std::string GuestVm::get(const std::string& target, Seconds limit) const {
  const int client = open_socket(AF_INET);
  const auto address = loopback(port_);
  const std::string request = "GET " + target + " HTTP/1.0\r\nHost: test\r\n\r\n";
  std::string answer;
  if (::connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::send(client, request.data(), request.size(), MSG_NOSIGNAL) > 0) {
    const auto until = Clock::now() + limit;
    pollfd ready{client, POLLIN, 0};
    char buffer[16UL * 1024];
    while (::poll(&ready, 1, milliseconds_until(until)) > 0) {
      const ssize_t n = ::read(client, buffer, sizeof buffer);
      if (n <= 0) break;
      answer.append(buffer, static_cast<std::size_t>(n));
    }
  }
  ::close(client);
  return answer;
}

std::vector<std::string> GuestVm::logs() const {
  std::vector<std::string> lines;
  for (const auto& batch : batches_)
    for (const auto& line : batch.lines)
      lines.push_back(line.stream + (line.process.empty() ? "" : " (" + line.process + ")") + ": " +
                      line.text);
  return lines;
}

std::string GuestVm::console() const {
  return whole(folder_.path / "console");
}

namespace {
msg::Config a_config(const std::string& kind) {
  msg::Config config;
  config.instance_id = "instance-1";
  config.hostname = "app-1";
  config.kind = kind;
  config.time_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  config.network = {"10.0.2.15", 24, "10.0.2.2", {"10.0.2.3"}};
  return config;
}
}  // namespace

msg::Config a_run(std::vector<std::string> command) {
  auto config = a_config("run");
  config.run.command = std::move(command);
  return config;
}

msg::Config a_job(const std::string& command) {
  auto config = a_config("job");
  config.job.command = command;
  return config;
}

msg::Config a_build(std::vector<msg::BuildStep> steps) {
  auto config = a_config("build");
  config.build.steps = std::move(steps);
  config.build.wall_ms = 120'000;
  return config;
}

GuestVm::Options run_vm(const Images& images, const std::string& runtime,
                        const std::string& artifact) {
  using Mode = Disk::Mode;
  return {{{"image", images.blob(images.runtime(runtime).run), Mode::read_only},
           {"scratch", images.blob(images.catalogue.scratch_run), Mode::snapshot},
           {"artifact", artifact, Mode::read_only}}};
}

std::string packed(const Folder& to, const fs::path& folder) {
  const std::string image = to.path / "artifact.erofs";
  shell("mkfs.erofs --quiet --force-uid=1000 --force-gid=1000 " + image + " " + folder.string());
  return image;
}

}  // namespace karreg::test
