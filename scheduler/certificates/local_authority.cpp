#include "scheduler/certificates/local_authority.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

namespace karreg::scheduler::certificates {

using namespace std::chrono_literals;

namespace {

constexpr auto root_life = 3650 * 24h;
constexpr auto leaf_life = 90 * 24h;
/// Clocks of visitors may be slow.
constexpr auto slack = 1h;

constexpr const char* readme =
    "root.pem is the certificate authority of this platform for its local names. Its key is "
    "sealed\n"
    "in the platform's database, and it can vouch for names of these domains only.\n"
    "\n"
    "To trust it on a Debian machine:\n"
    "    cp root.pem /usr/local/share/ca-certificates/karreg-local.crt && update-ca-certificates\n"
    "for one call of curl:\n"
    "    curl --cacert root.pem https://NAME.localhost:PORT/\n"
    "in Firefox: Settings, Certificates, View Certificates, Authorities, Import.\n"
    "in Chromium: Settings, Privacy and security, Security, Manage certificates, Import.\n";

Result<void> write(const std::filesystem::path& file, const std::string& text) {
  std::ifstream in(file, std::ios::binary);
  if (in && std::string(std::istreambuf_iterator<char>(in), {}) == text) return ok();
  auto fresh = file;
  fresh += ".new";
  std::ofstream out(fresh, std::ios::binary);
  out << text;
  out.close();
  std::error_code ec;
  if (out) std::filesystem::rename(fresh, file, ec);
  if (out && !ec) return ok();
  return Error(ErrorKind::unavailable,
               "cannot write " + file.string() + ": " + (ec ? ec.message() : std::strerror(errno)));
}

}  // namespace

LocalAuthority make_local_authority(const std::vector<std::string>& domains, crypto::Seconds now) {
  const auto key = crypto::new_private_key();
  crypto::NewCertificate wish;
  wish.subject = "Karreg local authority";
  wish.not_before = now - slack;
  wish.not_after = now + root_life;
  wish.authority = true;
  wish.confined = domains;
  const auto root = crypto::make_certificate(wish, key, nullptr, key);
  return {crypto::to_pem(*root), crypto::to_pem(key)};
}

Result<LocalCertificate> issue_locally(const LocalAuthority& authority, const std::string& name,
                                       crypto::Seconds now) {
  const auto root = crypto::read_certificates(authority.root);
  if (!root) return root.error().within("the local authority");
  const auto root_key = crypto::read_private_key(authority.key);
  if (!root_key) return root_key.error().within("the local authority");
  const auto key = crypto::new_private_key();
  crypto::NewCertificate wish;
  wish.subject = name;
  wish.names = {name};
  wish.not_before = now - slack;
  wish.not_after = now + leaf_life;
  const auto leaf = crypto::make_certificate(wish, key, root->front().get(), *root_key);
  return LocalCertificate{crypto::to_pem(*leaf), crypto::to_pem(key)};
}

Result<void> show_root(const LocalAuthority& authority, const std::filesystem::path& folder) {
  std::error_code ec;
  std::filesystem::create_directories(folder, ec);
  if (ec)
    return Error(ErrorKind::unavailable, "cannot make " + folder.string() + ": " + ec.message());
  auto written = write(folder / "root.pem", authority.root);
  if (!written) return written;
  return write(folder / "README", readme);
}

}  // namespace karreg::scheduler::certificates
