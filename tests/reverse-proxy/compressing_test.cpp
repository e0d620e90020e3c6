#include <catch2/catch.hpp>

#include "reverse-proxy/decoded.hpp"
#include "reverse-proxy/http2_peer.hpp"
#include "reverse-proxy/loopback.hpp"
#include "reverse-proxy/with_rules.hpp"

using namespace karreg::proxy;
using namespace karreg::proxy::testing;
using Catch::Contains;
using Catch::StartsWith;

namespace {

constexpr const char* compressed_rule = R"({"compression":{"min_bytes":100}})";

std::string page(std::size_t size) {
  std::string text;
  for (int i = 0; text.size() < size; ++i)
    text += "<p>paragraph " + std::to_string(i * 7919) + "</p>\n";
  text.resize(size);
  return text;
}

/// Answers every request with @p head and @p body.
App::Script says(const std::string& head, const std::string& body) {
  return [=](Peer& peer, int) {
    while (!peer.read_message().empty())
      if (!peer.send("HTTP/1.1 200 OK\r\n" + head + "\r\n" + body)) return;
  };
}
std::string length(std::size_t size) {
  return "Content-Length: " + std::to_string(size) + "\r\n";
}
std::string in_chunks(const std::string& body, std::size_t each) {
  std::string all;
  char size[20];
  for (std::size_t at = 0; at < body.size(); at += each) {
    const auto piece = body.substr(at, each);
    std::snprintf(size, sizeof size, "%zx\r\n", piece.size());
    all += size + piece + "\r\n";
  }
  return all + "0\r\n\r\n";
}
/// The payload of a message in chunks.
std::string payload(const std::string& message) {
  std::string text;
  auto rest = body_of(message);
  for (;;) {
    const auto size = std::stoul(rest, nullptr, 16);
    rest.erase(0, rest.find("\r\n") + 2);
    text += rest.substr(0, size);
    if (size == 0) return text;
    rest.erase(0, size + 2);
  }
}

}  // namespace

TEST_CASE("an answer is compressed as the visitor likes it, in whichever way its body came") {
  const auto size = GENERATE(500UL, 20'000UL, 2'000'000UL);
  const bool chunked = GENERATE(false, true);
  const std::string coding = GENERATE("gzip", "br", "zstd");
  CAPTURE(size, chunked, coding);
  const auto body = page(size);
  App app(says("Content-Type: text/html\r\nETag: \"a\"\r\n" +
                   (chunked ? "Transfer-Encoding: chunked\r\n" : length(size)),
               chunked ? in_chunks(body, 5000) : body));
  Loopback loop;
  loop.use({with_rules({&app}, compressed_rule)});
  auto client = loop.client();
  for (int i = 0; i < 2; ++i) {
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: " + coding + "\r\n\r\n");
    const auto message = client.read_message();
    REQUIRE(client.complete());
    CHECK_THAT(message, Contains("\r\nContent-Encoding: " + coding + "\r\n") &&
                            Contains("\r\nVary: Accept-Encoding\r\n") &&
                            Contains("\r\nETag: W/\"a\"\r\n"));
    const bool whole = message.find("\r\nTransfer-Encoding: chunked\r\n") == std::string::npos;
    const auto back = decoded(coding, whole ? body_of(message) : payload(message));
    CHECK(back.complete);
    CHECK((back.text == body));
    CHECK(message.size() < std::max<std::size_t>(size / 2, 600));
  }
  CHECK(loop.metric("compressed_total") == "2");
}

TEST_CASE("what came compressed, is too short, or is no text goes as it came") {
  struct Case {
    std::string head;
    std::string body;
  };
  const auto text = page(1000);
  const auto c = GENERATE_COPY(values<Case>({
      {"Content-Type: text/html\r\nContent-Encoding: br\r\n" + length(1000), text},
      {"Content-Type: text/html\r\n" + length(99), text.substr(0, 99)},
      {"Content-Type: text/html\r\nTransfer-Encoding: chunked\r\n", in_chunks("short", 5)},
      {"Content-Type: image/png\r\n" + length(1000), text},
      {"Content-Type: text/html\r\nCache-Control: no-transform\r\n" + length(1000), text},
  }));
  CAPTURE(c.head);
  App app(says(c.head, c.body));
  Loopback loop;
  loop.use({with_rules({&app}, compressed_rule)});
  const auto message = loop.get("/", "Accept-Encoding: gzip, br\r\n");
  CHECK(body_of(message) == c.body);
  CHECK_THAT(message, !Contains("gzip"));
  CHECK(loop.metric("compressed_total") == "0");
}

TEST_CASE("caches are told what an answer depends on, also when it goes as it came") {
  App app(says("Content-Type: text/html\r\n" + length(1000), page(1000)));
  Loopback loop;
  loop.use({with_rules({&app}, compressed_rule)});
  const auto plain = loop.get();
  CHECK_THAT(plain,
             Contains("\r\nVary: Accept-Encoding\r\n") && Contains("\r\nContent-Length: 1000\r\n"));
  CHECK(body_of(plain) == page(1000));
}

TEST_CASE("an answer to HEAD is not compressed, and nothing follows it") {
  App app([](Peer& peer, int) {
    while (!peer.read_head().empty())
      peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1000\r\n\r\n");
  });
  Loopback loop;
  loop.use({with_rules({&app}, compressed_rule)});
  const auto head = loop.talk(
      "HEAD / HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n");
  CHECK_THAT(head, Contains("\r\nContent-Length: 1000\r\n") && Catch::EndsWith("\r\n\r\n") &&
                       !Contains("Content-Encoding"));
}

TEST_CASE("events reach the visitor as the application sends them, though they are compressed") {
  const std::string coding = GENERATE("gzip", "br", "zstd");
  CAPTURE(coding);
  std::atomic<int> told{0};
  App app([&](Peer& peer, int) {
    if (peer.read_message().empty()) return;
    peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
    for (int i = 0; i < 3; ++i) {
      if (!eventually([&] { return told >= i; })) return;
      peer.send("data: " + std::to_string(i) + "\n\n");
    }
  });
  Loopback loop;
  loop.use({with_rules({&app}, compressed_rule)});
  auto client = loop.client();
  client.send("GET / HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: " + coding + "\r\n\r\n");
  CHECK_THAT(client.read_head(), Contains("\r\nContent-Encoding: " + coding + "\r\n"));
  std::string body;
  std::string events;
  for (int i = 0; i < 3; ++i) {
    events += "data: " + std::to_string(i) + "\n\n";
    // The next one is sent only when this one was read.
    while (decoded(coding, body).text != events) {
      const auto size = client.read_until("\r\n");
      REQUIRE(size.size() > 2);
      const auto bytes = std::stoul(size, nullptr, 16);
      REQUIRE(bytes > 0);
      body += client.read_exactly(bytes);
      client.read_until("\r\n");
    }
    told = i + 1;
  }
  client.read_until("0\r\n\r\n");
}

TEST_CASE("an answer that the application breaks off is not passed off as complete") {
  App app([](Peer& peer, int) {
    if (peer.read_message().empty()) return;
    peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 100000\r\n\r\n" +
              page(50'000));
  });
  Loopback loop;
  loop.use({with_rules({&app}, compressed_rule)});
  auto client = loop.client();
  client.send("GET / HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: gzip\r\n\r\n");
  const auto message = client.read_message();
  CHECK_THAT(message, StartsWith("HTTP/1.1 200 "));
  CHECK_FALSE(client.complete());
}

TEST_CASE("visitors of HTTP/2 get compressed answers, too") {
  const auto size = GENERATE(500UL, 2'000'000UL);
  const auto body = page(size);
  App app(says("Content-Type: application/json\r\n" + length(size), body));
  SecureLoopback loop;
  loop.use({with_rules({&app}, compressed_rule)});
  Http2Peer peer(loop.proxy.tls_port());
  auto fields = Http2Peer::get();
  fields.emplace_back("accept-encoding", "gzip, deflate, br, zstd");
  const auto answer = peer.fetch(fields);
  CHECK(answer.field("content-encoding") == "zstd");
  CHECK(answer.field("vary") == "Accept-Encoding");
  CHECK((decoded("zstd", answer.body).text == body));
  CHECK(decoded("zstd", answer.body).complete);
  CHECK(answer.error == 0);
}

TEST_CASE("a visitor who takes nothing holds the application back, and its encoder's memory only") {
  std::atomic<std::size_t> sent{0};
  App app([&](Peer& peer, int) {
    if (peer.read_message().empty()) return;
    peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n");
    std::string noise(64UL * 1024, 'a');
    std::uint32_t n = 1;
    for (auto& c : noise) {
      n = n * 1664525U + 1013904223U;
      c = static_cast<char>(' ' + (n >> 24U) % 95);
    }
    // Longer than all buffers on the way together.
    for (int i = 0; i < 2000; ++i) {
      const auto taken = peer.send_some(noise, 300ms);
      sent += taken;
      if (taken < noise.size()) return;
    }
  });
  Loopback loop;
  loop.use({with_rules({&app}, compressed_rule)});
  auto client = loop.client();
  client.send("GET / HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: gzip\r\n\r\n");
  REQUIRE(eventually([&] { return app.closed() == 1; }, 60s));
  CHECK(sent < 64UL * 1024 * 1024);
}

TEST_CASE("beyond as many answers as a worker compresses at once, they go as they are") {
  std::atomic<bool> end{false};
  App app([&](Peer& peer, int) {
    for (auto request = peer.read_message(); !request.empty(); request = peer.read_message()) {
      if (request.find("/held") == std::string::npos) {
        peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n" + length(1000) + "\r\n" +
                  page(1000));
        continue;
      }
      peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 0\n\n");
      (void)eventually([&] { return end.load(); });
      return;
    }
  });
  ProxyOptions options;
  options.limits.compressing = 1;
  Loopback loop(options);
  loop.use({with_rules({&app}, compressed_rule)});
  const std::string accept = "Accept-Encoding: gzip\r\n";
  auto held = loop.client();
  held.send("GET /held HTTP/1.1\r\nHost: a.test\r\n" + accept + "\r\n");
  REQUIRE_THAT(held.read_head(), Contains("\r\nContent-Encoding: gzip\r\n"));
  const auto plain = loop.get("/", accept);
  CHECK_THAT(plain, !Contains("Content-Encoding"));
  CHECK(body_of(plain) == page(1000));
  end = true;
  CHECK(eventually([&] {
    return loop.get("/", accept).find("\r\nContent-Encoding: gzip\r\n") != std::string::npos;
  }));
}
