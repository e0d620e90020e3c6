#include "hypervisor-agent/transfer.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>

#include "common/crypto/digest.hpp"
#include "common/descriptor.hpp"
#include "common/http/byte_range.hpp"
#include "common/http/client.hpp"
#include "common/log.hpp"
#include "common/wire/catalogue.hpp"
#include "common/wire/json.hpp"
#include "common/wire/store.hpp"
#include "hypervisor-agent/files.hpp"

namespace karreg::agent {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

/// A store that is silent for longer is asked again.
constexpr auto silence = 10s;
constexpr std::uintmax_t mebibyte = 1024UL * 1024;
/// Disk space that is left to the VMs.
constexpr std::uintmax_t spare_bytes = 512 * mebibyte;

std::string short_name(const Transfer& transfer) {
  return transfer.kind + " " + transfer.digest.substr(0, 12);
}

http::ClientRequest request_for(const Settings& settings, const std::string& path) {
  http::ClientRequest request;
  request.url = settings.store_url + path;
  request.headers.add("Authorization", "Bearer " + settings.store_token);
  request.deadline = silence;
  return request;
}

Error refusal(const Settings& settings, const std::string& what, int status) {
  if (status == 401 || status == 403)
    return Error(ErrorKind::forbidden,
                 fmt::format("the store at {} does not take the token of agent.store_token_file: "
                             "it must be that of the builder's store.token_file",
                             settings.store_url));
  if (status == 404)
    return Error(ErrorKind::not_found,
                 fmt::format("the store at {} has no {}", settings.store_url, what));
  return Error(ErrorKind::unavailable, fmt::format("the store at {} answered {} for the {}",
                                                   settings.store_url, status, what));
}

/// The file that grows.
class Part {
 public:
  explicit Part(std::string path) : path_(std::move(path)) {}

  /// Error `internal`: it cannot be made.
  Result<void> open() {
    file_.reset(::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    struct stat status{};
    if (!file_ || ::fstat(file_.get(), &status) != 0) return trouble();
    size_ = static_cast<std::uint64_t>(status.st_size);
    began_with_ = size_;
    return ok();
  }
  std::uint64_t size() const { return size_; }
  /// Whether an earlier attempt left the beginning.
  bool goes_on() const { return began_with_ > 0; }
  Result<void> begin_anew() {
    if (::ftruncate(file_.get(), 0) != 0) return trouble();
    size_ = began_with_ = 0;
    return ok();
  }
  Result<void> append(std::string_view bytes) {
    while (!bytes.empty()) {
      const ::ssize_t written =
          ::pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<::off_t>(size_));
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return trouble();
      size_ += static_cast<std::uint64_t>(written);
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return ok();
  }
  /// Until it is on the disk: a name is not given to bytes that a power cut takes.
  Result<void> sync() { return ::fdatasync(file_.get()) == 0 ? ok() : trouble(); }
  void remove() { ::unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  Error trouble() const {
    const int reason = errno;
    return Error(reason == ENOSPC ? ErrorKind::too_large : ErrorKind::internal,
                 fmt::format("cannot write {}: {}", path_, std::strerror(reason)));
  }

  std::string path_;
  Descriptor file_;
  std::uint64_t size_ = 0;
  std::uint64_t began_with_ = 0;
};

/// Whether what the head of an answer promises goes on where @p part ends, and has room.
Result<void> take_head(const http::Response& head, Part& part, Transfer& transfer) {
  const auto said = http::parse_content_range(head.headers.get("Content-Range").value_or(""));
  if (head.status == 206 && said && said->range.first == part.size()) {
    transfer.size = said->size;
  } else {
    // All of it, then, whatever was asked for.
    if (head.status != 200)
      return Error(ErrorKind::unavailable,
                   fmt::format("the store gave another part of the {}", short_name(transfer)));
    if (auto emptied = part.begin_anew(); !emptied) return emptied;
  }
  std::error_code failed;
  const auto space = fs::space(fs::path(part.path()).parent_path(), failed);
  const std::uint64_t left = transfer.size > part.size() ? transfer.size - part.size() : 0;
  if (!failed && space.available < left + spare_bytes)
    return Error(ErrorKind::too_large,
                 fmt::format("the {} has {} MiB to come, and {} has {} MiB left, of which {} stay "
                             "free",
                             short_name(transfer), left / mebibyte, part.path(),
                             space.available / mebibyte, spare_bytes / mebibyte));
  return ok();
}

/// Gives the part its name, if it is what the digest says.
Result<void> seal(const Settings& settings, const Transfer& transfer, Part& part) {
  auto found = crypto::sha256_file(part.path());
  if (!found) return found.error();
  if (*found != transfer.digest) {
    const bool mixed = part.goes_on();
    part.remove();
    return Error(mixed ? ErrorKind::unavailable : ErrorKind::internal,
                 fmt::format("the store at {} gave other bytes for the {} (SHA-256 {}): its disk "
                             "may be damaged",
                             settings.store_url, short_name(transfer), found->substr(0, 12)));
  }
  if (auto synced = part.sync(); !synced) return synced;
  if (::rename(part.path().c_str(), fetched_path(settings, transfer.digest).c_str()) != 0)
    return Error(ErrorKind::internal,
                 fmt::format("cannot rename {}: {}", part.path(), std::strerror(errno)));
  return ok();
}

}  // namespace

std::string Transfer::progress() const {
  const std::uint64_t all = size;
  return fmt::format("fetching the {} {}: {} of {} MiB", kind, digest.substr(0, 12),
                     have / mebibyte,
                     all == 0 ? "?" : std::to_string((all + mebibyte - 1) / mebibyte));
}

Result<void> fetch(const Settings& settings, Transfer& transfer) {
  Part part(fetched_path(settings, transfer.digest) + ".part");
  if (auto opened = part.open(); !opened) return opened;
  transfer.have = part.size();
  auto request = request_for(settings, transfer.path);
  request.headers.add("Range", fmt::format("bytes={}-", part.size()));
  Result<void> kept = ok();
  const auto on_piece = [&](std::string_view piece) {
    kept = part.append(piece);
    transfer.have = part.size();
    return kept && transfer.wanted;
  };
  auto answer = http::stream_blocking(
      std::move(request), on_piece,
      [&](const http::Response& head) { return take_head(head, part, transfer); });
  if (!kept) return kept;
  if (!answer) return answer.error();
  if (!transfer.wanted) return Error(ErrorKind::unavailable, "nobody wants it any more");
  if (answer->status == 416) {
    // Nothing comes after what is here: it is whole, or of no use, as its digest will say.
    if (!part.goes_on())
      return Error(ErrorKind::internal, "the store's " + short_name(transfer) + " is empty");
    return seal(settings, transfer, part);
  }
  if (answer->status >= 400) return refusal(settings, short_name(transfer), answer->status);
  return seal(settings, transfer, part);
}

Result<std::string> catalogue_for_probe(const Settings& settings) {
  const std::string own = settings.images_dir + "/catalogue.json";
  if (auto text = read_whole(own); text || settings.store_url.empty())
    return text ? text
                : Error(ErrorKind::not_found, "there is no image catalogue in " +
                                                  settings.images_dir +
                                                  " (setting agent.images_dir); images/build "
                                                  "makes it");
  const std::string kept = settings.state_dir + "/fetched/catalogue.json";
  auto answer = http::fetch_blocking(request_for(settings, wire::store::catalogue));
  Result<void> fetched = !answer                 ? answer.error()
                         : answer->status != 200 ? refusal(settings, "catalogue", answer->status)
                                                 : write_atomically(kept, answer->body);
  auto text = read_whole(kept);
  if (!text) return fetched ? text.error() : fetched.error();
  if (!fetched)
    log::warn("the catalogue of images is as it was",
              {log::field("why", fetched.error().message())});
  auto catalogue = wire::from_text<wire::Catalogue>(*text, "catalogue.json");
  if (!catalogue) return catalogue.error();
  for (const auto& [kind, digest] : {std::pair("kernel", catalogue->kernel.digest),
                                     std::pair("initrd", catalogue->initrd.digest)}) {
    if (blob_path(settings, digest, kind)) continue;
    Transfer transfer{kind, wire::store::blobs + digest, digest};
    if (auto brought = fetch(settings, transfer); !brought) return brought.error();
  }
  return text;
}

}  // namespace karreg::agent
