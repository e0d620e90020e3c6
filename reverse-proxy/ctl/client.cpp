#include "reverse-proxy/ctl/client.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>
#include <thread>

#include "common/descriptor.hpp"
#include "reverse-proxy/traffic.hpp"

namespace karreg::proxy {

using nlohmann::json;
using std::chrono::steady_clock;

namespace {
constexpr timeval answer_time{60, 0};

ErrorKind kind_of(const std::string& name) {
  for (const auto kind :
       {ErrorKind::invalid, ErrorKind::unauthorized, ErrorKind::forbidden, ErrorKind::not_found,
        ErrorKind::conflict, ErrorKind::too_large, ErrorKind::timeout, ErrorKind::unavailable})
    if (to_string(kind) == name) return kind;
  return ErrorKind::internal;
}

Result<Descriptor> connect_to(const std::filesystem::path& socket) {
  auto failure = [&] {
    return Error(ErrorKind::unavailable,
                 fmt::format("no proxy answers at {}: {}. Does it run with these settings?",
                             socket.string(), std::strerror(errno)));
  };
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  const auto path = socket.string();
  errno = ENAMETOOLONG;
  if (path.size() >= sizeof where.sun_path) return failure();
  path.copy(where.sun_path, path.size());
  Descriptor line(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ::setsockopt(line.get(), SOL_SOCKET, SO_RCVTIMEO, &answer_time, sizeof answer_time);
  ::setsockopt(line.get(), SOL_SOCKET, SO_SNDTIMEO, &answer_time, sizeof answer_time);
  if (::connect(line.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0)
    return failure();
  return line;
}

bool send_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::string read_line(int fd) {
  std::string text;
  std::array<char, 64UL * 1024> bytes{};
  while (!text.ends_with('\n')) {
    const auto size = ::recv(fd, bytes.data(), bytes.size(), 0);
    if (size <= 0) return "";
    text.append(bytes.data(), static_cast<std::size_t>(size));
  }
  return text;
}

Traffic traffic_of(const json& told) {
  Traffic traffic;
  told.at("answers").get_to(traffic.answers);
  told.at("times").get_to(traffic.times);
  told.at("times_us").get_to(traffic.times_us);
  told.at("retries").get_to(traffic.retries);
  told.at("bytes_in").get_to(traffic.bytes_in);
  told.at("bytes_out").get_to(traffic.bytes_out);
  // A process of before there were TCP services says nothing of them.
  traffic.tcp_connections = told.value("tcp_connections", traffic.tcp_connections);
  traffic.tcp_failures = told.value("tcp_failures", traffic.tcp_failures);
  return traffic;
}

std::string bytes_text(double bytes) {
  for (const auto* unit : {"B", "KiB", "MiB"}) {
    if (bytes < 1024) return fmt::format("{:.0f} {}", bytes, unit);
    bytes /= 1024;
  }
  return fmt::format("{:.1f} GiB", bytes);
}

/// An application, or all of them, in a picture of top.
struct Row {
  std::string name;
  Traffic traffic;  ///< since the last picture
  int in_hand = 0;
  int held = 0;
};

std::string line_of(const Row& row, double seconds) {
  const auto& traffic = row.traffic;
  auto rate = [&](std::uint64_t count) { return static_cast<double>(count) / seconds; };
  return fmt::format("{:<36.36} {:>9.1f} {:>8.1f} {:>8.1f} {:>8} {:>6} {:>8} {:>8} {:>11} {:>11}\n",
                     row.name, rate(traffic.requests()), rate(traffic.answers[4]),
                     rate(traffic.answers[5]), row.in_hand, row.held, traffic.time_ms(0.5),
                     traffic.time_ms(0.99), bytes_text(rate(traffic.bytes_in)),
                     bytes_text(rate(traffic.bytes_out)));
}
}  // namespace

Result<json> ask(const std::filesystem::path& socket, const json& question) {
  const auto line = connect_to(socket);
  if (!line) return line.error();
  const bool asked = send_all(line->get(), question.dump() + "\n");
  const auto text = asked ? read_line(line->get()) : std::string();
  auto answer = json::parse(text, nullptr, false);
  if (!answer.is_object())
    return Error(ErrorKind::unavailable,
                 fmt::format("the proxy at {} gave no answer", socket.string()));
  if (answer.contains("error"))
    return Error(kind_of(answer.value("kind", "")), answer.at("error").get<std::string>());
  return answer;
}

Result<json> question_to_use(const std::string& file) {
  std::ostringstream text;
  if (file == "-") {
    text << std::cin.rdbuf();
  } else {
    std::ifstream in(file, std::ios::binary);
    if (!in)
      return Error(ErrorKind::invalid,
                   fmt::format("cannot read {}: {}", file, std::strerror(errno)));
    text << in.rdbuf();
  }
  auto table = json::parse(text.str(), nullptr, false);
  if (!table.is_object() || !table.contains("routes"))
    return Error(ErrorKind::invalid,
                 fmt::format("{} is no table: it must be {{\"routes\": [...]}}, as in "
                             "<data>/proxy/<id>.json",
                             file));
  return json{{"do", "use"},
              {"routes", table.at("routes")},
              {"tcp_routes", table.value("tcp_routes", json::array())}};
}

std::string render_top(const json& before, const json& after, double seconds, int rows) {
  const auto& hands = after.at("in_hand");
  // A process of an older program tells none.
  const auto held = after.value("held", json::object());
  std::vector<Row> all;
  Row total{"all applications", {}};
  // One that sleeps may have nothing but requests that wait.
  std::set<std::string> names;
  for (const auto* told : {&after.at("apps"), &held})
    for (const auto& [name, value] : told->items()) names.insert(name);
  for (const auto& name : names) {
    const auto& told = after.at("apps");
    Row row{name, told.contains(name) ? traffic_of(told.at(name)) : Traffic{}, 0,
            held.value(name, 0)};
    if (const auto& apps = before.at("apps"); apps.contains(name))
      row.traffic = row.traffic.since(traffic_of(apps.at(name)));
    if (hands.contains(name))
      for (const auto& in_hand : hands.at(name)) row.in_hand += in_hand.get<int>();
    total.traffic.add(row.traffic);
    total.in_hand += row.in_hand;
    total.held += row.held;
    all.push_back(std::move(row));
  }
  std::ranges::sort(all, [](const Row& a, const Row& b) {
    const auto of = [](const Row& row) {
      return std::tuple(row.traffic.requests(), row.in_hand, row.held, std::string_view(row.name));
    };
    return of(a) > of(b);
  });
  auto text = fmt::format("{:<36} {:>9} {:>8} {:>8} {:>8} {:>6} {:>8} {:>8} {:>11} {:>11}\n",
                          "application", "req/s", "4xx/s", "5xx/s", "in hand", "held", "p50 ms",
                          "p99 ms", "in/s", "out/s");
  text += line_of(total, seconds);
  for (const auto& row : all) {
    if (rows-- <= 0) break;
    text += line_of(row, seconds);
  }
  return text;
}

Result<void> run_top(const std::filesystem::path& socket, const TopOptions& options) {
  const bool screen = !options.once && ::isatty(STDOUT_FILENO) == 1;
  auto before = ask(socket, {{"do", "traffic"}});
  if (!before) return before.error();
  auto asked_at = steady_clock::now();
  do {
    std::this_thread::sleep_until(asked_at + std::chrono::duration<double>(options.every));
    auto after = ask(socket, {{"do", "traffic"}});
    if (!after) return after.error();
    const auto now = steady_clock::now();
    const std::chrono::duration<double> took = now - asked_at;
    const auto picture = render_top(*before, *after, took.count(), options.rows);
    std::printf("%s%s", screen ? "\x1b[H\x1b[2J" : "", picture.c_str());
    if (std::fflush(stdout) != 0) return ok();  // nobody reads any more
    before = std::move(after);
    asked_at = now;
  } while (!options.once);
  return ok();
}

}  // namespace karreg::proxy
