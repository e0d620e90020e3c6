#include "api/stores/vault_store.hpp"

namespace karreg::api {

namespace {
/// Every column that holds what crypto::Vault sealed.
Result<bool> holds_sealed_values(pqxx::work& work) {
  return work
      .exec1(
          "SELECT EXISTS (SELECT FROM oauth_consumers)"
          " OR EXISTS (SELECT FROM tokens WHERE sealed_secret IS NOT NULL)"
          " OR EXISTS (SELECT FROM app_env)"
          " OR EXISTS (SELECT FROM deployments WHERE sealed_env <> '')"
          " OR EXISTS (SELECT FROM certificates WHERE sealed_key <> '')"
          " OR EXISTS (SELECT FROM acme_accounts) OR EXISTS (SELECT FROM local_authority)")[0]
      .as<bool>();
}
}  // namespace

Result<crypto::Vault> open_vault(db::Database& database, const std::string& key_file) {
  auto sealed = database.transact(holds_sealed_values);
  if (!sealed) return sealed.error();
  // When another process makes the key meanwhile, its key is the one that counts.
  return *sealed ? crypto::Vault::open_existing(key_file) : crypto::Vault::open_or_create(key_file);
}

}  // namespace karreg::api
