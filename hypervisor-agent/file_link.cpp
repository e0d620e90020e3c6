#include "hypervisor-agent/file_link.hpp"

#include <cstdio>

#include "common/wire/json.hpp"
#include "hypervisor-agent/files.hpp"

namespace karreg::agent {

namespace {
Result<void> print(const char* what, const std::string& json, const Uplink::Done& done) {
  std::printf("{\"%s\":%s}\n", what, json.c_str());
  std::fflush(stdout);
  if (done) done(ok());
  return ok();
}
}  // namespace

Result<void> FileLink::report(const wire::HostReport& report, Done done) {
  return print("report", wire::to_text(report), done);
}

Result<void> FileLink::log(const wire::LogBatch& batch, Done done) {
  return print("log", wire::to_text(batch), done);
}

Result<wire::HostDesired> read_desired(const std::string& path) {
  auto text = read_whole(path);
  if (!text) return text.error();
  return wire::from_text<wire::HostDesired>(*text, path);
}

}  // namespace karreg::agent
