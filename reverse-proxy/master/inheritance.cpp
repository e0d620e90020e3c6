#include "reverse-proxy/master/inheritance.hpp"

#include "common/json.hpp"

namespace karreg::proxy {

std::string to_text(const Inheritance& inheritance) {
  return nlohmann::json{{"line", inheritance.line},
                        {"number", inheritance.number},
                        {"plain", inheritance.plain},
                        {"tls", inheritance.tls},
                        {"admin", inheritance.admin}}
      .dump();
}

Result<Inheritance> read_inheritance(const std::string& text) {
  try {
    const auto all = nlohmann::json::parse(text);
    return Inheritance{all.at("line"), all.at("number"), all.at("plain"), all.at("tls"),
                       all.at("admin")};
  } catch (const nlohmann::json::exception&) {
    return Error(ErrorKind::invalid,
                 "karreg-proxy serve is started by karreg-proxy itself: run that without `serve`");
  }
}

}  // namespace karreg::proxy
