#pragma once
/// Artifacts and the blobs of images over HTTP, for agents on hosts that do not share the data
/// folder (docs/contracts.md §7).

#include <memory>
#include <thread>

#include "builder/options.hpp"
#include "common/async/asio.hpp"
#include "common/http/server.hpp"

namespace karreg::builder {

/// Serves on a thread of its own until it is destroyed; transfers that are under way are cut then,
/// and agents go on with them later. Answers: 200 and 206 (the bytes), 401 (no or another token),
/// 404 (no such thing), 405, 416 (no such bytes).
class StoreServer {
 public:
  /// Listens at @p options.store_listen. Error `unavailable`: the address is taken.
  static Result<std::unique_ptr<StoreServer>> start(const Options& options);
  ~StoreServer();
  StoreServer(const StoreServer&) = delete;
  StoreServer& operator=(const StoreServer&) = delete;
  std::uint16_t port() const { return server_.port(); }

 private:
  explicit StoreServer(const Options& options);
  awaitable<void> answer(const http::Request& request, http::ResponseWriter& writer) const;
  /// The file behind @p path of a request; empty: none.
  std::string file_of(const std::string& path) const;

  Options options_;
  asio::io_context io_{1};
  http::Server server_;
  std::thread thread_;
};

}  // namespace karreg::builder
