#include "hypervisor-agent/files.hpp"

#include <fcntl.h>
#include <pwd.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/crypto/digest.hpp"
#include "common/wire/json.hpp"

namespace karreg::agent {

namespace fs = std::filesystem;

namespace {
Error file_error(const std::string& doing, const std::string& path) {
  return Error(ErrorKind::internal, doing + " " + path + ": " + std::strerror(errno));
}

Result<const passwd*> qemu_account(const Settings& settings) {
  const passwd* user = ::getpwnam(settings.qemu_user.c_str());
  if (user == nullptr)
    return Error(ErrorKind::invalid,
                 "there is no user " + settings.qemu_user +
                     " (setting agent.qemu_user); the package libvirt-daemon-system makes it");
  return user;
}

/// Takes on a user's rights on files, for this thread (glibc's setfsuid is a plain system call),
/// and gives them back.
class FileIdentity {
 public:
  explicit FileIdentity(const passwd& user)
      : group_(::setfsgid(user.pw_gid)), user_(::setfsuid(user.pw_uid)) {}
  FileIdentity(const FileIdentity&) = delete;
  FileIdentity& operator=(const FileIdentity&) = delete;
  ~FileIdentity() {
    ::setfsuid(static_cast<uid_t>(user_));
    ::setfsgid(static_cast<gid_t>(group_));
  }

 private:
  int group_;
  int user_;
};
}  // namespace

VmFiles::VmFiles(const Settings& settings, const std::string& instance_id)
    : folder(settings.state_dir + "/vms/" + instance_id),
      sockets(settings.state_dir + "/s/" + crypto::sha256_hex(instance_id).substr(0, 12)) {}

Result<void> give_to_qemu(const Settings& settings, const std::string& path) {
  if (::geteuid() != 0) return ok();
  auto user = qemu_account(settings);
  if (!user) return user.error();
  if (::chown(path.c_str(), (*user)->pw_uid, (*user)->pw_gid) != 0)
    return file_error("cannot give to " + settings.qemu_user + ":", path);
  return ok();
}

Result<void> check_readable_by_qemu(const Settings& settings, const std::string& path) {
  int fd = -1;
  int reason = 0;
  std::string who = "this user";
  if (::geteuid() == 0) {
    auto user = qemu_account(settings);
    if (!user) return user.error();
    who = "the user " + settings.qemu_user + ", which VMs run as,";
    const FileIdentity as_qemu(**user);
    fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    reason = errno;
  } else {
    fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    reason = errno;
  }
  if (fd >= 0) {
    ::close(fd);
    return ok();
  }
  if (reason == ENOENT) return Error(ErrorKind::not_found, path + " is missing");
  return Error(
      ErrorKind::forbidden,
      who + " cannot read " + path + " (" + std::strerror(reason) +
          "): the file must be readable and every folder above it open to all (chmod o+x), "
          "or the data must lie elsewhere");
}

Result<void> make_folder(const Settings& settings, const std::string& folder) {
  std::error_code ec;
  fs::create_directories(folder, ec);
  if (ec) return Error(ErrorKind::internal, "cannot make " + folder + ": " + ec.message());
  ::chmod(folder.c_str(), 0750);
  return give_to_qemu(settings, folder);
}

Result<void> make_folders(const Settings& settings) {
  std::error_code ec;
  fs::create_directories(settings.state_dir, ec);
  if (ec)
    return Error(ErrorKind::internal, "cannot make " + settings.state_dir + ": " + ec.message());
  ::chmod(settings.state_dir.c_str(), 0711);
  for (const char* name : {"/vms", "/s", "/templates", "/fetched"}) {
    auto made = make_folder(settings, settings.state_dir + name);
    if (!made) return made;
  }
  return ok();
}

namespace {
/// The link to the embedded driver's folder; empty when its path is short enough without.
std::string libvirt_link(const Settings& settings) {
  const std::string root = settings.libvirt_uri.substr(settings.libvirt_uri.find('=') + 1);
  return settings.libvirt_root.empty() || root == settings.libvirt_root ? "" : root;
}

bool is_our_link(const Settings& settings, const std::string& link) {
  std::error_code ec;
  struct stat found{};
  return ::lstat(link.c_str(), &found) == 0 && S_ISLNK(found.st_mode) &&
         found.st_uid == ::geteuid() && fs::read_symlink(link, ec) == settings.libvirt_root;
}
}  // namespace

Result<void> make_libvirt_root(const Settings& settings) {
  if (settings.libvirt_root.empty()) return ok();
  std::error_code ec;
  fs::create_directories(settings.libvirt_root, ec);
  if (ec)
    return Error(ErrorKind::internal, "cannot make " + settings.libvirt_root + ": " + ec.message());
  const std::string link = libvirt_link(settings);
  if (link.empty() || ::symlink(settings.libvirt_root.c_str(), link.c_str()) == 0) return ok();
  if (errno == EEXIST && is_our_link(settings, link)) return ok();
  return Error(ErrorKind::conflict,
               "cannot make the link " + link + " to " + settings.libvirt_root +
                   ", which is too long a path for libvirt's sockets; remove it, or choose a "
                   "shorter data.dir");
}

void remove_libvirt_link(const Settings& settings) {
  const std::string link = libvirt_link(settings);
  if (!link.empty() && is_our_link(settings, link)) ::unlink(link.c_str());
}

Result<void> write_atomically(const std::string& path, const std::string& content) {
  const std::string temporary = path + ".new";
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return file_error("cannot write", path);
  const bool written =
      ::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size());
  ::close(fd);
  if (!written || ::rename(temporary.c_str(), path.c_str()) != 0)
    return file_error("cannot write", path);
  return ok();
}

Result<std::string> read_whole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Error(ErrorKind::not_found, "cannot read " + path);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

std::string read_tail(const std::string& path, std::size_t bytes) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return {};
  const auto size = static_cast<std::size_t>(std::max<std::streamoff>(0, file.tellg()));
  const std::size_t wanted = std::min(size, bytes);
  file.seekg(static_cast<std::streamoff>(size - wanted));
  std::string text(wanted, '\0');
  file.read(text.data(), static_cast<std::streamsize>(wanted));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(0, file.gcount())));
  std::erase_if(text, [](char c) { return c == '\r' || c == '\0'; });
  return text;
}

void bound_file(const std::string& path, std::uintmax_t limit) {
  std::error_code ec;
  const auto size = fs::file_size(path, ec);
  if (!ec && size > limit) fs::resize_file(path, 0, ec);
}

Result<wire::VmSpec> read_spec(const VmFiles& files) {
  auto text = read_whole(files.spec());
  if (!text) return text.error();
  return wire::from_text<wire::VmSpec>(*text, files.spec());
}

Result<Record> read_record(const VmFiles& files) {
  auto text = read_whole(files.record());
  if (!text) return text.error();
  return wire::from_text<Record>(*text, files.record());
}

std::map<std::string, Books> read_books(const Settings& settings) {
  std::map<std::string, Books> books;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(settings.state_dir + "/vms", ignored)) {
    const std::string id = entry.path().filename();
    const VmFiles files(settings, id);
    auto spec = read_spec(files);
    auto record = read_record(files);
    if (!spec || spec->instance_id != id)
      books[id] = Books::scraps;
    else
      books[id] = record && record->over ? Books::ended : Books::started;
  }
  return books;
}

void remove_remains(const VmFiles& files) {
  std::error_code ignored;
  for (const auto& path :
       {files.overlay(), files.channel(), files.network(), files.network_pid(), files.console()})
    fs::remove(path, ignored);
}

void remove_all(const VmFiles& files) {
  remove_remains(files);
  std::error_code ignored;
  fs::remove_all(files.folder, ignored);
}

Result<std::string> blob_path(const Settings& settings, const std::string& digest,
                              const std::string& what) {
  if (!digest.empty())
    for (auto path : {settings.images_dir + "/blobs/" + digest, fetched_path(settings, digest)})
      if (::access(path.c_str(), R_OK) == 0) return path;
  return Error(ErrorKind::not_found, "the " + what + " (" + digest.substr(0, 12) +
                                         ") is not in the image store " + settings.images_dir +
                                         "; images/build makes it");
}

std::string artifact_path(const Settings& settings, const std::string& digest) {
  const std::string shared = settings.data_dir + "/artifacts/" + digest;
  const std::string fetched = fetched_path(settings, digest);
  return ::access(shared.c_str(), F_OK) != 0 && ::access(fetched.c_str(), F_OK) == 0 ? fetched
                                                                                     : shared;
}
std::string fetched_path(const Settings& settings, const std::string& digest) {
  return settings.state_dir + "/fetched/" + digest;
}
std::string build_folder(const Settings& settings, const std::string& build_id) {
  return settings.data_dir + "/builds/" + build_id;
}
std::string cache_path(const Settings& settings, const std::string& app_id) {
  return settings.data_dir + "/cache/" + app_id + ".img";
}

}  // namespace karreg::agent
