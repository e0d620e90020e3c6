#include "reverse-proxy/certificate_follower.hpp"

#include <catch2/catch.hpp>

using namespace karreg;
using namespace karreg::proxy;

namespace {
wire::ServedCertificate a_certificate(std::string id, std::string chain = "chain") {
  return {std::move(id), std::move(chain), "sealed", {}};
}
const wire::AcmeChallenge challenge{"http-01", "a.test", "token", "token.print"};
}  // namespace

TEST_CASE("a proxy without certificates asks for the whole set, and stops when it has it") {
  CertificateFollower follower;
  CHECK(follower.wants_snapshot());
  CHECK(follower.take(wire::CertificateSnapshot{7, {a_certificate("a")}, {challenge}, 0}));
  CHECK_FALSE(follower.wants_snapshot());
  CHECK(follower.version() == 7);
  CHECK(follower.certificates().size() == 1);
  CHECK(follower.challenges() == std::vector{challenge});
}

TEST_CASE("an update for our version changes what it names, and replaces the challenges") {
  CertificateFollower follower;
  (void)follower.take(
      wire::CertificateSnapshot{7, {a_certificate("a"), a_certificate("b")}, {}, 0});
  CHECK(follower.take(
      wire::CertificateUpdate{7, 8, {a_certificate("a", "renewed")}, {"b"}, {challenge}}));
  REQUIRE(follower.certificates().size() == 1);
  CHECK(follower.certificates().at("a").chain == "renewed");
  CHECK(follower.challenges().size() == 1);
  CHECK(follower.take(wire::CertificateUpdate{8, 9, {}, {}, {}}));
  CHECK(follower.challenges().empty());
  CHECK(follower.certificates().size() == 1);
}

TEST_CASE("an update that is late or doubled changes nothing, one that does not fit asks") {
  CertificateFollower follower;
  (void)follower.take(wire::CertificateSnapshot{7, {a_certificate("a")}, {}, 0});
  CHECK_FALSE(follower.take(wire::CertificateUpdate{6, 7, {}, {"a"}, {}}));
  CHECK_FALSE(follower.wants_snapshot());
  CHECK_FALSE(follower.take(wire::CertificateUpdate{8, 9, {}, {"a"}, {}}));
  CHECK(follower.wants_snapshot());
  CHECK(follower.version() == 7);
  CHECK(follower.certificates().contains("a"));
}

TEST_CASE("an older set is taken only as the answer to what we have") {
  CertificateFollower follower;
  (void)follower.take(wire::CertificateSnapshot{7, {a_certificate("a")}, {}, 0});
  CHECK_FALSE(follower.take(wire::CertificateSnapshot{3, {}, {}, 2}));
  CHECK(follower.wants_snapshot());
  CHECK(follower.certificates().contains("a"));
  // The database was restored from a back-up.
  CHECK(follower.take(wire::CertificateSnapshot{3, {}, {}, 7}));
  CHECK(follower.version() == 3);
  CHECK(follower.certificates().empty());
}

TEST_CASE("what was saved serves after a start, without challenges, until the scheduler speaks") {
  CertificateFollower before;
  (void)before.take(wire::CertificateSnapshot{7, {a_certificate("a")}, {challenge}, 0});
  CertificateFollower after;
  after.restore(before.to_save());
  CHECK(after.version() == 7);
  CHECK(after.certificates() == before.certificates());
  CHECK(after.challenges().empty());
  CHECK(after.wants_snapshot());
}
