#pragma once
/// What the proxy itself says to a client. Pure. Each answer says what is wrong and what to do, as
/// JSON, as a page or as plain text, whichever the client accepts.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reverse-proxy/http1/head.hpp"

namespace karreg::proxy {

struct Answer {
  int status = 500;
  std::string title;                      ///< a few words
  std::string message;                    ///< what is wrong, and what to do
  int retry_after_s = 0;                  ///< 0: not told
  std::string location = {};              ///< of redirects
  std::string_view page = {};             ///< HTML of the application's owner in place of ours
  std::vector<http1::Field> fields = {};  ///< that the application's rules add
  std::string verbatim = {};  ///< the body as it is, in place of a page with title and message
};

Answer refused(const http1::Refusal& refusal);
Answer unknown_host(std::string_view host);
Answer no_routes_yet();
Answer nothing_serves(std::string_view host);
/// The application at @p host was not awake after @p seconds.
Answer does_not_wake(std::string_view host, long seconds);
/// As many requests as may be wait for the application at @p host to wake.
Answer too_many_wait(std::string_view host);
Answer backend_gone(std::string_view host);
Answer backend_nonsense(std::string_view host, std::string_view why);
Answer backend_late(std::string_view host, long seconds);
/// Its instances say by HTTP/2 how many requests they take at once.
Answer backend_full(std::string_view host);
/// They do not speak as the application's rules say; @p why in English.
Answer backend_unfit(std::string_view host, std::string_view why);
/// A WebSocket to instances that are spoken to by HTTP/2.
Answer no_websocket(std::string_view host);
Answer client_late();
Answer too_many_connections();
Answer app_busy(std::string_view host);
/// To HTTP without TLS where TLS is spoken.
Answer speaks_https();
Answer use_https(std::string location, bool safe_method);
/// What proves to a certificate authority that a name is ours (RFC 8555 §8.3).
Answer proof_of_name(std::string key_authorization);

enum class AnswerFormat { text, html, json };
/// What @p accept (the field's value) likes best; text when it does not care.
AnswerFormat format_for(std::string_view accept);

/// What an answer says beside its status, in any protocol.
struct AnswerParts {
  std::vector<std::pair<std::string_view, std::string>> fields;
  std::string body;
};
AnswerParts parts_of(const Answer& answer, AnswerFormat format, std::string_view request_id);

struct AnswerDelivery {
  AnswerFormat format = AnswerFormat::text;
  std::string_view request_id = {};
  bool keep_alive = false;
  bool head_request = false;
  int client_minor_version = 1;
};
/// Head and body for HTTP/1, ready to send.
std::string render(const Answer& answer, const AnswerDelivery& delivery);

/// @p text with the characters escaped that mean something in HTML.
std::string escape_html(std::string_view text);
/// @p text as a JSON string with its quotes; invalid UTF-8 and controls escaped.
void append_json_string(std::string& out, std::string_view text);

}  // namespace karreg::proxy
