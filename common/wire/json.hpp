#pragma once
/// Wire types to text and back, without exceptions past this edge.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/error.hpp"
#include "common/json.hpp"

namespace karreg::wire {

/// Compact JSON; invalid UTF-8 becomes U+FFFD.
template <class T>
std::string to_text(const T& value) {
  return nlohmann::json(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// Error `invalid` with the field's message; @p what as for from_text().
template <class T>
Result<T> from_tree(const nlohmann::json& tree, std::string_view what) {
  try {
    return tree.get<T>();
  } catch (const nlohmann::json::exception& e) {
    return Error(ErrorKind::invalid, std::string(what) + ": " + e.what());
  }
}

/// Error `invalid` with the parser's or the field's message; @p what names the message for the
/// reader ("HostReport").
template <class T>
Result<T> from_text(std::string_view text, std::string_view what) {
  const auto tree = nlohmann::json::parse(text, nullptr, false);
  if (!tree.is_discarded()) return from_tree<T>(tree, what);
  return Error(ErrorKind::invalid, std::string(what) + " is not valid JSON");
}

/// The text of an object with what @p rest has, and with @p elements, of any range, as its member
/// @p name. They are written one at a time, each to @p write, which gets the text in order: a tree
/// of them all would take many times the memory of the text.
template <class Elements>
void write_long_list(const nlohmann::json& rest, std::string_view name, const Elements& elements,
                     const std::function<void(std::string_view)>& write) {
  auto head = to_text(rest);
  head.pop_back();
  if (!rest.empty()) head += ',';
  write(head + to_text(name) + ":[");
  bool first = true;
  for (const auto& element : elements) {
    write((first ? "" : ",") + to_text(element));
    first = false;
  }
  write("]}");
}

/// The other way: moves the member @p name to @p elements and returns the rest, in which it is
/// empty. Errors as from_text().
template <class Element>
Result<nlohmann::json> read_long_list(std::string_view text, std::string_view what,
                                      std::string_view name, std::vector<Element>& elements) {
  using Event = nlohmann::json::parse_event_t;
  bool inside = false;
  auto take = [&](int depth, Event event, nlohmann::json& value) {
    if (event == Event::key && depth == 1) inside = value == name;
    if (!inside || depth != 2 || event != Event::object_end) return true;
    elements.push_back(value.get<Element>());
    return false;
  };
  try {
    auto rest = nlohmann::json::parse(text, take, false);
    if (!rest.is_discarded()) return rest;
  } catch (const nlohmann::json::exception& e) {
    return Error(ErrorKind::invalid, std::string(what) + ": " + e.what());
  }
  return Error(ErrorKind::invalid, std::string(what) + " is not valid JSON");
}

}  // namespace karreg::wire
