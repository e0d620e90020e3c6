#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>

#include "api/console/console.hpp"
#include "common/log.hpp"

namespace karreg::api::console {

namespace {

struct File {
  std::string type;
  std::string content;
  bool for_ever = false;  ///< its name holds the digest of its content
};
using Files = std::map<std::string, File>;

/// The media type by the file's ending; a file of another kind is not served.
std::string type_of(const std::string& ending) {
  static const std::map<std::string, std::string> types = {
      {".html", "text/html; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".svg", "image/svg+xml"},
      {".png", "image/png"},
      {".ico", "image/x-icon"},
      {".woff2", "font/woff2"},
      {".json", "application/json"},
  };
  const auto it = types.find(ending);
  return it == types.end() ? std::string() : it->second;
}

std::shared_ptr<const Files> load(const std::string& folder) {
  auto files = std::make_shared<Files>();
  std::error_code ec;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, ec)) {
    const std::string type = type_of(entry.path().extension());
    if (!entry.is_regular_file() || type.empty()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    std::ostringstream content;
    content << file.rdbuf();
    const std::string path = "/" + std::filesystem::relative(entry.path(), folder).generic_string();
    (*files)[path] = {type, content.str(), path.starts_with("/assets/")};
  }
  return files;
}

http::Headers security_headers() {
  return {{"Content-Security-Policy",
           "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
           "connect-src 'self'; "
           "font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"},
          {"X-Content-Type-Options", "nosniff"},
          {"Referrer-Policy", "no-referrer"}};
}

http::Response page(const Files& files, const http::Request& request) {
  const bool reads = request.method == "GET" || request.method == "HEAD";
  std::string path = request.path;
  if (path == "/" || path == "/console") {
    http::Headers headers{{"Location", "/console/"}};
    return {302, std::move(headers), {}};
  }
  auto file = files.find(path);
  if (file == files.end() && (path.starts_with("/console/") || path == "/cli-oauth")) {
    file = files.find("/index.html");
    if (file == files.end())
      return http::error_response(
          404,
          "the web console is not built on this platform: npm ci && npm run build in "
          "webui/, then set api.webui_dir to webui/dist");
  }
  if (!reads || file == files.end())
    return http::error_response(404,
                                "there is nothing at " + path + "; this API does not offer it");
  http::Headers headers = security_headers();
  headers.add("Content-Type", file->second.type);
  headers.add("Cache-Control",
              file->second.for_ever ? "public, max-age=31536000, immutable" : "no-store");
  return {200, std::move(headers), file->second.content};
}

awaitable<void> send_page(std::shared_ptr<const Files> files, const http::Request& request,
                          http::ResponseWriter& writer) {
  auto response = page(*files, request);
  co_await writer.send(std::move(response));
}

}  // namespace

StreamEndpoint static_files(const std::string& folder) {
  auto files = folder.empty() ? std::make_shared<const Files>() : load(folder);
  log::info("web console", {log::field("folder", folder), log::field("files", files->size())});
  return [files](http::Request& request, http::ResponseWriter& writer,
                 const http::PathParameters&) { return send_page(files, request, writer); };
}

}  // namespace karreg::api::console
