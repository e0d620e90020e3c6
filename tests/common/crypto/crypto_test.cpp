#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>

#include "common/crypto/digest.hpp"
#include "common/crypto/password.hpp"
#include "common/crypto/vault.hpp"

using namespace karreg;
using namespace karreg::crypto;

namespace {
struct TemporaryFolder {
  TemporaryFolder() {
    char name[] = "/tmp/karreg-crypto-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    path = name;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  std::string path;
};
}  // namespace

TEST_CASE("digests agree with published vectors") {
  // FIPS 180-2 "abc"; RFC 4231 test case 2.
  CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(to_hex(hmac_sha512("Jefe", "what do ya want for nothing?")) ==
        "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8"
        "f0e6"
        "fdcaeab1a34d4a6b4b636e070a38bce737");
}

TEST_CASE("base64 and hexadecimal come back, and refuse what they are not") {
  for (const std::string text : {"", "f", "fo", "foo", "foob"}) {
    CHECK(*base64_decode(base64_encode(text)) == text);
    CHECK(*from_hex(to_hex(text)) == text);
  }
  CHECK(base64_encode("foob") == "Zm9vYg==");
  for (const auto* bad : {"Zg", "Z===", "Zm9v*g==", "=Zm9"}) CHECK_FALSE(base64_decode(bad));
  CHECK_FALSE(from_hex("abc"));
  CHECK_FALSE(from_hex("zz"));
}

TEST_CASE("a password is verified by its hash and no other is") {
  const std::string hash = hash_password("open sesame");
  CHECK(verify_password("open sesame", hash));
  CHECK_FALSE(verify_password("open sesam", hash));
  CHECK_FALSE(verify_password("open sesame", "scrypt$1$1$1$x$y"));
  CHECK(hash != hash_password("open sesame"));
}

TEST_CASE("a sealed secret opens only unchanged, in its context, under its key") {
  TemporaryFolder folder;
  auto vault = Vault::open_or_create(folder.path + "/key");
  REQUIRE(vault);
  const std::string sealed = vault->seal("secret", "app_1");
  CHECK(*vault->open(sealed, "app_1") == "secret");
  CHECK_FALSE(vault->open(sealed, "app_2"));
  std::string changed = sealed;
  changed[20] = changed[20] == 'A' ? 'B' : 'A';
  CHECK_FALSE(vault->open(changed, "app_1"));
  CHECK_FALSE(Vault::open_or_create(folder.path + "/other")->open(sealed, "app_1"));
  CHECK(*Vault::open_or_create(folder.path + "/key")->open(sealed, "app_1") == "secret");
  CHECK(vault->open(vault->seal("", ""), "")->empty());
}

TEST_CASE("who can open keys of certificates can open no other secret, nor the other way round") {
  TemporaryFolder folder;
  const auto vault = Vault::open_or_create(folder.path + "/key");
  REQUIRE(vault);
  const auto certificates = vault->for_certificates();
  CHECK_FALSE(certificates.open(vault->seal("secret", "id"), "id"));
  CHECK_FALSE(vault->open(certificates.seal("key", "id"), "id"));
  CHECK(*vault->for_certificates().open(certificates.seal("key", "id"), "id") == "key");
}

TEST_CASE("the key file is for its owner alone") {
  TemporaryFolder folder;
  REQUIRE(Vault::open_or_create(folder.path + "/key"));
  struct stat info{};
  REQUIRE(stat((folder.path + "/key").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777U) == 0600U);
}

TEST_CASE("a key that is missing is asked for, not replaced") {
  TemporaryFolder folder;
  const std::string path = folder.path + "/key";
  auto missing = Vault::open_existing(path);
  REQUIRE_FALSE(missing);
  CHECK(missing.error().kind() == karreg::ErrorKind::not_found);
  CHECK_THAT(missing.error().message(),
             Catch::StartsWith("the key file " + path + " (setting secrets.key_file) is missing") &&
                 Catch::Contains("restore it from the backup"));
  CHECK(::access(path.c_str(), F_OK) != 0);
  const auto sealed = Vault::open_or_create(path)->seal("secret", "app_1");
  CHECK(*Vault::open_existing(path)->open(sealed, "app_1") == "secret");
}
