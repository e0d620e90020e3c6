#pragma once
/// One request from its head to its line in the access log, whatever protocol it came by.

#include "reverse-proxy/exchange.hpp"
#include "reverse-proxy/http2/request_fields.hpp"

namespace karreg::proxy {

struct Door;

/// What a request needs, borrowed from the worker for as long as it is in hand: most connections
/// are idle.
class Turn {
 public:
  explicit Turn(Worker& worker) : exchange(worker), worker_(worker) {}
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  /// A request begins to come in. Both stay alive until it is over.
  void begin(const Door& door, std::string_view client_address);
  /// The head is there: forwards the request, or says what is the proxy's to say, and tells the
  /// access log.
  Task<void> serve(Visitor& visitor);
  /// Says @p answer to what did not become a request, and tells the access log @p error.
  Task<void> refuse(Visitor& visitor, const Answer& answer, std::string_view error);

  http1::RequestHead head;
  http1::Target target;
  Request request;
  // Of the visitor's protocol, HTTP/1 or HTTP/2.
  std::string answer_text;
  http2::RequestFields fields;
  std::vector<http1::Field> answer_fields;
  Exchange exchange;

 private:
  class Record;
  struct OwnAnswer {
    Answer answer;
    std::string_view error = {};
    bool ends_connection = false;
  };
  /// Why the request cannot be passed on; sets its target and framing.
  std::optional<http1::Refusal> examine();
  /// What is to be said by the table of this moment; nothing: the request is forwarded.
  std::optional<OwnAnswer> own_answer(const Visitor& visitor);
  /// Whether the visitor has shown what the application wants to see of him.
  std::optional<rules::Verdict> identify(const Visitor& visitor);
  /// Where the visitor must come from to be served by https; nothing: he does, or need not.
  std::optional<OwnAnswer> send_to_https(const LiveRoute& route) const;
  /// Whether the visitor knows the password, where one is needed; else what he is told.
  Task<std::optional<OwnAnswer>> ask_password();
  Task<void> say(Visitor& visitor, const Answer& answer, std::string_view error);
  void record(const Visitor& visitor);

  Worker& worker_;
  const Door* door_ = nullptr;
  std::string_view client_address_;
  rules::Places places_;
};

}  // namespace karreg::proxy
