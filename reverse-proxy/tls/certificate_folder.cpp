#include "reverse-proxy/tls/certificate_folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace karreg::proxy::tls {

namespace {

/// A chain has a few kilobytes.
constexpr std::size_t max_file = 1UL << 20;

/// Of a file that is replaced by a rename, too. Empty: there is none.
std::string stamp_of(const std::filesystem::path& file) {
  struct stat found{};
  if (::stat(file.c_str(), &found) != 0) return {};
  return fmt::format("{} {} {}.{} ", found.st_ino, found.st_size, found.st_mtim.tv_sec,
                     found.st_mtim.tv_nsec);
}

/// What a regular file holds; nothing, and errno, when it is none or cannot be read.
std::optional<std::string> read(const std::filesystem::path& file) {
  // A pipe of that name would be waited for.
  const int fd = ::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  std::optional<std::string> text(std::in_place);
  struct stat found{};
  std::array<char, 4096> piece;  // NOLINT(*-member-init): the kernel writes it
  ssize_t n = ::fstat(fd, &found) == 0 && S_ISREG(found.st_mode) ? 1 : -1;
  if (n < 0) errno = EINVAL;
  while (n > 0 && text->size() <= max_file) {
    n = ::read(fd, piece.data(), piece.size());
    if (n > 0) text->append(piece.data(), static_cast<std::size_t>(n));
  }
  const int why = n > 0 ? EFBIG : errno;
  ::close(fd);
  errno = why;
  return n == 0 ? text : std::nullopt;
}

std::filesystem::path ocsp_of(std::filesystem::path file) {
  file += ".ocsp";
  return file;
}

}  // namespace

CertificateFolder::Look CertificateFolder::look() {
  Look look;
  bool changed = !looked_;
  looked_ = true;
  std::error_code ec;
  std::filesystem::directory_iterator entries(folder_, ec);
  std::vector<std::filesystem::path> listed;
  for (; !ec && entries != std::filesystem::directory_iterator(); entries.increment(ec))
    listed.push_back(entries->path());
  // Half a list would take certificates away.
  if (ec) {
    if (!std::exchange(unreadable_, true))
      look.problems.push_back("cannot read the folder " + folder_.string() + ": " + ec.message());
    if (changed) look.certificates = std::make_shared<CertificateSet>();
    return look;
  }
  unreadable_ = false;
  std::map<std::string, Known> found;
  for (const auto& file : listed) {
    if (file.extension() != ".pem") continue;
    const auto name = file.filename().string();
    const auto stamp = stamp_of(file) + stamp_of(ocsp_of(file));
    const auto before = files_.find(name);
    if (before != files_.end() && before->second.stamp == stamp) {
      found.insert(files_.extract(before));
      continue;
    }
    changed = true;
    Known known{stamp, nullptr};
    if (before != files_.end()) {
      known.certificate = before->second.certificate;
      files_.erase(before);
    }
    const auto pem = read(file);
    auto certificate =
        pem ? Certificate::from_pem(*pem, read(ocsp_of(file)).value_or(""))
            : Result<std::shared_ptr<const Certificate>>(Error(
                  ErrorKind::invalid, std::string("it cannot be read: ") + std::strerror(errno)));
    if (certificate)
      known.certificate = *certificate;
    else
      look.problems.push_back(
          fmt::format("{}: {}{}", file.string(), certificate.error().message(),
                      known.certificate ? "; what it held before stays in use" : ""));
    found.emplace(name, std::move(known));
  }
  // What is left of them is gone from the folder.
  changed = changed || !files_.empty();
  files_ = std::move(found);
  if (!changed) return look;
  std::vector<CertificateSet::Shared> all;
  CertificateSet::Shared fallback;
  for (const auto& [name, known] : files_) {
    if (!known.certificate) continue;
    all.push_back(known.certificate);
    if (name == "default.pem") fallback = known.certificate;
  }
  look.certificates = std::make_shared<CertificateSet>(all, std::move(fallback));
  return look;
}

}  // namespace karreg::proxy::tls
