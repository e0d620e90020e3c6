#pragma once

#include "reverse-proxy/body_reader.hpp"
#include "reverse-proxy/http2/client_stream.hpp"

namespace karreg::proxy {

/// Where the body of an answer comes from: a connection of HTTP/1.1, or a stream of HTTP/2.
class AnswerBody {
 public:
  /// All of it stays alive meanwhile.
  AnswerBody(Connection& connection, BodyReader& reader)
      : connection_(&connection), reader_(&reader) {}
  explicit AnswerBody(http2::ClientStream& stream) : stream_(&stream) {}

  /// As BodyReader has them.
  BodyReader::Piece buffered() { return stream_ ? stream_->buffered() : reader_->buffered(); }
  Task<BodyReader::Piece> next(std::chrono::milliseconds patience) {
    return stream_ ? stream_->next() : reader_->next(patience);
  }
  const http1::Trailers* trailers() const {
    return stream_ ? stream_->trailers() : reader_->trailers();
  }
  std::string_view malformed() const { return stream_ ? stream_->broke() : reader_->malformed(); }
  /// More of it is there already.
  bool has_more() { return stream_ ? stream_->has_more() : connection_->has_bytes(); }
  /// Nobody wants the rest.
  void abandon() { stream_ ? stream_->reset() : connection_->close(); }

 private:
  Connection* connection_ = nullptr;
  BodyReader* reader_ = nullptr;
  http2::ClientStream* stream_ = nullptr;
};

}  // namespace karreg::proxy
