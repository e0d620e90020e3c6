#pragma once
/// Fields that follow a body (RFC 9110 §6.5): which ones are passed on, and how chunks carry them
/// (RFC 9112 §7.1.2). Pure.

#include <string>

#include "reverse-proxy/http1/head.hpp"

namespace karreg::proxy::http1 {

class Trailers {
 public:
  /// Takes one line, without its CR LF; @p of: bounds of all of them together. What is wrong with
  /// it, in English; nothing: it was taken, or left out because may_trail() says so.
  std::optional<std::string_view> add_line(std::string_view line, const HeadLimits& of);
  /// The same of a field.
  std::optional<std::string_view> add(const Field& field, const HeadLimits& of);
  /// None is to be passed on.
  bool empty() const { return text_.empty(); }
  /// The end of a chunked body: the last chunk, these fields, the empty line. @p after_data: the CR
  /// LF that ends the data of a chunk stands before. Valid until the next one is added; not of
  /// empty ones.
  std::string_view last_chunk(bool after_data) const {
    return std::string_view(text_).substr(after_data ? 0 : 2);
  }
  /// Calls @p each with each of the fields.
  template <class Fn>
  void for_each(Fn each) const {
    auto rest = std::string_view(text_).substr(empty() ? 0 : begin.size());
    while (rest.size() > 2) {
      const auto end = rest.find("\r\n");
      const auto colon = rest.find(':');
      each(Field{rest.substr(0, colon), rest.substr(colon + 2, end - colon - 2)});
      rest.remove_prefix(end + 2);
    }
  }

 private:
  static constexpr std::string_view begin = "\r\n0\r\n";

  std::string text_;  ///< as last_chunk(true) has it
  std::size_t bytes_ = 0;
  std::size_t fields_ = 0;
};

/// Whether a field of that name may stand after the body (RFC 9110 §6.5.1). None that says where
/// the message ends or goes, who sends it, what its content is, how it may be kept or what is to be
/// done with it: who reads trailers into the head would have taken them from somebody whom nobody
/// has asked. '_' counts as '-', as for servers that hand fields on as variables.
bool may_trail(std::string_view name);

}  // namespace karreg::proxy::http1
