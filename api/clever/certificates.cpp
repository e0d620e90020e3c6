// Certificates of an application's domains: what the platform gets by itself, and what owners
// bring. Not in the vendor's public API; the shape is ours.
#include "api/clever/resources.hpp"
#include "api/stores/apps_store.hpp"
#include "api/stores/certificates_store.hpp"

namespace karreg::api::clever {

using nlohmann::json;

namespace {

json or_null(const std::optional<std::int64_t>& number) {
  return number ? json(*number) : json();
}

json json_of(const UploadedCertificate& certificate) {
  return {{"id", certificate.id},
          {"names", certificate.names},
          {"domains", certificate.hosts},
          {"notBefore", certificate.not_before_ms},
          {"notAfter", certificate.not_after_ms}};
}

Result<Answer> list(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  json domains = json::array();
  for (const auto& domain : certificates_of_domains(work, *app))
    domains.push_back({{"domain", domain.host},
                       {"state", domain.state},
                       {"origin", domain.origin.empty() ? json() : json(domain.origin)},
                       {"notAfter", or_null(domain.not_after_ms)},
                       {"error", domain.error.empty() ? json() : json(domain.error)},
                       {"nextTry", or_null(domain.next_try_ms)}});
  json uploaded = json::array();
  for (const auto& certificate : uploaded_certificates(work, app->id))
    uploaded.push_back(json_of(certificate));
  return Answer{200, {{"domains", domains}, {"uploaded", uploaded}}, {}};
}

Result<Answer> upload(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  auto body = json_object(call.body);
  if (!body) return body.error();
  auto chain = field<std::string>(*body, "chain", "");
  if (!chain) return chain.error();
  auto key = field<std::string>(*body, "key", "");
  if (!key) return key.error();
  auto uploaded =
      upload_certificate(work, call.services.vault.for_certificates(), *app, *chain, *key);
  if (!uploaded) return uploaded.error();
  return Answer{201, json_of(*uploaded), {}};
}

Result<Answer> remove(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  auto removed = remove_certificate(work, app->id, call.at("certificateId"));
  if (!removed) return removed.error();
  return done("The certificate is removed");
}

}  // namespace

void add_certificates(Routes& routes) {
  routes.add_owned("GET", "/applications/{appId}/certificates", list);
  routes.add_owned("POST", "/applications/{appId}/certificates", upload);
  routes.add_owned("DELETE", "/applications/{appId}/certificates/{certificateId}", remove);
}

}  // namespace karreg::api::clever
