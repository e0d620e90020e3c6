#pragma once
/// One connection of a client: reads requests one after the other, answers what is the proxy's to
/// answer, and gives the rest to Exchange.

#include "reverse-proxy/answers.hpp"
#include "reverse-proxy/connection.hpp"
#include "reverse-proxy/exchange.hpp"
#include "reverse-proxy/http1/target.hpp"
#include "reverse-proxy/worker.hpp"

namespace karreg::proxy {

/// What a request needs, borrowed from the worker for as long as it is in hand: most connections
/// are idle.
struct Turn {
  explicit Turn(Worker& worker) : exchange(worker) {}
  Exchange exchange;
  http1::RequestHead head;
  http1::Target target;
  Request request;
};

class Session {
 public:
  Session(Worker& worker, Accepted connection);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Task<void> run();
  /// The worker drains: an idle connection ends, one that has not said anything yet has a moment.
  void drain();

 private:
  enum class HeadResult { ready, refused, gone };

  /// Whether the connection is of use: TLS stands, where this is to be TLS.
  Task<bool> begin();
  Task<bool> wait_for_request();
  Task<HeadResult> read_head();
  void end_turn();
  /// Whether the connection goes on.
  Task<bool> serve_request();
  struct OwnAnswer {
    Answer answer;
    std::string_view error = {};
  };
  /// What is the proxy's to say by the table of this moment; nothing: the request is forwarded.
  std::optional<OwnAnswer> own_answer();
  Task<bool> answer(Answer answer, bool body_read, std::string_view error);
  Task<void> close_gently();
  void begin_record();
  /// The first call after begin_record() counts.
  void finish_record();

  Worker& worker_;
  Connection client_;
  Buffer in_;
  std::unique_ptr<Turn> turn_;  ///< of the request in hand; nullptr between requests
  const std::string client_address_;
  const Door& door_;
  std::size_t consumed_ = 0;  ///< bytes of the request in hand at the front of in_
  bool recorded_ = true;      ///< the request in hand has its line
  bool idle_ = false;
  bool served_any_ = false;
};

}  // namespace karreg::proxy
