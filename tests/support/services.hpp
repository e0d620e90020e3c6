#pragma once
// What integration tests stand on: a database of their own, the broker, programs of ours as real
// processes.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <pqxx/pqxx>
#include <string>
#include <thread>
#include <vector>

#include "common/broker/settings.hpp"
#include "common/db/migrate.hpp"
#include "common/ids.hpp"
#include "support/scratch.hpp"

namespace karreg::test {

using Environment = std::map<std::string, std::string>;

inline std::string required_variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) FAIL(name << " is not set: run this test through `./dev test integration`");
  return value;
}

/// Reads until @p holds or the deadline; a failed test then, with @p what.
inline void eventually(const std::string& what, const std::function<bool()>& holds,
                       std::chrono::seconds at_most = std::chrono::seconds(30)) {
  const auto deadline = std::chrono::steady_clock::now() + at_most;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) FAIL("not within the deadline: " << what);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

/// The broker of the tests.
inline broker::Address test_broker() {
  auto address = broker::parse_address(required_variable("KARREG_TEST_BROKER"));
  REQUIRE(address);
  return *address;
}

/// Settings of @p address for a program.
inline Environment broker_settings(const broker::Address& address) {
  return {{"KARREG_BROKER_HOST", address.host},
          {"KARREG_BROKER_PORT", std::to_string(address.port)},
          {"KARREG_BROKER_USER", address.user},
          {"KARREG_BROKER_PASSWORD", address.password},
          {"KARREG_BROKER_VHOST", address.vhost}};
}

/// A migrated database that is dropped at the end.
class TestDatabase {
 public:
  explicit TestDatabase(const std::string& purpose)
      : name_("karreg_" + purpose + "_" + ids::uuid().substr(0, 8)) {
    const std::string url = required_variable("KARREG_TEST_DATABASE_URL");
    admin_ = std::make_unique<pqxx::connection>(url);
    pqxx::nontransaction(*admin_).exec("CREATE DATABASE " + name_);
    // A later keyword of a connection string wins over an earlier one.
    url_ = url.find("://") == std::string::npos ? url + " dbname=" + name_
                                                : url.substr(0, url.rfind('/') + 1) + name_;
    REQUIRE(db::migrate(url_, std::chrono::seconds(30)));
    db_ = std::make_unique<pqxx::connection>(url_);
  }
  ~TestDatabase() {
    db_.reset();
    try {
      pqxx::nontransaction(*admin_).exec("DROP DATABASE " + name_ + " WITH (FORCE)");
    } catch (const std::exception& e) {  // the test's own failure matters more
      WARN("the database " << name_ << " is left: " << e.what());
    }
  }
  TestDatabase(const TestDatabase&) = delete;
  TestDatabase& operator=(const TestDatabase&) = delete;

  const std::string& url() const { return url_; }
  pqxx::result query(const std::string& sql) {
    pqxx::work work(*db_);
    auto result = work.exec(sql);
    work.commit();
    return result;
  }
  /// The first column of the first row, or "".
  std::string value(const std::string& sql) {
    const auto rows = query(sql);
    return rows.empty() || rows[0][0].is_null() ? "" : rows[0][0].as<std::string>();
  }

 private:
  std::string name_;
  std::string url_;
  std::unique_ptr<pqxx::connection> admin_;
  std::unique_ptr<pqxx::connection> db_;
};

/// A program of ours, its stderr in a file. Killed at the end at the latest.
class Daemon {
 public:
  Daemon(std::string program, std::filesystem::path log)
      : program_(std::move(program)), log_(std::move(log)) {}
  ~Daemon() { stop(SIGKILL); }
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  void start(const Environment& environment) {
    std::vector<std::string> variables;
    for (const auto& [name, value] : environment) variables.push_back(name + "=" + value);
    std::vector<char*> pointers;
    for (std::string& variable : variables) pointers.push_back(variable.data());
    pointers.push_back(nullptr);
    std::vector<char*> argv = {program_.data(), nullptr};
    pid_ = fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      if (std::freopen(log_.c_str(), "a", stderr) == nullptr) _exit(126);
      execve(program_.c_str(), argv.data(), pointers.data());
      _exit(127);
    }
  }
  /// Sends @p signal_number and waits for the end; the exit code, or 128 + signal.
  int stop(int signal_number) {
    if (pid_ <= 0) return 0;
    int status = 0;
    kill(pid_, signal_number);
    waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  pid_t pid() const { return pid_; }
  std::string log() const {
    std::ifstream in(log_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  /// Waits for @p text in its log.
  void await_log(const std::string& text) const {
    eventually(program_ + " says \"" + text + "\"",
               [&] { return log().find(text) != std::string::npos; });
  }

 private:
  std::string program_;
  std::filesystem::path log_;
  pid_t pid_ = 0;
};

}  // namespace karreg::test
