#include "api/git/report.hpp"

namespace karreg::api::git {

namespace {

/// What fits into one packet of side-band-64k, with room to spare.
constexpr std::size_t side_band_piece = 60'000;
constexpr char data_band = 1;
constexpr char text_band = 2;

std::string in_words(std::int64_t bytes) {
  constexpr std::int64_t kib = 1024;
  if (bytes % (kib * kib) == 0) return std::to_string(bytes / (kib * kib)) + " MiB";
  if (bytes % kib == 0) return std::to_string(bytes / kib) + " KiB";
  return std::to_string(bytes) + " bytes";
}

std::string on_data_band(const std::string& bytes) {
  std::string packets;
  for (std::size_t at = 0; at < bytes.size(); at += side_band_piece)
    packets += pkt_line(data_band + bytes.substr(at, side_band_piece));
  return packets;
}

/// Whether git says that it ended over GIT_ALLOC_LIMIT.
bool tells_of_limit(std::string_view text) {
  return text.find("attempting to allocate ") != std::string_view::npos &&
         text.find(" over limit ") != std::string_view::npos;
}

std::string refusal(const PushHead& head, const std::string& unpack, const std::string& reason) {
  std::string report;
  if (head.offers("report-status") || head.offers("report-status-v2")) {
    report = pkt_line("unpack " + unpack + "\n");
    for (const auto& ref : head.refs()) report += pkt_line("ng " + ref + " " + reason + "\n");
    report += flush_pkt;
  }
  if (!head.offers("side-band-64k")) return report;
  std::string answer = pkt_line(text_band + reason + "\n") + on_data_band(report);
  answer += flush_pkt;
  return answer;
}

}  // namespace

Report::Report(const PushHead& head, std::string secret)
    : side_band_(head.offers("side-band-64k")), secret_(std::move(secret)) {}

std::string Report::pass(std::string_view bytes) {
  std::string out;
  outer_.feed(bytes);
  while (auto packet = outer_.next()) {
    complete_ = packet->flush;
    if (packet->flush || !side_band_) {
      out += rewritten(*packet);
    } else if (!packet->payload.starts_with(data_band)) {
      out += pkt_line(packet->payload);
      if (tells_of_limit(packet->payload))
        out += pkt_line(text_band +
                        ("an object of this push is larger than " + in_words(max_object_bytes) +
                         " when its delta is resolved, and this platform takes none "
                         "that large: remove large files from the history (git rm "
                         "--cached FILE; git commit --amend)\n"));
    } else {
      inner_.feed(std::string_view(packet->payload).substr(1));
      std::string report;
      while (auto part = inner_.next()) report += rewritten(*part);
      out += on_data_band(report);
    }
  }
  return out;
}

std::string Report::rewritten(const PktReader::Packet& packet) const {
  if (packet.flush) return std::string(flush_pkt);
  const std::string& payload = packet.payload;
  const std::string end = " " + secret_ + "\n";
  if (secret_.empty() || !payload.starts_with("ng ") || !payload.ends_with(end))
    return pkt_line(payload);
  return pkt_line("ok " + payload.substr(3, payload.size() - 3 - end.size()) + "\n");
}

std::string oversize_answer(const PushHead& head, std::int64_t max_bytes) {
  return refusal(
      head, "the pack is too large",
      "this push is larger than " + in_words(max_bytes) +
          ", the limit of this platform (api.max_push_bytes): remove large files from the history "
          "(git rm --cached FILE; git commit --amend) or keep them outside of git");
}

std::string broken_answer(const PushHead& head) {
  return refusal(head, "git ended early",
                 "git on the platform ended in the middle of this push, the log of the API says "
                 "more: look at the application's activity, then push again");
}

}  // namespace karreg::api::git
