#include "common/db/session.hpp"

#include <catch2/catch.hpp>

using karreg::db::with_timeouts;

TEST_CASE("a connection string gets time-outs before what it says itself") {
  const std::string ours =
      "connect_timeout=10 keepalives_idle=10 keepalives_interval=5 keepalives_count=2 "
      "tcp_user_timeout=20000 ";
  CHECK(with_timeouts("host=/run/postgresql dbname=karreg") ==
        ours + "host=/run/postgresql dbname=karreg");
  CHECK(with_timeouts("") == ours);
}

TEST_CASE("so does one in the form of a URI") {
  const std::string ours =
      "connect_timeout=10&keepalives_idle=10&keepalives_interval=5&keepalives_count=2&"
      "tcp_user_timeout=20000";
  CHECK(with_timeouts("postgresql://karreg@db/karreg") == "postgresql://karreg@db/karreg?" + ours);
  CHECK(with_timeouts("postgres://db/karreg?connect_timeout=3") ==
        "postgres://db/karreg?" + ours + "&connect_timeout=3");
}
