#include "api/git/hook.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "api/git/pkt_line.hpp"
#include "common/json.hpp"

namespace karreg::api::git {

using nlohmann::json;

namespace {

/// For the API to take a push up.
constexpr std::chrono::milliseconds api_patience{10'000};

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n <= 0) throw std::runtime_error("the other side is gone");
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

/// Reads packets from stdin up to the next flush.
std::vector<std::string> read_section(PktReader& reader) {
  std::vector<std::string> section;
  for (;;) {
    while (auto packet = reader.next()) {
      if (packet->flush) return section;
      section.push_back(std::move(packet->payload));
    }
    char buffer[16UL * 1024];
    const ssize_t n = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (n <= 0) throw std::runtime_error("git ended the conversation");
    reader.feed({buffer, static_cast<std::size_t>(n)});
  }
}

/// Waits for the API to take the push up: it does so at once unless it cannot.
void await_api(int fd) {
  pollfd waiting{fd, POLLIN, 0};
  const int ready = ::poll(&waiting, 1, static_cast<int>(api_patience.count()));
  if (ready <= 0)
    throw std::runtime_error("the platform does not take pushes up at the moment (no answer in " +
                             std::to_string(api_patience.count() / 1000) +
                             " s); nothing was deployed, try again in a moment");
}

int connect_to_api() {
  const char* path = std::getenv(env_socket);
  if (path == nullptr)
    throw std::runtime_error("this repository takes pushes through the platform only");
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (std::strlen(path) >= sizeof address.sun_path)
    throw std::runtime_error("the path of the platform's hook socket is too long");
  std::strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  // A full queue would block for ever.
  const timeval patience{api_patience.count() / 1000, 0};
  if (fd >= 0) ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (fd < 0 || ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error("the platform does not answer; try again in a moment");
  return fd;
}

std::string value(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? std::string() : std::string(text);
}

/// One verdict as git wants it. Source: gitprotocol-pack(5), "Report Status"; githooks(5).
void answer(const json& result) {
  const std::string ref = result.value("ref", "");
  if (!result.value("ok", false)) {
    write_all(STDOUT_FILENO, pkt_line("ng " + ref + " " + result.value("reason", "")));
    return;
  }
  const bool git_moves = result.value("git_moves", false);
  if (const std::string secret = value(env_shallow); !secret.empty() && !git_moves) {
    write_all(STDOUT_FILENO, pkt_line("ng " + ref + " " + secret));
    return;
  }
  write_all(STDOUT_FILENO, pkt_line("ok " + ref));
  if (git_moves)
    // receive-pack itself moves the ref, with all of its checks.
    write_all(STDOUT_FILENO, pkt_line("option fall-through"));
  else if (const std::string was = result.value("was", ""); !was.empty())
    write_all(STDOUT_FILENO, pkt_line("option old-oid " + was));
}

/// Passes what the API says on to the pusher; returns when it has said everything.
void relay(int api) {
  std::string buffer;
  char piece[16UL * 1024];
  for (;;) {
    for (std::size_t newline = 0; (newline = buffer.find('\n')) != std::string::npos;) {
      const auto message = json::parse(buffer.substr(0, newline));
      buffer.erase(0, newline + 1);
      const std::string type = message.value("type", "");
      if (type == "line") write_all(STDERR_FILENO, message.value("text", "") + "\n");
      if (type == "result") answer(message);
      if (type == "end") return;
    }
    const ssize_t n = ::read(api, piece, sizeof piece);
    if (n <= 0)
      throw std::runtime_error(
          "the platform stopped answering; the deployment goes on, see its activity");
    buffer.append(piece, static_cast<std::size_t>(n));
  }
}

void converse() {
  PktReader reader;
  const auto offer = read_section(reader);
  const bool options_offered = !offer.empty() && offer[0].find("push-options") != std::string::npos;
  std::string version = "version=1";
  version += '\0';
  if (options_offered) version += "push-options";
  write_all(STDOUT_FILENO, pkt_line(version));
  write_all(STDOUT_FILENO, flush_pkt);
  json commands = json::array();
  for (const auto& payload : read_section(reader))
    if (const auto command = parse_command(payload))
      commands.push_back(
          {{"old", command->old_id}, {"new", command->new_id}, {"ref", command->ref}});
  json options = json::array();
  if (options_offered)
    for (const auto& option : read_section(reader)) options.push_back(option);
  const int api = connect_to_api();
  const json request = {{"app", value(env_app)},
                        {"user", value(env_user)},
                        {"polls", value(env_polls) == "1"},
                        {"shallow", !value(env_shallow).empty()},
                        {"options", options},
                        {"commands", commands}};
  write_all(api, request.dump() + "\n");
  await_api(api);
  relay(api);
  write_all(STDOUT_FILENO, flush_pkt);
}

}  // namespace

int run_proc_receive() {
  try {
    converse();
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}

}  // namespace karreg::api::git
