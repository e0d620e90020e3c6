#include "reverse-proxy/saved_routes.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <ranges>

#include "common/ids.hpp"
#include "common/log.hpp"
#include "common/wire/json.hpp"
#include "reverse-proxy/durable_file.hpp"

namespace karreg::proxy {

namespace {
constexpr mode_t saved_mode = 0640;

/// The file of the whole, but for its routes, which are its long list (wire/json.hpp).
struct Whole {
  std::uint64_t version = 0;
  std::string journal;  ///< name of its journal; empty: it has none
  std::vector<wire::TcpRoute> tcp_routes;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(Whole, version, journal, tcp_routes)
};

const wire::Route& by_value(const std::shared_ptr<const wire::Route>& route) {
  return *route;
}

/// First line of a journal; the whole that it belongs to has the same name.
std::string first_line(std::string_view name) {
  return nlohmann::json{{"journal", name}}.dump() + "\n";
}

/// Applies what stands in the journal @p name in @p journal to @p table, as far as it can be read
/// and fits.
void replay(const std::filesystem::path& journal, std::string_view name, RouteTable& table) {
  std::ifstream in(journal, std::ios::binary);
  std::string line;
  if (!in || !std::getline(in, line) || line + "\n" != first_line(name)) return;
  while (std::getline(in, line)) {
    // Without its end it was torn.
    if (in.eof()) break;
    const auto update = wire::from_text<wire::RouteUpdate>(line, journal.string());
    const auto applied = update ? table.apply(*update) : Result<void>(update.error());
    if (applied) continue;
    log::warn("saved updates of routes are left alone from here",
              {log::field("file", journal.string()), log::field("version", table.version()),
               log::field("why", applied.error().message())});
    return;
  }
}
}  // namespace

SavedRoutes::SavedRoutes(std::filesystem::path file) : file_(std::move(file)) {
  journal_file_ = file_;
  journal_file_ += ".journal";
}

SavedRoutes::~SavedRoutes() {
  close_journal();
}

void SavedRoutes::close_journal() {
  if (journal_ >= 0) ::close(journal_);
  journal_ = -1;
}

Result<RouteTable> SavedRoutes::load() const {
  std::ifstream in(file_, std::ios::binary);
  if (!in) return Error(ErrorKind::not_found, "there is no " + file_.string());
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  std::vector<wire::Route> routes;
  const auto rest = wire::read_long_list(text, file_.string(), "routes", routes);
  if (!rest) return rest.error();
  auto whole = wire::from_tree<Whole>(*rest, file_.string());
  if (!whole) return whole.error();
  auto table =
      RouteTable::from({whole->version, std::move(routes), 0, std::move(whole->tcp_routes)});
  if (!table) return table.error().within(file_.string());
  if (!whole->journal.empty()) replay(journal_file_, whole->journal, *table);
  return table;
}

Result<void> SavedRoutes::save(const RouteTable& table) {
  close_journal();
  std::error_code ec;
  std::filesystem::create_directories(file_.parent_path(), ec);
  // A name that no journal had before: in between, too, the two files are one table.
  const auto name = ids::random_token(9);
  Whole whole{table.version(), name, {}};
  for (const auto& [port, route] : table.tcp_routes()) whole.tcp_routes.push_back(route);
  std::uint64_t bytes = 0;
  auto tell = [&](const Write& write) {
    wire::write_long_list(whole, "routes", table.routes() | std::views::transform(by_value),
                          [&](std::string_view part) {
                            bytes += part.size();
                            write(part);
                          });
  };
  auto replaced = replace_file(file_, tell, saved_mode);
  if (!replaced) return replaced;
  const auto head = first_line(name);
  replaced = replace_file(journal_file_, head, saved_mode);
  if (!replaced) return replaced;
  journal_ = ::open(journal_file_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (journal_ < 0) return file_error(journal_file_, "open");
  whole_bytes_ = bytes;
  journal_bytes_ = head.size();
  return ok();
}

Result<void> SavedRoutes::append(const std::vector<wire::RouteUpdate>& updates) {
  if (journal_ < 0) return Error(ErrorKind::internal, "there is no journal to append to");
  std::string lines;
  for (const auto& update : updates) lines += wire::to_text(update) + "\n";
  if (write_all(journal_, lines) && ::fdatasync(journal_) == 0) {
    journal_bytes_ += lines.size();
    return ok();
  }
  auto failure = file_error(journal_file_, "write");
  // Half a line may be there, after which nothing would be read: the whole comes next.
  close_journal();
  return failure;
}

}  // namespace karreg::proxy
