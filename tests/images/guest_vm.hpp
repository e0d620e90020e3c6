#pragma once
/// A VM of our own kernel and karreg-init under plain QEMU (software emulation), and the agent's
/// side of its channel, for tests. Blocking, one thread; every wait has a deadline.

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/wire/catalogue.hpp"
#include "common/wire/guest.hpp"

namespace karreg::test {

namespace msg = wire::guest;
using Seconds = std::chrono::seconds;

/// The image store of this machine ($KARREG_IMAGES_DIR, else the usual cache folder).
struct Images {
  wire::Catalogue catalogue;
  std::filesystem::path folder;

  std::string blob(const wire::Blob& blob) const { return folder / "blobs" / blob.digest; }
  const wire::Runtime& runtime(const std::string& name) const {
    return catalogue.runtimes.at(name);
  }
};

/// Nothing, after a line "SKIPPED: why" for CTest, when there are no images.
std::optional<Images> find_images();
/// The store beside it that has Debian's kernel (make_stock_images in dev.d/images.sh); nothing,
/// and the test skipped, when there is none.
std::optional<Images> find_stock_images();

/// A temporary folder that goes away with the object.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::filesystem::path path;
  /// Writes a file, with the folders above it.
  std::string write(const std::string& name, const std::string& content) const;
};

/// Runs a command to its end; throws when it fails.
void shell(const std::string& command);

struct Disk {
  std::string serial;
  std::string path;
  enum class Mode { read_only, snapshot, writable } mode = Mode::read_only;
  std::string format = "raw";
};

/// One running VM. Killed, if need be, with the object.
class GuestVm {
 public:
  struct Options {
    std::vector<Disk> disks;
    int memory_mb = 256;
  };
  GuestVm(const Images& images, const Options& options);
  ~GuestVm();
  GuestVm(const GuestVm&) = delete;
  GuestVm& operator=(const GuestVm&) = delete;

  /// Opens the channel as a (new) agent and says attach.
  void attach();
  /// Closes it, as an agent that was killed.
  void detach();
  void send_line(const std::string& line);
  template <class T>
  void send(const T& message) {
    send_line(msg::encode(message));
  }
  /// The next message; logs are also kept in logs() and, unless told otherwise, acknowledged.
  /// Throws when none comes in time.
  msg::FromGuest receive(Seconds limit);
  /// Receives until a message of type @p T that satisfies @p wanted.
  template <class T>
  T expect(
      Seconds limit, const std::function<bool(const T&)>& wanted = [](const T&) { return true; }) {
    const auto until = std::chrono::steady_clock::now() + limit;
    for (;;) {
      const auto left = std::chrono::ceil<Seconds>(until - std::chrono::steady_clock::now());
      auto message = receive(left);
      if (auto* found = std::get_if<T>(&message); found != nullptr && wanted(*found)) return *found;
    }
  }
  msg::State expect_phase(const std::string& phase, Seconds limit);
  /// Waits for a line printed by the app that contains @p text.
  void expect_log(const std::string& text, Seconds limit);
  /// Waits until QEMU has ended by itself.
  void expect_end(Seconds limit);

  /// Body of the answer to GET @p target on the app's port, with its status line and headers.
  std::string get(const std::string& target, Seconds limit) const;

  /// "stream: text", and "stream (worker): text" of what a worker printed.
  std::vector<std::string> logs() const;
  const std::vector<msg::Log>& batches() const { return batches_; }
  bool acknowledges = true;
  std::string console() const;

 private:
  void start(const Images& images, const Options& options);
  /// Waits for bytes; false when the VM has closed its end.
  bool read_more(std::chrono::steady_clock::time_point until);
  std::optional<msg::FromGuest> next_message();
  [[noreturn]] void give_up(const std::string& why) const;

  Folder folder_;
  int pid_ = -1;
  int socket_ = -1;
  int port_ = 0;
  std::string in_;
  std::vector<msg::Log> batches_;
};

/// The disks of a run or a job VM.
GuestVm::Options run_vm(const Images& images, const std::string& runtime,
                        const std::string& artifact);
/// A configuration of kind "run" as the agent sends it, for QEMU's user network.
msg::Config a_run(std::vector<std::string> command);
msg::Config a_job(const std::string& command);
msg::Config a_build(std::vector<msg::BuildStep> steps);
/// An erofs of @p folder, as a build would have made it.
std::string packed(const Folder& to, const std::filesystem::path& folder);

}  // namespace karreg::test
