#pragma once

#include "reverse-proxy/visitor.hpp"

namespace karreg::proxy {

class Turn;
class Worker;

/// A request of an HTTP/1 connection, at the front of its buffer, and the answer on the same one.
class Http1Visitor final : public Visitor {
 public:
  Http1Visitor(Worker& worker, Connection& client, Buffer& in, Turn& turn);

  /// The connection can take the next request.
  bool keep() const { return keep_ && answered_ && body_complete(); }
  /// Bytes of the request at the front of the buffer, when it is over.
  std::size_t consumed();

  void begin_body(const http1::Framing& framing) override;
  Task<bool> take_in() override;
  std::string_view taken_in() const override;
  Task<BodyReader::Piece> next_piece() override;
  bool body_complete() const override { return taken_in_ || (body_ && body_->complete()); }
  const http1::Trailers* trailers() const override { return body_ ? body_->trailers() : nullptr; }
  std::string_view malformed() const override { return body_->malformed(); }
  void stop_body() override;
  void interrupt_body() override;
  Task<bool> inform(const http1::ResponseHead& head) override;
  void begin_answer(const http1::ResponseHead& head, const http1::Framing& framing,
                    http1::AnswerForm form) override;
  void trail(const http1::Trailers& trailers) override;
  Task<bool> send(std::span<const char> bytes, bool last) override;
  void break_off() override;
  Task<bool> say(const Answer& answer, AnswerFormat format, std::string_view request_id) override;
  void watch_for_leaving(Cancellable* up) override { client_.watch_for_leaving(up); }
  bool left() const override { return client_.peer_left() || !client_.is_open(); }
  const Connection& connection() const override { return client_; }
  void end_connection() override { ends_ = true; }
  bool late() const override { return client_.expired(); }
  std::string_view protocol() const override;
  std::uint64_t bytes_in() const override { return client_.read_bytes() - read_before_; }
  std::uint64_t bytes_out() const override { return client_.written_bytes() - written_before_; }
  std::string_view objection(const http1::ResponseHead&) const override { return {}; }
  std::optional<Wire> wire() override;
  void allow_until(SteadyTime) override {}
  void hang_up() override {}

 private:
  SteadyTime patience() const;
  /// Whether the connection can go on after an answer that comes now.
  bool can_keep() const;

  Worker& worker_;
  Connection& client_;
  Buffer& in_;
  Turn& turn_;
  const std::uint64_t read_before_;
  const std::uint64_t written_before_;
  std::optional<BodyReader> body_;
  std::size_t body_length_ = 0;  ///< of what was taken in
  bool taken_in_ = false;
  bool keep_ = false;
  bool ends_ = false;                                    ///< the connection, with this answer
  bool answered_ = false;                                ///< completely
  const http1::Trailers* trailers_ = nullptr;            ///< to follow the answer
  http1::BodyKind answer_kind_ = http1::BodyKind::none;  ///< as it goes to the client
};

}  // namespace karreg::proxy
