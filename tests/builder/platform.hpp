#pragma once
// A platform for one test: a database of its own, a broker, a data folder with images and
// repositories, and karreg-builder as a real process. The test plays the scheduler and the agent.

#include <map>
#include <string>
#include <vector>

#include "common/broker/stream_reader.hpp"
#include "common/broker/topology.hpp"
#include "common/crypto/vault.hpp"
#include "common/wire/json.hpp"
#include "common/wire/logs.hpp"
#include "support/programs.hpp"
#include "support/services.hpp"

namespace karreg::test {

class Platform {
 public:
  Platform()
      : database_("builder"),
        broker_(test_broker()),
        env_(broker_settings(broker_)),
        builder_(program("karreg-builder"), data() / "builder.log") {
    auto vault = crypto::Vault::open_or_create((data() / "secret.key").string());
    REQUIRE(vault);
    vault_ = std::make_unique<crypto::Vault>(std::move(*vault));

    must_run("mkdir -p " + (data() / "images/blobs").string() + " && truncate -s 32M " +
             (data() / "images/blobs/cachetemplate").string());
    write_file(data() / "images/catalogue.json",
               R"({"cache_template":{"digest":"cachetemplate","bytes":33554432},"runtimes":{
                   "node":{"run":{"digest":"node-run"},"build":{"digest":"node-build"}},
                   "static":{"run":{"digest":"static-run"},"build":{"digest":"static-build"}}}})");
    query("INSERT INTO organisations (id, name) VALUES ('orga_1', 'o')");
    env_["KARREG_DATA_DIR"] = data().string();
    env_["KARREG_SECRETS_KEY_FILE"] = (data() / "secret.key").string();
    env_["KARREG_DATABASE_URL"] = database_.url();
    env_["KARREG_BUILDER_LEASE"] = "1s";
    env_["KARREG_BUILDER_POLL"] = "100ms";
    env_["KARREG_BUILDER_OUTPUT_MAX_BYTES"] = "16777216";
    env_["KARREG_BUILDER_MIN_FREE_BYTES"] = "0";
  }
  ~Platform() {
    kill_builder();
    auto connection = broker::Connection::open(broker_, std::chrono::seconds(5));
    for (const std::string& app : apps_)
      if (connection) static_cast<void>(connection->delete_queue(broker::log_stream(app)));
  }
  Platform(const Platform&) = delete;
  Platform& operator=(const Platform&) = delete;

  const broker::Address& broker() const { return broker_; }
  std::filesystem::path data() const { return scratch_.path(); }
  Environment& settings() { return env_; }

  void start_builder() { builder_.start(env_); }
  void kill_builder() { builder_.stop(SIGKILL); }
  const Daemon& builder() const { return builder_; }

  pqxx::result query(const std::string& sql) { return database_.query(sql); }
  std::string value(const std::string& sql) { return database_.value(sql); }

  /// An app whose repository holds @p files; gives its id.
  std::string app(const std::map<std::string, std::string>& files,
                  const std::string& variant = "auto") {
    const std::string id = ids::make("app_");
    apps_.push_back(id);
    query(
        "INSERT INTO apps (id, org_id, name, zone, variant, min_flavor, max_flavor, build_flavor) "
        "VALUES ('" +
        id + "', 'orga_1', 'a', 'par', '" + variant + "', 'pico', 'pico', 'S')");
    must_run("git init -q --bare " + repository(id));
    commit(id, files);
    return id;
  }
  std::string repository(const std::string& app) const {
    return (data() / "repos" / (app + ".git")).string();
  }
  /// Makes @p files the newest commit; gives its id.
  std::string commit(const std::string& app, const std::map<std::string, std::string>& files) {
    const ScratchFolder work;
    for (const auto& [name, bytes] : files) write_file(work / name, bytes);
    const std::string git = "cd " + work.path().string() +
                            " && git -c user.name=A -c user.email=a@example.org "
                            "-c commit.gpgsign=false -c init.defaultBranch=master ";
    must_run(git + "init -q && git add -A");
    must_run(git + "commit -q -m x && git push -q -f " + repository(app) +
             " HEAD:refs/heads/master");
    std::string id = must_run("git -C " + repository(app) + " rev-parse refs/heads/master");
    id.pop_back();
    return id;
  }
  /// Asks for a build of the newest commit as the scheduler does; gives its id.
  std::string ask_for_build(const std::string& app,
                            const std::map<std::string, std::string>& env = {},
                            bool use_cache = true) {
    std::string head = must_run("git -C " + repository(app) + " rev-parse refs/heads/master");
    head.pop_back();
    const std::string deployment = ids::make("deployment_");
    const std::string build = ids::make("build_");
    query(
        "INSERT INTO deployments (uuid, app_id, number, action, cause, author, commit_id, flavor, "
        "sealed_env) VALUES ('" +
        deployment + "', '" + app +
        "', (SELECT coalesce(max(number), 0) + 1 FROM deployments), 'DEPLOY', 'Git push', 'a', '" +
        head + "', 'pico', '" + vault_->seal(wire::to_text(env), deployment) + "')");
    query("INSERT INTO builds (id, app_id, deployment, commit_id, use_cache) VALUES ('" + build +
          "', '" + app + "', '" + deployment + "', '" + head + "', " +
          (use_cache ? "true" : "false") + ")");
    return build;
  }
  std::string state(const std::string& build) {
    return value("SELECT state FROM builds WHERE id = '" + build + "'");
  }
  std::string message(const std::string& build) {
    return value("SELECT message FROM builds WHERE id = '" + build + "'");
  }
  void await_state(const std::string& build, const std::string& wanted) {
    eventually(build + " is " + wanted, [&] {
      const std::string now = state(build);
      if (now == "failed" && wanted != "failed") FAIL("the build failed: " << message(build));
      return now == wanted;
    });
  }
  /// What scheduler, agent and VM do: the output disk gets @p bytes and the build is `built`.
  void play_vm(const std::string& build, const std::string& bytes) {
    query("UPDATE builds SET state = 'running' WHERE id = '" + build + "' AND state = 'prepared'");
    {
      std::fstream disk(output(build), std::ios::in | std::ios::out | std::ios::binary);
      disk << bytes;
      REQUIRE(disk.good());
    }
    query("UPDATE builds SET state = 'built', output_bytes = " + std::to_string(bytes.size()) +
          " WHERE id = '" + build + "' AND state = 'running'");
  }
  std::filesystem::path folder(const std::string& build) const { return data() / "builds" / build; }
  std::filesystem::path output(const std::string& build) const {
    return folder(build) / "output.img";
  }

  /// Lines of the app's log so far, of service karreg.
  std::vector<std::string> log_of(const std::string& app) {
    std::vector<std::string> lines;
    auto reader = broker::StreamReader::open(broker_, broker::log_stream(app), {});
    REQUIRE(reader);
    for (;;) {
      auto message = reader->next(std::chrono::milliseconds(300));
      REQUIRE(message);
      if (!*message) return lines;
      const auto batch = wire::from_text<wire::LogBatch>((*message)->body, "LogBatch");
      REQUIRE(batch);
      CHECK(batch->app_id == app);
      CHECK(batch->service == "karreg");
      for (const auto& line : batch->lines) lines.push_back(line.text);
    }
  }

 private:
  ScratchFolder scratch_;
  TestDatabase database_;
  broker::Address broker_;
  std::unique_ptr<crypto::Vault> vault_;
  Environment env_;
  std::vector<std::string> apps_;
  Daemon builder_;
};

}  // namespace karreg::test
