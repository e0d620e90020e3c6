#include "reverse-proxy/rules/compression.hpp"

#include <algorithm>
#include <array>

#include "common/text.hpp"
#include "reverse-proxy/http1/forward.hpp"

namespace karreg::proxy::rules {

namespace {
/// Whether a list field @p name of @p head has the member @p member.
bool lists(const http1::Head& head, std::string_view name, std::string_view member) {
  bool found = false;
  for (const auto& field : head.fields) {
    if (!text::iequals(field.name, name)) continue;
    http1::for_each_member(field.value,
                           [&](std::string_view each) { found |= text::iequals(each, member); });
  }
  return found;
}
}  // namespace

bool is_compressible(std::string_view content_type) {
  static constexpr std::array<std::string_view, 12> others = {"application/json",
                                                              "application/javascript",
                                                              "application/x-javascript",
                                                              "application/xml",
                                                              "application/wasm",
                                                              "application/vnd.ms-fontobject",
                                                              "application/x-ndjson",
                                                              "image/svg+xml",
                                                              "image/bmp",
                                                              "image/vnd.microsoft.icon",
                                                              "font/ttf",
                                                              "font/otf"};
  auto type = content_type.substr(0, content_type.find(';'));
  while (type.ends_with(' ') || type.ends_with('\t')) type.remove_suffix(1);
  const auto plain = text::lower(type);
  // Has a compression of its own, message by message, also where it ends with +json.
  if (plain.starts_with("application/grpc")) return false;
  return plain.starts_with("text/") || plain.ends_with("+json") || plain.ends_with("+xml") ||
         std::ranges::find(others, plain) != others.end();
}

CompressionRule::CompressionRule(const std::optional<wire::Compression>& rule) {
  if (!rule) return;
  for (const auto& name : rule->codings) offered_.push_back(coding_of(name));
  min_bytes_ = static_cast<std::uint64_t>(rule->min_bytes);
}

bool CompressionRule::varies(const http1::ResponseHead& answer) const {
  if (offered_.empty()) return false;
  static constexpr std::array<int, 4> never = {204, 205, 206, 304};
  if (answer.status < 200 || std::ranges::find(never, answer.status) != never.end()) return false;
  const auto coded = answer.find("content-encoding");
  return is_compressible(answer.find("content-type").value_or("")) &&
         (!coded || text::iequals(*coded, "identity")) && !answer.find("content-range") &&
         !lists(answer, "cache-control", "no-transform");
}

Coding CompressionRule::coding_for(const http1::RequestHead& request,
                                   const http1::ResponseHead& answer,
                                   const http1::Framing& framing) const {
  using http1::BodyKind;
  if (!varies(answer) || request.method == "HEAD" || framing.kind == BodyKind::none ||
      (framing.kind == BodyKind::length && framing.length < min_bytes_))
    return Coding::identity;
  return choose_coding(request, offered_);
}

void add_vary(http1::ResponseHead& answer) {
  if (lists(answer, "vary", "*") || lists(answer, "vary", "accept-encoding")) return;
  answer.fields.push_back({"Vary", "Accept-Encoding"});
}

void mark_coded(http1::ResponseHead& answer, Coding coding, std::string& etag) {
  static constexpr std::array<std::string_view, 6> about_the_bytes = {
      "content-encoding", "accept-ranges",  "content-md5",
      "digest",           "content-digest", "repr-digest"};
  std::erase_if(answer.fields, [](const http1::Field& field) {
    return std::ranges::any_of(
        about_the_bytes, [&](std::string_view name) { return text::iequals(name, field.name); });
  });
  for (auto& field : answer.fields) {
    if (!text::iequals(field.name, "etag") || !field.value.starts_with('"')) continue;
    etag = "W/";
    etag += field.value;
    field.value = etag;
  }
  answer.fields.push_back({"Content-Encoding", name_of(coding)});
}

}  // namespace karreg::proxy::rules
