#pragma once
/// Which answers are compressed on their way, and what changes in their heads. Pure.

#include <string>
#include <vector>

#include "common/wire/rules.hpp"
#include "reverse-proxy/http1/body.hpp"
#include "reverse-proxy/rules/accept_encoding.hpp"

namespace karreg::proxy::rules {

class CompressionRule {
 public:
  /// @p rule without a value: nothing is compressed.
  explicit CompressionRule(const std::optional<wire::Compression>& rule);

  /// Whether @p answer might go in another coding, for one visitor or another: then caches must
  /// know what it depends on.
  bool varies(const http1::ResponseHead& answer) const;
  /// The coding that @p answer, whose body is framed like @p framing, gets for @p request.
  /// identity: it stays as it is.
  Coding coding_for(const http1::RequestHead& request, const http1::ResponseHead& answer,
                    const http1::Framing& framing) const;
  std::uint64_t min_bytes() const { return min_bytes_; }

 private:
  std::vector<Coding> offered_;
  std::uint64_t min_bytes_ = 0;
};

/// Types whose bodies get shorter: texts, JSON, XML, scripts, and what is made of them.
bool is_compressible(std::string_view content_type);

/// Adds Vary: Accept-Encoding unless it is said.
void add_vary(http1::ResponseHead& answer);

/// Makes @p answer the head of a body in @p coding: Content-Encoding, a weak ETag (the bytes are
/// others, RFC 9110 §8.8.1; its text goes to @p etag, which must live as long as @p answer), no
/// byte ranges, and no digests of the bytes before.
void mark_coded(http1::ResponseHead& answer, Coding coding, std::string& etag);

}  // namespace karreg::proxy::rules
