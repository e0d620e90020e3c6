#include "api/git/report.hpp"

#include <catch2/catch.hpp>

using namespace karreg::api::git;

namespace {

PushHead head_with(const std::string& capabilities) {
  std::string payload = std::string(40, '0') + " " + std::string(40, '1') + " refs/heads/master";
  payload += '\0';
  PushHead head;
  head.feed(pkt_line(payload + capabilities));
  return head;
}

const std::string flush{flush_pkt};
const std::string git_report = pkt_line("unpack ok\n") + pkt_line("ng refs/heads/master secret\n") +
                               pkt_line("ng refs/heads/other no secret at all\n") +
                               pkt_line("ok refs/heads/third\n") + flush;
const std::string our_report = pkt_line("unpack ok\n") + pkt_line("ok refs/heads/master\n") +
                               pkt_line("ng refs/heads/other no secret at all\n") +
                               pkt_line("ok refs/heads/third\n") + flush;

}  // namespace

TEST_CASE("a ref refused for the secret reason was moved by the platform, and is reported so",
          "[api]") {
  Report plain(head_with("report-status"), "secret");
  CHECK(plain.pass(git_report) == our_report);
  CHECK(plain.complete());
  Report without(head_with("report-status"), "");
  CHECK(without.pass(git_report) == git_report);
}

TEST_CASE("a report is taken out of the side band however git cuts it", "[api]") {
  for (const std::size_t cut : {std::size_t{1}, std::size_t{30}, git_report.size()}) {
    INFO(cut);
    std::string answer = pkt_line("\x02one line\n");
    for (std::size_t at = 0; at < git_report.size(); at += cut)
      answer += pkt_line("\x01" + git_report.substr(at, cut));
    answer += flush;
    Report report(head_with("report-status side-band-64k"), "secret");
    std::string passed;
    for (const char byte : answer) {
      CHECK_FALSE(report.complete());
      passed += report.pass({&byte, 1});
    }
    CHECK(report.complete());
    PktReader reader;
    reader.feed(passed);
    std::string text;
    std::string data;
    while (const auto packet = reader.next()) {
      if (packet->flush) continue;
      (packet->payload[0] == 2 ? text : data) += packet->payload.substr(1);
    }
    CHECK(text == "one line\n");
    CHECK(data == our_report);
    CHECK(passed.ends_with(flush));
  }
}

TEST_CASE("git's words pass while it goes on, and what is no packet is an error", "[api]") {
  Report report(head_with("report-status side-band-64k"), "");
  CHECK(report.pass("0005\x02") == "0005\x02");
  CHECK_FALSE(report.complete());
  CHECK_THROWS(report.pass("fatal: no packets"));
}

TEST_CASE("an object that is too large for git's memory is told in words of ours", "[api]") {
  Report report(head_with("report-status side-band-64k"), "");
  const std::string said = pkt_line(
      "\x02"
      "fatal: attempting to allocate 2147483649 over limit 536870913\n");
  const std::string passed = report.pass(said);
  CHECK(passed.starts_with(said));
  CHECK(passed.find("an object of this push is larger than 512 MiB when its delta is resolved") !=
        std::string::npos);
  const std::string other = pkt_line(
      "\x02"
      "fatal: over limit is another word\n");
  CHECK(report.pass(other) == other);
}

TEST_CASE("a push over which git died is told so", "[api]") {
  const std::string answer = broken_answer(head_with("report-status"));
  CHECK(answer.starts_with(pkt_line("unpack git ended early\n")));
  CHECK(answer.find("ng refs/heads/master git on the platform ended in the middle") !=
        std::string::npos);
  CHECK(answer.ends_with(flush));
}

TEST_CASE("a push over the limit is told what to do, in each form that its client reads", "[api]") {
  const std::string sentence =
      "this push is larger than 20 MiB, the limit of this platform (api.max_push_bytes): remove "
      "large files from the history (git rm --cached FILE; git commit --amend) or keep them "
      "outside "
      "of git\n";
  const std::int64_t limit = 20L * 1024 * 1024;
  const std::string report = pkt_line("unpack the pack is too large\n") +
                             pkt_line("ng refs/heads/master " + sentence) + "0000";
  CHECK(oversize_answer(head_with("report-status"), limit) == report);
  CHECK(oversize_answer(head_with("report-status-v2 side-band-64k"), limit) ==
        pkt_line("\x02" + sentence) + pkt_line("\x01" + report) + "0000");
  CHECK(oversize_answer(head_with("side-band-64k"), limit) == pkt_line("\x02" + sentence) + "0000");
  CHECK(oversize_answer(head_with("agent=x"), limit).empty());
}

TEST_CASE("a report on many refs goes over the side band in pieces", "[api]") {
  PushHead head;
  std::string payload = std::string(40, '0') + " " + std::string(40, '1') + " refs/heads/a";
  payload += '\0';
  head.feed(pkt_line(payload + "report-status side-band-64k"));
  for (int n = 0; n < 500; ++n)
    head.feed(pkt_line(std::string(40, '0') + " " + std::string(40, '1') + " refs/heads/" +
                       std::string(900, 'b')));
  PktReader reader;
  reader.feed(oversize_answer(head, 1000));
  std::string report;
  while (const auto packet = reader.next()) {
    CHECK(packet->payload.size() <= 65515 + 1);
    if (packet->payload.starts_with('\x01')) report += packet->payload.substr(1);
  }
  CHECK(report.size() > 65'536);
  CHECK(report.ends_with("outside of git\n0000"));
  CHECK(report.find("larger than 1000 bytes") != std::string::npos);
}
