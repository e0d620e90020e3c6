#include "reverse-proxy/tls/certificate_folder.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

namespace karreg::proxy::tls {

namespace {

/// Of a file that is replaced by a rename, too. Empty: there is none.
std::string stamp_of(const std::filesystem::path& file) {
  struct stat found{};
  if (::stat(file.c_str(), &found) != 0) return {};
  return fmt::format("{} {} {}.{} ", found.st_ino, found.st_size, found.st_mtim.tv_sec,
                     found.st_mtim.tv_nsec);
}

std::optional<std::string> read(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return std::nullopt;
  return std::string{std::istreambuf_iterator<char>(in), {}};
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
  if (ec) {
    if (!std::exchange(unreadable_, true))
      look.problems.push_back("cannot read the folder " + folder_.string() + ": " + ec.message());
    if (changed) look.certificates = std::make_shared<CertificateSet>();
    return look;
  }
  unreadable_ = false;
  std::map<std::string, Known> found;
  for (const auto& entry : entries) {
    const auto& file = entry.path();
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
