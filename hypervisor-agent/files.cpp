#include "hypervisor-agent/files.hpp"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace karreg::agent {

namespace {
Error file_error(const std::string& doing, const std::string& path) {
  return Error(ErrorKind::internal, doing + " " + path + ": " + std::strerror(errno));
}
}  // namespace

Result<void> give_to_qemu(const Settings& settings, const std::string& path) {
  if (::geteuid() != 0) return ok();
  const passwd* user = ::getpwnam(settings.qemu_user.c_str());
  if (user == nullptr)
    return Error(ErrorKind::invalid,
                 "there is no user " + settings.qemu_user +
                     " (setting agent.qemu_user); the package libvirt-daemon-system makes it");
  if (::chown(path.c_str(), user->pw_uid, user->pw_gid) != 0)
    return file_error("cannot give to " + settings.qemu_user + ":", path);
  return ok();
}

Result<void> make_folder(const Settings& settings, const std::string& folder) {
  std::error_code ec;
  std::filesystem::create_directories(folder, ec);
  if (ec) return Error(ErrorKind::internal, "cannot make " + folder + ": " + ec.message());
  ::chmod(folder.c_str(), 0750);
  return give_to_qemu(settings, folder);
}

Result<void> write_atomically(const std::string& path, const std::string& content) {
  const std::string temporary = path + ".new";
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return file_error("cannot write", path);
  const bool written =
      ::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()) &&
      ::fsync(fd) == 0;
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

Result<std::string> blob_path(const Settings& settings, const std::string& digest,
                              const std::string& what) {
  std::string path = settings.images_dir + "/blobs/" + digest;
  if (digest.empty() || ::access(path.c_str(), R_OK) != 0)
    return Error(ErrorKind::not_found, "the " + what + " (" + digest.substr(0, 12) +
                                           ") is not in the image store " + settings.images_dir +
                                           "; images/build makes it");
  return path;
}

std::string artifact_path(const Settings& settings, const std::string& digest) {
  return settings.data_dir + "/artifacts/" + digest;
}
std::string build_folder(const Settings& settings, const std::string& build_id) {
  return settings.data_dir + "/builds/" + build_id;
}
std::string cache_path(const Settings& settings, const std::string& app_id) {
  return settings.data_dir + "/cache/" + app_id + ".img";
}

}  // namespace karreg::agent
