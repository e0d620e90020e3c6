#include "builder/app_log.hpp"

#include <future>
#include <memory>

#include "common/broker/topology.hpp"
#include "common/clock.hpp"
#include "common/log.hpp"
#include "common/wire/json.hpp"
#include "common/wire/logs.hpp"

namespace karreg::builder {

void AppLog::write(const std::string& app_id, const std::string& deployment_id,
                   const std::vector<std::string>& lines) {
  const std::int64_t now = unix_ns();
  wire::LogBatch batch;
  batch.app_id = app_id;
  batch.deployment_id = deployment_id;
  batch.service = "karreg";
  for (const std::string& line : lines) batch.lines.push_back({now, "karreg", line});

  auto confirmed = std::make_shared<std::promise<void>>();
  auto future = confirmed->get_future();
  auto queued =
      publisher_.publish_to_stream(broker::log_stream(app_id), wire::to_text(batch),
                                   [confirmed](const Result<void>&) { confirmed->set_value(); });
  if (!queued) {
    log::warn("lines of an app's log were lost",
              {log::field("app", app_id), log::field("why", queued.error().message())});
  } else if (future.wait_for(patience_) != std::future_status::ready) {
    log::warn("the broker has not confirmed an app's log yet", {log::field("app", app_id)});
  }
}

}  // namespace karreg::builder
