#include "reverse-proxy/rules/accept_encoding.hpp"

#include <algorithm>
#include <array>

#include "common/text.hpp"
#include "reverse-proxy/http1/forward.hpp"

namespace karreg::proxy::rules {

namespace {

/// "0.5" in thousandths (RFC 9110 §12.4.2); nothing: it is no weight.
std::optional<int> read_weight(std::string_view text) {
  if (text.empty() || (text[0] != '0' && text[0] != '1')) return std::nullopt;
  int weight = (text[0] - '0') * 1000;
  if (text.size() > 1 && (text[1] != '.' || text.size() > 5)) return std::nullopt;
  int place = 100;
  for (const char c : text.substr(std::min<std::size_t>(text.size(), 2))) {
    if (c < '0' || c > '9') return std::nullopt;
    weight += (c - '0') * place;
    place /= 10;
  }
  if (weight > 1000) return std::nullopt;
  return weight;
}

/// How much each coding is liked, in thousandths; nothing: it is not named.
struct Liked {
  std::array<std::optional<int>, 4> named;
  std::optional<int> others;  ///< "*"

  void take(std::string_view member) {
    const auto end = member.find(';');
    const auto name = text::trimmed(member.substr(0, end));
    int weight = 1000;
    if (end != std::string_view::npos) {
      const auto parameter = text::trimmed(member.substr(end + 1));
      if (parameter.size() < 2 || !text::iequals(parameter.substr(0, 2), "q=")) return;
      const auto said = read_weight(parameter.substr(2));
      if (!said) return;
      weight = *said;
    }
    if (name == "*") {
      others = others.value_or(weight);
      return;
    }
    const auto coding = coding_of(name);
    if (coding == Coding::identity && !text::iequals(name, "identity")) return;
    auto& liked = named.at(static_cast<std::size_t>(coding));
    liked = liked.value_or(weight);
  }
  int of(Coding coding) const {
    return named.at(static_cast<std::size_t>(coding)).value_or(others.value_or(0));
  }
};

}  // namespace

std::string_view name_of(Coding coding) {
  switch (coding) {
    case Coding::gzip:
      return "gzip";
    case Coding::br:
      return "br";
    case Coding::zstd:
      return "zstd";
    case Coding::identity:
      break;
  }
  return "";
}

Coding coding_of(std::string_view name) {
  // An old name (RFC 9110 §8.4.1.3).
  if (text::iequals(name, "gzip") || text::iequals(name, "x-gzip")) return Coding::gzip;
  if (text::iequals(name, "br")) return Coding::br;
  if (text::iequals(name, "zstd")) return Coding::zstd;
  return Coding::identity;
}

Coding choose_coding(const http1::RequestHead& head, std::span<const Coding> offered) {
  Liked liked;
  for (const auto& field : head.fields) {
    if (!text::iequals(field.name, "accept-encoding")) continue;
    http1::for_each_member(field.value, [&](std::string_view member) { liked.take(member); });
  }
  auto best = Coding::identity;
  int weight = 0;
  for (const auto coding : offered) {
    if (liked.of(coding) <= weight) continue;
    best = coding;
    weight = liked.of(coding);
  }
  // Without a word about it, it is what there is when nothing else fits.
  const auto plain = liked.named.at(static_cast<std::size_t>(Coding::identity));
  return plain && *plain > weight ? Coding::identity : best;
}

}  // namespace karreg::proxy::rules
