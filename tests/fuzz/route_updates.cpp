// What the broker brings, a snapshot and updates, one JSON text a line: the table keeps its rules,
// and what is told of it is read again as it was.
#include "common/wire/json.hpp"
#include "fuzz/forwarded.hpp"
#include "reverse-proxy/route_table.hpp"

using namespace karreg;
using namespace karreg::proxy;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  auto line = [&rest] {
    const auto end = rest.find('\n');
    const auto text = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    return text;
  };
  RouteTable table;
  if (const auto whole = wire::from_text<wire::RouteSnapshot>(line(), "snapshot")) {
    if (auto made = RouteTable::from(*whole)) table = std::move(*made);
  }
  while (!rest.empty()) {
    const auto update = wire::from_text<wire::RouteUpdate>(line(), "update");
    if (!update) continue;
    const auto before = table;
    if (!table.apply(*update)) {
      fuzz::must(table == before);
      continue;
    }
    table.check_invariants();
    if (table.version() == before.version()) continue;
    auto way = before;
    fuzz::must(way.apply(RouteTable::diff(before, table)).has_value() && way == table);
  }
  table.check_invariants();
  const auto told = wire::to_text(table.snapshot());
  const auto heard = wire::from_text<wire::RouteSnapshot>(told, "snapshot");
  fuzz::must(heard.has_value());
  const auto same = RouteTable::from(*heard);
  fuzz::must(same.has_value() && *same == table);
  for (const auto& route : table.routes())
    fuzz::must(table.find(route->host, route->path) != nullptr);
  return 0;
}
