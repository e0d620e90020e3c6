#include "cli/job.hpp"

#include <chrono>
#include <thread>

#include "cli/follow.hpp"
#include "cli/log_stream.hpp"
#include "cli/retry.hpp"
#include "cli/times.hpp"
#include "common/text.hpp"

namespace karreg::cli {

using namespace std::chrono_literals;

namespace {

/// Between two looks at a job that has not begun.
constexpr auto eager_look = 250ms;
/// Its first line may be a little older than the moment at which it was asked for, by another
/// clock.
constexpr std::int64_t clocks_differ_ms = 60'000;
/// How far the clock of a VM may be ahead.
constexpr std::int64_t guest_clock_ms = 1'000;

std::string text_at(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Result<Job> look(Session& session, const Target& target, const std::string& id) {
  auto api = session.api();
  if (!api) return api.error();
  auto answer = (*api)->get(target.path() + "/jobs/" + id);
  if (!answer) return answer.error();
  return parse_job(*answer);
}

/// One line of the job: what is for errors goes there.
void show(Session& session, const SseEvent& event) {
  if (event.name != "APPLICATION_LOG") return;
  const Json line = Json::parse(event.data, nullptr, false);
  if (!line.is_object()) return;
  const std::string text = text_at(line, "message");
  const std::string stream = text_at(line, "stream");
  Terminal& terminal = session.terminal();
  if (stream == "out" && !session.json())
    terminal.print(text);
  else
    terminal.note(stream == "karreg" ? "karreg: " + harmless(text) : text);
}

}  // namespace

Result<Job> parse_job(const Json& answer) {
  if (!answer.is_object() || text_at(answer, "id").empty() || text_at(answer, "state").empty())
    return Error(ErrorKind::unavailable, "The platform answered something that is no job.");
  Job job;
  job.id = text_at(answer, "id");
  job.kind = text_at(answer, "kind");
  job.command = text_at(answer, "command");
  job.state = text_at(answer, "state");
  job.message = text_at(answer, "message");
  if (const auto code = answer.find("exitCode"); code != answer.end() && code->is_number_integer())
    job.exit_code = code->get<int>();
  job.instance = text_at(answer, "instanceId");
  job.due = text_at(answer, "due");
  job.requested_at = text_at(answer, "requestedAt");
  job.started_at = text_at(answer, "startedAt");
  job.ended_at = text_at(answer, "endedAt");
  return job;
}

std::string shell_line(std::span<const std::string> words) {
  if (words.size() == 1) return words.front();
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : " ") + text::shell_quote(word);
  return line;
}

Result<Job> follow_job(Session& session, const Target& target, Job job) {
  auto since = parse_moment(job.requested_at, session.now_ms());
  if (!since) return since.error();
  std::string told;
  for (;;) {
    // Its VM is known once it has a place.
    while (!job.over() && job.instance.empty()) {
      if (job.message != told && !job.message.empty())
        session.terminal().note("karreg: " + harmless(job.message));
      told = job.message;
      std::this_thread::sleep_for(eager_look);
      auto seen = patiently([&] { return look(session, target, job.id); });
      if (!seen) return seen.error();
      job = *seen;
    }
    if (job.instance.empty()) return job;
    LogQuery query;
    query.instance_id = job.instance;
    query.since_ms = *since - clocks_differ_ms;
    auto last_look = std::chrono::steady_clock::now();
    std::optional<Error> trouble;
    bool moved = false;
    LogStream live(session, log_path(target, query));
    auto read = live.read([&](const SseEvent& event) {
      show(session, event);
      const auto now = std::chrono::steady_clock::now();
      if (event.name != "HEARTBEAT" && now - last_look < 1s) return true;
      last_look = now;
      auto seen = look(session, target, job.id);
      if (!seen) {
        if (!worth_a_retry(seen.error())) trouble = seen.error();
        return !trouble;
      }
      moved = seen->instance != job.instance;
      job = *seen;
      return !moved && !job.over();
    });
    if (trouble) return *trouble;
    if (!job.over()) {
      if (!moved && !read) return read.error();
      continue;
    }
    // All that it printed was kept before its end was known: a log that has an end gives the rest.
    query.instance_id = job.instance;
    query.until_ms = session.now_ms() + guest_clock_ms;
    auto rest = LogStream(session, log_path(target, query), moved ? std::string() : live.last_id())
                    .read([&](const SseEvent& event) {
                      show(session, event);
                      return true;
                    });
    if (!rest) return rest.error();
    return job;
  }
}

}  // namespace karreg::cli
