#pragma once

#include <catch2/catch.hpp>
#include <pqxx/pqxx>

#include "common/ids.hpp"
#include "support_env.hpp"

namespace karreg::test {

/// A schema of its own in the test database, gone when the test ends.
struct Schema {
  Schema() {
    name = "t_" + ids::random_token(8);
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    pqxx::connection connection(database_url());
    pqxx::nontransaction(connection).exec("CREATE SCHEMA " + name);
    url = database_url() + " options='-c search_path=" + name + "'";
  }
  ~Schema() {
    try {
      pqxx::connection connection(database_url());
      pqxx::nontransaction(connection).exec("DROP SCHEMA " + name + " CASCADE");
    } catch (const std::exception& e) {
      // The whole cluster is thrown away after the run.
      WARN("the schema " << name << " is left: " << e.what());
    }
  }
  Schema(const Schema&) = delete;
  Schema& operator=(const Schema&) = delete;
  std::string name;
  std::string url;
};

}  // namespace karreg::test
