#pragma once
/// An application's answer on its way to the visitor, as the application's rules want it: edits of
/// its head, and compression of its body.

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "reverse-proxy/body_reader.hpp"
#include "reverse-proxy/rules/encoder.hpp"

namespace karreg::proxy {

class Worker;
struct Request;

/// Lives as long as the answer is on its way.
class AnswerCoding {
 public:
  explicit AnswerCoding(Worker& worker) : worker_(worker) {}
  ~AnswerCoding();
  AnswerCoding(const AnswerCoding&) = delete;
  AnswerCoding& operator=(const AnswerCoding&) = delete;

  /// Edits @p answer by the rules of @p request, which has some. @p framing: of its body, as the
  /// application sends it; @p first: what came of that together with the head, and then what is to
  /// be sent of it. Returns the framing of what is sent.
  http1::Framing begin(const Request& request, http1::ResponseHead& answer,
                       const http1::Framing& framing, BodyReader::Piece& first);
  /// The pieces go through encode().
  bool on() const { return encoder_ != nullptr && !whole_; }
  /// What is sent for @p piece, valid until the next call; maybe nothing yet. Error: the encoder's
  /// library has failed.
  std::optional<std::span<const char>> encode(std::span<const char> piece,
                                              rules::Encoder::Then then);

 private:
  Worker& worker_;
  std::unique_ptr<rules::Encoder> encoder_;
  std::string etag_;
  bool whole_ = false;  ///< the body came at once, and was encoded at once
};

}  // namespace karreg::proxy
