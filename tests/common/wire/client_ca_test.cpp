#include <catch2/catch.hpp>

#include "common/json.hpp"
#include "common/wire/rules.hpp"

using namespace karreg::wire;
using nlohmann::json;

namespace {

const std::string authority =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBsDCCAVegAwIBAgIUduaS30icMh3MY3ofNje6PjSVKnkwCgYIKoZIzj0EAwIw\n"
    "JTEjMCEGA1UEAwwaQW4gZXhhbXBsZSBvZiBhbiBhdXRob3JpdHkwIBcNMjYxMTI3\n"
    "MTAyNTU2WhgPMjEyNjExMDMxMDI1NTZaMCUxIzAhBgNVBAMMGkFuIGV4YW1wbGUg\n"
    "b2YgYW4gYXV0aG9yaXR5MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEGbWKuGCt\n"
    "k8evXOKB4PInrPErhY6jfkpbIES9MQxIzVjROD9V/Y38arzXOSxkxnghMZ7WGd+v\n"
    "PcnHhuV7Rl18uaNjMGEwHQYDVR0OBBYEFIlFR2Mm6VsErsXQx9id6K2nkZYwMB8G\n"
    "A1UdIwQYMBaAFIlFR2Mm6VsErsXQx9id6K2nkZYwMA8GA1UdEwEB/wQFMAMBAf8w\n"
    "DgYDVR0PAQH/BAQDAgEGMAoGCCqGSM49BAMCA0cAMEQCICJWaVm5dUgjDBU7Hev/\n"
    "+hv3tNdnAv/SSG3daX6ZDBgGAiBGgbi4XU9Qg7aMzPL+7hLvc6SNgvf6Z2mQ6Odi\n"
    "WzdO4g==\n"
    "-----END CERTIFICATE-----\n";
const std::string visitor =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBbTCCARKgAwIBAgIURM0FNufjEvUvdpMthJV6oU+Kb+IwCgYIKoZIzj0EAwIw\n"
    "DDEKMAgGA1UEAwwBeDAgFw0yNjExMjcxMDI1NTZaGA8yMTI2MTEwMzEwMjU1Nlow\n"
    "DDEKMAgGA1UEAwwBeDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABOTHImrVdD8n\n"
    "aRYd0BajMkJbnd8iZTfuuivQaQjQCaQohxcjOzLlGApqVYxRUyigSF5M5JczxRQu\n"
    "qOHDEluM+WujUDBOMB0GA1UdDgQWBBTHN8pHDGaZ1SzU0mrmmkz+8HTyPDAfBgNV\n"
    "HSMEGDAWgBTHN8pHDGaZ1SzU0mrmmkz+8HTyPDAMBgNVHRMBAf8EAjAAMAoGCCqG\n"
    "SM49BAMCA0kAMEYCIQDTSJQCVMNQOQi9rHdrKIk6LzHIw6pMxW/CX8GnLLQ5QAIh\n"
    "APMMqkdPeQQF8tLt41b5OIXp1mIOP5fQPuVmlpGIPM7F\n"
    "-----END CERTIFICATE-----\n";

/// Why the rule is refused with @p ca; "fine" when it is not.
std::string refusal(const std::string& ca) {
  const auto rules = read_rules({{"client_certificates", {{"ca", ca}}}});
  if (rules) return "fine";
  const auto& why = rules.error().message();
  const auto but = why.find(", but ");
  return but == std::string::npos ? why : why.substr(but + 6);
}

}  // namespace

TEST_CASE("client certificates are required, unless they are optional") {
  for (const bool required : {true, false}) {
    const json text{
        {"client_certificates", {{"ca", authority}, {"mode", required ? "required" : "optional"}}}};
    const auto rules = read_rules(text);
    REQUIRE(rules);
    CHECK(rules->client_certificates == ClientCertificates{authority, required});
    CHECK(rules_json(*rules) == text);
  }
  CHECK(read_rules({{"client_certificates", {{"ca", authority}}}})->client_certificates->required);
  CHECK(
      read_rules({{"client_certificates", json::object()}}).error().message() ==
      "rules: client_certificates.ca is \"\", but must have the certificate of who made theirs, as "
      "PEM");
  const auto other = read_rules({{"client_certificates", {{"ca", authority}, {"mode", "maybe"}}}});
  REQUIRE_FALSE(other);
  CHECK(other.error().message() ==
        "rules: client_certificates.mode is \"maybe\", but must be required or optional");
}

TEST_CASE("an authority for visitors is one, in PEM, without its key") {
  CHECK(refusal(authority) == "fine");
  CHECK(refusal(authority + authority) == "fine");
  // As a shell hands it on, and with what `openssl x509 -text` writes before it.
  CHECK(refusal(authority.substr(0, authority.size() - 1)) == "fine");
  CHECK(refusal("Certificate:\n    Data:\n" + authority) == "fine");
  CHECK(refusal("") == refusal("ours"));
  CHECK(refusal("ours") == "must be PEM: \"-----BEGIN CERTIFICATE-----\" and so on");
  CHECK(refusal(authority + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n") ==
        "must be PEM that can be read; a certificate in it cannot");
  CHECK_THAT(refusal(visitor), Catch::StartsWith("must have certificates of authorities"));
  CHECK_THAT(refusal(authority + visitor), Catch::StartsWith("must have certificates of auth"));
  CHECK_THAT(refusal(authority + "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
             Catch::StartsWith("must not have a private key"));
  std::string many;
  for (int i = 0; i < 11; ++i) many += authority;
  CHECK(refusal(many) == "must not have more than 10 certificates");
  CHECK(refusal(authority + std::string(RuleBounds::ca_bytes, '\n')) ==
        "must be PEM of at most 16384 bytes");
  CHECK(refusal(authority + '\0') == "must be PEM of at most 16384 bytes");
}
