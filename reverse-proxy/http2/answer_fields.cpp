#include "reverse-proxy/http2/answer_fields.hpp"

#include <algorithm>

#include "common/text.hpp"

namespace karreg::proxy::http2 {

void AnswerFields::add(std::string_view name, std::string_view value,
                       const http1::HeadLimits& limits) {
  bytes_ += name.size() + value.size();
  ++fields_;
  too_large_ = too_large_ || bytes_ > limits.bytes || fields_ > limits.fields;
  if (too_large_) return;
  if (name == ":status") {
    status_ = value;
    return;
  }
  places_.push_back({text_.size(), name.size(), value.size()});
  text_ += name;
  text_ += value;
}

std::optional<http1::Refusal> AnswerFields::finish(http1::ResponseHead& into) {
  using http1::Refusal;
  if (too_large_) return Refusal{502, "the answer's header is too large"};
  const bool is_number = status_.size() == 3 &&
                         std::ranges::all_of(status_, [](char c) { return c >= '0' && c <= '9'; });
  if (!is_number || status_.front() == '0' || status_.front() > '5')
    return Refusal{502, "the answer's status is not a number from 100 to 599"};
  into.minor_version = 1;
  into.status = (status_[0] - '0') * 100 + (status_[1] - '0') * 10 + (status_[2] - '0');
  if (into.status == 101)
    return Refusal{502, "it switches protocols, which HTTP/2 has no way to do"};
  into.reason = {};
  into.fields.clear();
  into.known = {};
  const std::string_view text(text_);
  for (const auto& place : places_) {
    const http1::Field field{text.substr(place.name, place.name_size),
                             text.substr(place.name + place.name_size, place.value_size)};
    if (!text::is_token(field.name))
      return Refusal{502, "a field's name in the answer has a character that is not allowed"};
    if (!http1::is_field_value(field.value))
      return Refusal{502, "a field's value in the answer has a control character"};
    if (field.name == "connection" || field.name == "transfer-encoding" || field.name == "upgrade")
      return Refusal{502, "the answer has a field about the connection, of which HTTP/2 has none"};
    http1::learn(field, into.known);
    into.fields.push_back(field);
  }
  if (into.known.content_lengths > 1)
    return Refusal{502, "the answer has more than one Content-Length"};
  return std::nullopt;
}

}  // namespace karreg::proxy::http2
