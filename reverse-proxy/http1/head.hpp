#pragma once
/// Heads of HTTP/1.1 messages (RFC 9112), parsed strictly and without copies: what two parsers
/// could read in two ways is refused, because the one behind us may read it the other way (request
/// smuggling).

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace karreg::proxy::http1 {

/// Why a message is not passed on: the status for the client and what is wrong, in English.
struct Refusal {
  int status = 400;
  std::string_view why;
};

struct Field {
  std::string_view name;
  std::string_view value;
};

/// What the proxy must know of the fields; gathered while parsing.
struct Known {
  std::string_view host;
  int hosts = 0;
  std::string_view content_length;
  int content_lengths = 0;
  std::string_view transfer_encoding;
  int transfer_encodings = 0;
  bool close = false;       ///< Connection: close
  bool keep_alive = false;  ///< Connection: keep-alive
  bool connection_upgrade = false;
  bool connection_names = false;  ///< Connection has other words: fields about this connection only
  std::string_view upgrade;
  bool expect_continue = false;
  bool te_trailers = false;  ///< TE: trailers, the sender takes fields after a body
};

/// Views into the bytes that were parsed: valid as long as those stay where they are.
struct Head {
  int minor_version = 1;  ///< HTTP/1.x
  std::vector<Field> fields;
  Known known;

  /// First value of @p name, compared without case.
  std::optional<std::string_view> find(std::string_view name) const;
  /// Whether the sender keeps the connection open after this message (RFC 9112 §9.3).
  bool persistent() const { return minor_version >= 1 ? !known.close : known.keep_alive; }
};

struct RequestHead : Head {
  std::string_view method;
  std::string_view target;
};

struct ResponseHead : Head {
  int status = 0;
  std::string_view reason;
};

struct HeadLimits {
  std::size_t bytes = 16UL * 1024;
  std::size_t fields = 100;
};

/// Where the head ends (one past its empty line), nothing when bytes are missing. @p from: bytes
/// that an earlier call has seen. A line that ends in a bare line feed is a refusal.
struct HeadEnd {
  std::optional<std::size_t> end;
  std::optional<Refusal> refusal;
};
HeadEnd find_head_end(std::string_view bytes, std::size_t from);

/// Parses a complete head, as delimited by find_head_end(). @p into is reused, so that a connection
/// allocates once.
std::optional<Refusal> parse_request(std::string_view head, const HeadLimits& limits,
                                     RequestHead& into);
/// A refusal here means: the application behind us sent nonsense; its status is 502.
std::optional<Refusal> parse_response(std::string_view head, const HeadLimits& limits,
                                      ResponseHead& into);

/// Whether @p text may stand as a field's value: no control characters.
bool is_field_value(std::string_view text);
/// Whether @p text may stand as a request's target: not empty, no space, no control characters.
bool is_target(std::string_view text);
/// Keeps in mind what the proxy must know of @p field.
void learn(const Field& field, Known& known);
/// Calls @p each with every non-empty member of a comma-separated list.
template <class Fn>
void for_each_member(std::string_view list, Fn each) {
  while (!list.empty()) {
    const auto comma = list.find(',');
    std::string_view member = list.substr(0, comma);
    while (!member.empty() && (member.front() == ' ' || member.front() == '\t'))
      member.remove_prefix(1);
    while (!member.empty() && (member.back() == ' ' || member.back() == '\t'))
      member.remove_suffix(1);
    if (!member.empty()) each(member);
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  }
}

}  // namespace karreg::proxy::http1
