#include "builder/store_server.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <vector>

#include "builder/data_folder.hpp"
#include "common/crypto/digest.hpp"
#include "common/descriptor.hpp"
#include "common/http/byte_range.hpp"
#include "common/log.hpp"
#include "common/wire/store.hpp"

namespace karreg::builder {

namespace store = wire::store;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t piece_bytes = 256UL * 1024;

http::ServerLimits server_limits() {
  http::ServerLimits limits;
  limits.connections = 256;
  return limits;
}

/// A regular file, open, and its size.
struct OpenFile {
  Descriptor descriptor;
  std::uint64_t size = 0;
};

std::optional<OpenFile> open_file(const std::string& path) {
  OpenFile file{Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)), 0};
  struct stat status{};
  if (!file.descriptor || ::fstat(file.descriptor.get(), &status) != 0 || !S_ISREG(status.st_mode))
    return std::nullopt;
  file.size = static_cast<std::uint64_t>(status.st_size);
  return file;
}

/// Writes the bytes of @p range; a file that ends before that, or cannot be read, cuts the answer,
/// and whoever asked sees that it is not whole.
awaitable<void> send_bytes(const OpenFile& file, const http::ByteRange& range,
                           http::ResponseWriter& writer) {
  std::vector<char> piece(piece_bytes);
  std::uint64_t at = range.first;
  for (std::uint64_t left = range.length(); left > 0;) {
    const ::ssize_t got =
        ::pread(file.descriptor.get(), piece.data(), std::min<std::uint64_t>(piece.size(), left),
                static_cast<::off_t>(at));
    if (got <= 0) throw std::runtime_error("a file of the store ends before its time");
    auto sent = co_await writer.write({piece.data(), static_cast<std::size_t>(got)});
    if (!sent) co_return;  // it left, and comes again
    at += static_cast<std::uint64_t>(got);
    left -= static_cast<std::uint64_t>(got);
  }
  co_await writer.finish();
}

/// What is after @p prefix in @p path, if that is a digest.
std::string digest_after(std::string_view prefix, std::string_view path) {
  if (!path.starts_with(prefix) || !store::is_digest(path.substr(prefix.size()))) return {};
  return std::string(path.substr(prefix.size()));
}

}  // namespace

Result<std::unique_ptr<StoreServer>> StoreServer::start(const Options& options) {
  std::unique_ptr<StoreServer> server(new StoreServer(options));
  if (auto started = server->server_.start(*options.store_listen); !started)
    return started.error().within("setting store.listen");
  log::info("the store is served", {log::field("port", server->server_.port())});
  server->thread_ = std::thread([&io = server->io_] { io.run(); });
  return server;
}

StoreServer::StoreServer(const Options& options)
    : options_(options),
      server_(
          io_.get_executor(),
          [this](http::Request& request, http::ResponseWriter& writer) {
            return answer(request, writer);
          },
          server_limits()) {}

StoreServer::~StoreServer() {
  if (!thread_.joinable()) return;
  asio::co_spawn(io_, server_.stop(0ms), [this](const std::exception_ptr&) { io_.stop(); });
  thread_.join();
}

std::string StoreServer::file_of(const std::string& path) const {
  if (path == store::catalogue) return (options_.images / "catalogue.json").string();
  if (const auto digest = digest_after(store::artifacts, path); !digest.empty())
    return DataFolder(options_.data).artifact(digest).string();
  if (const auto digest = digest_after(store::blobs, path); !digest.empty())
    return (options_.images / "blobs" / digest).string();
  return {};
}

awaitable<void> StoreServer::answer(const http::Request& request,
                                    http::ResponseWriter& writer) const {
  const auto shown = request.headers.get("Authorization").value_or("");
  if (!crypto::equal_in_constant_time(shown, "Bearer " + options_.store_token)) {
    log::warn("somebody without the token asked the store", {log::field("peer", request.peer)});
    http::Response refused = http::error_response(401, "show the token of the store");
    refused.headers.add("WWW-Authenticate", "Bearer");
    co_await writer.send(std::move(refused));
    co_return;
  }
  if (request.method != "GET") {
    http::Response refused = http::error_response(405, "the store is only read");
    refused.headers.add("Allow", "GET");
    co_await writer.send(std::move(refused));
    co_return;
  }
  const std::string path = file_of(request.path);
  const auto file = path.empty() ? std::nullopt : open_file(path);
  if (!file) {
    co_await writer.send(http::error_response(404, "the store has no " + request.path));
    co_return;
  }
  auto range = http::asked_range(request.headers.get("Range"), file->size);
  if (!range) {
    http::Response refused = http::error_response(416, range.error().message());
    refused.headers.add("Content-Range", "bytes */" + std::to_string(file->size));
    co_await writer.send(std::move(refused));
    co_return;
  }
  http::Headers headers = {{"Content-Type", "application/octet-stream"},
                           {"Accept-Ranges", "bytes"}};
  if (*range) {
    headers.add("Content-Range", http::content_range(**range, file->size));
    co_await writer.start(206, std::move(headers));
    co_await send_bytes(*file, **range, writer);
    co_return;
  }
  co_await writer.start(200, std::move(headers));
  if (file->size == 0)
    co_await writer.finish();
  else
    co_await send_bytes(*file, {0, file->size - 1}, writer);
}

}  // namespace karreg::builder
