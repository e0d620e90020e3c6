#pragma once

#include "reverse-proxy/connection.hpp"
#include "reverse-proxy/http1/body.hpp"

namespace karreg::proxy {

/// Takes a body out of a connection, piece by piece through its buffer: the next piece is read only
/// after the caller came back for it, which is all the back-pressure there is to do.
class BodyReader {
 public:
  enum class End {
    none,       ///< more may come
    complete,   ///< this was the last piece
    closed,     ///< the connection ended too early or broke
    expired,    ///< the peer was too slow
    malformed,  ///< bad chunks
  };
  struct Piece {
    std::span<const char> bytes;  ///< valid until the next call
    End end = End::none;
  };

  /// The body begins at @p offset of @p buffer; what stands before stays there untouched.
  BodyReader(Connection& from, Buffer& buffer, std::size_t offset, http1::Framing framing);

  /// What is there already, without waiting.
  Piece buffered();
  /// The next piece; waits when there is none.
  Task<Piece> next(std::chrono::milliseconds patience);
  /// A next() that waits, and whose connection is cancelled now, is not the end: it gives nothing.
  void interrupt() { interrupted_ = true; }
  bool complete() const { return end_ == End::complete; }
  /// Removes the last piece; what follows the body stands at the offset then.
  void finish();
  std::string_view malformed() const { return why_; }
  /// Fields that followed the body, when it is complete; nullptr: none that is passed on.
  const http1::Trailers* trailers() const { return chunks_.trailers(); }

 private:
  Piece hand_out();

  Connection& from_;
  Buffer& buffer_;
  std::size_t offset_;
  http1::Framing framing_;
  http1::ChunkDecoder chunks_;
  std::size_t consumed_ = 0;  ///< bytes at the offset that are done with
  End end_ = End::none;
  bool interrupted_ = false;
  std::string_view why_;
};

}  // namespace karreg::proxy
