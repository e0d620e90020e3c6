#pragma once
// A platform that orders certificates: real karreg-scheduler and karreg-proxy, PostgreSQL,
// RabbitMQ, and pebble, the ACME server of Let's Encrypt's authors, with the name server that comes
// with it.

#include <algorithm>
#include <exception>
#include <iostream>

#include "common/broker/publisher.hpp"
#include "common/crypto/certificate.hpp"
#include "common/crypto/vault.hpp"
#include "common/wire/catalogue.hpp"
#include "common/wire/json.hpp"
#include "support/an_api.hpp"

namespace karreg::test {

/// A certificate authority's server, with its names and its checks.
class Pebble {
 public:
  struct Wish {
    std::uint16_t http_port = 0;  ///< where it asks for http-01
    std::uint16_t tls_port = 0;   ///< ... for tls-alpn-01
    int validity_seconds = 3600;
  };
  Pebble(const ScratchFolder& scratch, const Wish& wish)
      : folder_(scratch / "pebble"),
        names_(folder_ / "names", scratch / "names.log"),
        server_(folder_ / "server", scratch / "pebble.log") {
    const auto dns = std::to_string(free_port());
    management_ = std::to_string(free_port());
    port_ = std::to_string(free_port());
    roots_ = std::to_string(free_port());
    make_certificates();
    const Json config = {{"pebble",
                          {{"listenAddress", "127.0.0.1:" + port_},
                           {"managementListenAddress", "127.0.0.1:" + roots_},
                           {"certificate", (folder_ / "server.pem").string()},
                           {"privateKey", (folder_ / "server.key").string()},
                           {"httpPort", wish.http_port},
                           {"tlsPort", wish.tls_port},
                           {"certificateValidityPeriod", wish.validity_seconds}}}};
    write_file(folder_ / "config.json", config.dump());
    script("names",
           "exec pebble-challtestsrv -defaultIPv6 '' -defaultIPv4 '' -http01 '' -https01 "
           "'' -tlsalpn01 '' -dns01 127.0.0.1:" +
               dns + " -management 127.0.0.1:" + management_);
    script("server", "exec pebble -config " + (folder_ / "config.json").string() +
                         " -dnsserver 127.0.0.1:" + dns);
    const Environment environment{{"PATH", std::getenv("PATH")}, {"PEBBLE_VA_NOSLEEP", "1"}};
    names_.start(environment);
    server_.start(environment);
    server_.await_log("ACME directory available");
    eventually("the name server is up",
               [&] { return run(manage("clear-a", R"({"host":"nobody.test"})")).exit_code == 0; });
  }

  std::string directory() const { return "https://127.0.0.1:" + port_ + "/dir"; }
  std::string ca_file() const { return (folder_ / "server.pem").string(); }
  /// The root of what it issues, in a file.
  std::string root() const {
    const auto file = (folder_ / "root.pem").string();
    must_run("curl -sSf --max-time 10 --cacert " + ca_file() + " -o " + file +
             " https://127.0.0.1:" + roots_ + "/roots/0");
    return file;
  }
  /// @p name leads to this machine from now on.
  void resolves(const std::string& name) const {
    must_run(manage("add-a", Json{{"host", name}, {"addresses", {"127.0.0.1"}}}.dump()));
  }
  /// A DNS hook as an operator would write one.
  std::string dns_hook() const {
    return script(
        "hook", "echo \"$@\" >>" + (folder_ / "hook.log").string() +
                    "\ncase $1 in set) what=set-txt ;; unset) what=clear-txt ;; *) exit 2 ;; esac\n"
                    "exec curl -sSf --max-time 10 -o /dev/null -d "
                    "\"{\\\"host\\\":\\\"$2.\\\",\\\"value\\\":\\\"$3\\\"}\" "
                    "http://127.0.0.1:" +
                    management_ + "/$what");
  }
  std::string hook_log() const { return read_file(folder_ / "hook.log"); }
  std::string log() const { return server_.log(); }
  void stop() { server_.stop(SIGKILL); }

 private:
  std::string script(const std::string& name, const std::string& text) const {
    const auto file = folder_ / name;
    write_file(file, "#!/bin/sh\nexec 1>&2\n" + text + "\n");
    std::filesystem::permissions(file, std::filesystem::perms::owner_all);
    return file.string();
  }
  std::string manage(const std::string& what, const std::string& body) const {
    return "curl -sSf --max-time 10 -o /dev/null -d '" + body +
           "' http://127.0.0.1:" + management_ + "/" + what;
  }
  /// Of its own https, by address: a name would be asked for at the machine's name server, which
  /// may take its time.
  void make_certificates() const {
    std::filesystem::create_directories(folder_);
    must_run(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "
        "/CN=pebble -addext subjectAltName=IP:127.0.0.1 -keyout " +
        (folder_ / "server.key").string() + " -out " + (folder_ / "server.pem").string());
  }

  std::filesystem::path folder_;
  Daemon names_;
  Daemon server_;
  std::string management_;
  std::string port_;
  std::string roots_;
};

class CertifiedPlatform {
 public:
  CertifiedPlatform() : CertifiedPlatform(nullptr) {
    REQUIRE(crypto::Vault::open_or_create(key_file_));
    database_.query("INSERT INTO organisations (id, name) VALUES ('orga_1', 'One')");
  }
  /// Around @p api, whose database it uses.
  explicit CertifiedPlatform(AnApi* api)
      : own_database_(api == nullptr ? std::make_unique<TestDatabase>("certificates") : nullptr),
        database_(api == nullptr ? *own_database_ : api->database()),
        key_file_(((api == nullptr ? scratch_ : api->scratch()) / "secret.key").string()),
        scheduler_(program("karreg-scheduler"), scratch_ / "scheduler.log") {
    write_file(scratch_ / "images/catalogue.json", wire::to_text(wire::Catalogue{}));
    // What proxies of earlier tests have reported.
    broker::Publisher publisher(test_broker());
    REQUIRE(publisher.delete_queue("scheduler-news"));
    publisher.stop(std::chrono::seconds(10));
  }
  /// What a failed test leaves to be read.
  ~CertifiedPlatform() {
    if (std::uncaught_exceptions() == 0) return;
    std::cerr << scheduler_.log();
    for (const auto& [id, proxy] : proxies_) std::cerr << id << ":\n" << proxy->daemon.log();
    if (pebble_) std::cerr << pebble_->log();
  }
  CertifiedPlatform(const CertifiedPlatform&) = delete;
  CertifiedPlatform& operator=(const CertifiedPlatform&) = delete;

  /// A reverse proxy of the platform.
  struct AProxy {
    AProxy(const std::string& path, const std::filesystem::path& log) : daemon(path, log) {}
    Daemon daemon;
    std::uint16_t http = 0;
    std::uint16_t https = 0;
  };
  /// @p with_broker: else it finds none.
  AProxy& start_proxy(const std::string& id, bool with_broker = true) {
    auto& proxy = proxies_[id];
    if (!proxy) proxy = std::make_unique<AProxy>(program("karreg-proxy"), scratch_ / (id + ".log"));
    auto settings = common_settings();
    if (!with_broker) settings["KARREG_BROKER_PORT"] = std::to_string(free_port());
    settings["KARREG_PROXY_ID"] = id;
    settings["KARREG_PROXY_LISTEN"] = "127.0.0.1:0";
    settings["KARREG_PROXY_TLS_LISTEN"] = "127.0.0.1:0";
    settings["KARREG_PROXY_ADMIN_LISTEN"] = "127.0.0.1:0";
    settings["KARREG_PROXY_WORKERS"] = "2";
    settings["KARREG_PROXY_ACCESS_LOG"] = "off";
    const auto starts = count(proxy->daemon.log(), "proxy is up");
    proxy->daemon.start(settings);
    eventually("the proxy is up",
               [&] { return count(whole_lines(proxy->daemon), "proxy is up") > starts; });
    proxy->http = last_number(proxy->daemon, " port=");
    proxy->https = last_number(proxy->daemon, "tls_port=");
    return *proxy;
  }
  Pebble& start_pebble(const Pebble::Wish& wish) {
    pebble_ = std::make_unique<Pebble>(scratch_, wish);
    return *pebble_;
  }
  void start_scheduler(const Environment& more = {}) {
    auto settings = common_settings();
    settings["KARREG_DATABASE_URL"] = database_.url();
    settings["KARREG_SCHEDULER_IMAGES_DIR"] = (scratch_ / "images").string();
    if (pebble_) {
      settings["KARREG_SCHEDULER_ACME_DIRECTORY"] = pebble_->directory();
      settings["KARREG_SCHEDULER_ACME_CA_FILE"] = pebble_->ca_file();
      settings["KARREG_SCHEDULER_ACME_TERMS_AGREED"] = "true";
      settings["KARREG_SCHEDULER_ACME_EMAIL"] = "operator@example.org";
    }
    for (const auto& [name, value] : more) settings[name] = value;
    scheduler_.start(settings);
  }
  Daemon& scheduler() { return scheduler_; }
  TestDatabase& database() { return database_; }
  const ScratchFolder& scratch() const { return scratch_; }
  Pebble& pebble() { return *pebble_; }

  /// An application that owns @p host.
  void add_host(const std::string& host) {
    const auto app = ids::make("app_");
    database_.query(
        "INSERT INTO apps (id, org_id, name, zone, variant, min_flavor, max_flavor, build_flavor) "
        "VALUES ('" +
        app +
        "', 'orga_1', 'shop', 'par', 'node', 'pico', 'pico', 'XS');"
        "INSERT INTO vhosts (host, app_id) VALUES ('" +
        host + "', '" + app + "')");
  }
  std::string held(const std::string& column, const std::string& name) {
    return database_.value("SELECT " + column + " FROM certificates WHERE name = '" + name + "'");
  }
  /// Serial number of the certificate that a client which trusts @p root is shown for @p host;
  /// empty: it trusts none.
  static std::string serial(const AProxy& proxy, const std::string& host, const std::string& root) {
    const auto port = std::to_string(proxy.https);
    const auto seen =
        run("curl -sS --max-time 10 -o /dev/null -w '%{certs}' --cacert " + root + " --resolve " +
            host + ":" + port + ":127.0.0.1 https://" + host + ":" + port + "/ && echo trusted");
    if (seen.exit_code != 0) return "";
    const auto chain = crypto::read_certificates(seen.output);
    REQUIRE(chain);
    const Handle<BIGNUM, BN_free> number(
        ASN1_INTEGER_to_BN(X509_get_serialNumber(chain->front().get()), nullptr));
    char* digits = BN_bn2hex(number.get());
    std::string text = digits;
    OPENSSL_free(digits);
    return text;
  }
  /// Files under the scratch folder, but for what belongs to pebble, that hold a private key
  /// readably.
  std::vector<std::string> readable_keys() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(scratch_.path())) {
      if (!entry.is_regular_file() || entry.path().string().find("/pebble/") != std::string::npos)
        continue;
      if (read_file(entry.path()).find("PRIVATE KEY") != std::string::npos)
        found.push_back(entry.path().string());
    }
    return found;
  }

 private:
  Environment common_settings() const {
    auto settings = broker_settings(test_broker());
    settings["PATH"] = std::getenv("PATH");
    settings["KARREG_DATA_DIR"] = (scratch_ / "data").string();
    settings["KARREG_SECRETS_KEY_FILE"] = key_file_;
    return settings;
  }
  static std::string whole_lines(const Daemon& daemon) {
    const auto text = daemon.log();
    return text.substr(0, text.rfind('\n') + 1);
  }
  static std::uint16_t last_number(const Daemon& daemon, const std::string& mark) {
    const auto text = daemon.log();
    const auto at = text.find(mark, text.rfind("proxy is up"));
    REQUIRE(at != std::string::npos);
    return static_cast<std::uint16_t>(std::stoi(text.substr(at + mark.size())));
  }

  ScratchFolder scratch_;
  std::unique_ptr<TestDatabase> own_database_;
  TestDatabase& database_;
  std::string key_file_;
  std::unique_ptr<Pebble> pebble_;
  std::map<std::string, std::unique_ptr<AProxy>> proxies_;
  Daemon scheduler_;
};

}  // namespace karreg::test
