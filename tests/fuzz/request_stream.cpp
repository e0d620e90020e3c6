// All that one connection says, heads and bodies one after the other, as the session reads it: the
// same requests, and the same refusal, however the bytes are cut. The first byte says where.
#include <vector>

#include "fuzz/forwarded.hpp"

using namespace karreg::proxy;

namespace {

struct Heard {
  std::string method, target, body;
  bool complete = false;
  bool operator==(const Heard&) const = default;
};

struct Conversation {
  std::vector<Heard> requests;
  std::string_view refusal;
  bool operator==(const Conversation&) const = default;
};

/// What is there of a connection's bytes, more of them at each call of more().
class Arriving {
 public:
  Arriving(std::string_view all, std::size_t step) : all_(all), step_(step) {}
  bool more() {
    const auto next = all_.substr(0, step_);
    all_.remove_prefix(next.size());
    here += next;
    return !next.empty();
  }
  std::string here;

 private:
  std::string_view all_;
  std::size_t step_;
};

/// Whether the body came to its end.
bool hear_body(Arriving& bytes, const http1::Framing& framing, Heard& into, std::string_view& why) {
  if (framing.kind == http1::BodyKind::length) {
    while (bytes.here.size() < framing.length && bytes.more()) {
    }
    into.body = bytes.here.substr(0, framing.length);
    bytes.here.erase(0, into.body.size());
    return into.body.size() == framing.length;
  }
  if (framing.kind == http1::BodyKind::none) return true;
  http1::ChunkDecoder decoder;
  for (;;) {
    const auto step = decoder.decode(bytes.here);
    into.body.append(bytes.here, 0, step.payload);
    bytes.here.erase(0, step.consumed);
    if (step.refusal) why = step.refusal->why;
    if (step.done || step.refusal) return step.done;
    if (!bytes.more()) return false;
  }
}

/// Whether another request may follow.
bool hear(Arriving& bytes, Conversation& into) {
  std::size_t seen = 0;
  http1::HeadEnd end;
  for (;;) {
    while (bytes.here.starts_with("\r\n")) {
      bytes.here.erase(0, 2);
      seen = 0;
    }
    end = http1::find_head_end(bytes.here, seen);
    if (end.end || end.refusal) break;
    seen = bytes.here.size();
    if (!bytes.more()) return false;
  }
  if (end.refusal) into.refusal = end.refusal->why;
  if (!end.end) return false;
  const auto text = bytes.here.substr(0, *end.end);
  bytes.here.erase(0, *end.end);
  http1::RequestHead head;
  if (const auto refusal = http1::parse_request(text, {}, head)) {
    into.refusal = refusal->why;
    return false;
  }
  const auto framed = http1::request_framing(head);
  if (const auto* refusal = std::get_if<http1::Refusal>(&framed)) {
    into.refusal = refusal->why;
    return false;
  }
  fuzz::check_forwarded(head);
  Heard heard{std::string(head.method), std::string(head.target), {}, false};
  heard.complete = hear_body(bytes, std::get<http1::Framing>(framed), heard, into.refusal);
  into.requests.push_back(heard);
  return heard.complete && head.persistent();
}

Conversation listen(std::string_view all, std::size_t step) {
  Arriving bytes(all, step);
  Conversation conversation;
  while (hear(bytes, conversation)) {
  }
  return conversation;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto whole = listen(bytes, bytes.size());
  fuzz::must(listen(bytes, 1) == whole);
  fuzz::must(listen(bytes, 1 + data[0]) == whole);
  return 0;
}
