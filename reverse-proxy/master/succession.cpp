#include "reverse-proxy/master/succession.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace karreg::proxy {

namespace {
constexpr int killed_by_terminate = 128 + 15;

Succession::Action to(Succession::Do what, Succession::Process process) {
  return {what, process, "", 0};
}
Succession::Action warning(std::string why) {
  return {Succession::Do::warn, 0, std::move(why), 0};
}
Succession::Action end_with(int code) {
  return {Succession::Do::exit, 0, "", code};
}
}  // namespace

void Succession::adopt(Process next, std::optional<Process> serving, std::set<Process> leaving) {
  next_ = next;
  serving_ = serving;
  leaving_ = std::move(leaving);
  ever_served_ = serving.has_value();
}

Succession::Action Succession::start(Time now) {
  start_at_ = Time::max();
  coming_ = next_++;
  stage_ = Stage::starting;
  coming_by_ = now + times_.ready;
  return to(Do::start, *coming_);
}

Succession::Actions Succession::begin(Time now) {
  return {start(now)};
}

Succession::Actions Succession::let_serve(Time now) {
  stage_ = Stage::loading;
  coming_by_ = now + times_.serves;
  return {to(Do::serve, *coming_)};
}

Succession::Actions Succession::ready(Process process, Time now) {
  if (process != coming_ || stage_ != Stage::starting || stopping_) return {};
  if (!serving_) return let_serve(now);
  stage_ = Stage::waits;
  coming_by_ = now + times_.aside;
  return {to(Do::step_aside, *serving_)};
}

Succession::Actions Succession::is_aside(Process process, Time now) {
  if (process != serving_) return {};
  aside_ = true;
  if (!coming_) {
    // Who was to succeed it has ended meanwhile.
    aside_ = false;
    return {to(Do::come_back, process)};
  }
  return stage_ == Stage::waits ? let_serve(now) : Actions{};
}

Succession::Actions Succession::stays(Process process, const std::string& why) {
  if (process != serving_ || !coming_) return {};
  return {warning("the upgrade is given up: " + why), to(Do::kill, *coming_)};
}

Succession::Actions Succession::serves(Process process, Time now) {
  if (process != coming_) return {};
  Actions actions;
  if (serving_) {
    leaving_.insert(*serving_);
    actions.push_back(to(Do::leave, *serving_));
  }
  serving_ = process;
  aside_ = false;
  serving_since_ = now;
  ever_served_ = true;
  coming_.reset();
  coming_by_ = Time::max();
  return actions;
}

void Succession::start_later(Time now) {
  auto pause = times_.first_pause;
  for (int i = 1; i < failures_ && pause < times_.longest_pause; ++i) pause *= 2;
  start_at_ = failures_ == 0 ? now : now + std::min(pause, times_.longest_pause);
}

Succession::Actions Succession::one_ended_while_stopping(int code) {
  // One that had not come as far as to handle the signal has ended as it was told, too.
  if (code != killed_by_terminate) exit_code_ = std::max(exit_code_, code);
  if (serving_ || coming_ || !leaving_.empty()) return {};
  return {end_with(exit_code_)};
}

Succession::Actions Succession::successor_ended(int code, Time now) {
  if (serving_) {
    Actions actions{warning(
        fmt::format("the new process ended with {} before it served: the old one goes on", code))};
    if (std::exchange(aside_, false)) actions.push_back(to(Do::come_back, *serving_));
    return actions;
  }
  // It has said why.
  if (!ever_served_) return {end_with(code)};
  ++failures_;
  start_later(now);
  return {warning(fmt::format("a serving process ended with {} before it served", code))};
}

Succession::Actions Succession::ended(Process process, int code, Time now) {
  const bool was_serving = process == serving_;
  const bool was_coming = process == coming_;
  if (was_serving) serving_.reset();
  if (was_coming) {
    coming_.reset();
    coming_by_ = Time::max();
  }
  leaving_.erase(process);
  if (stopping_) return one_ended_while_stopping(code);
  if (was_coming) return successor_ended(code, now);
  if (!was_serving) return {};
  Actions actions{warning(fmt::format("the serving process ended with {}", code))};
  aside_ = false;
  if (coming_) {
    if (stage_ == Stage::waits)
      for (auto& action : let_serve(now)) actions.push_back(std::move(action));
    return actions;
  }
  failures_ = now - serving_since_ >= times_.lived_well ? 0 : failures_ + 1;
  start_later(now);
  return actions;
}

Succession::Actions Succession::upgrade_wanted() {
  if (stopping_) return {};
  if (checking_ || coming_ || !serving_)
    return {warning("no upgrade: a process is being started already")};
  checking_ = true;
  return {to(Do::check, 0)};
}

Succession::Actions Succession::checked(int code) {
  checking_ = false;
  if (stopping_) return {};
  if (code != 0)
    return {warning(fmt::format("no upgrade: the new program ended its check with {}", code))};
  return {to(Do::exec, 0)};
}

Succession::Actions Succession::stop(Time now, std::chrono::milliseconds grace) {
  stopping_ = true;
  start_at_ = Time::max();
  coming_by_ = Time::max();
  if (stop_by_ == Time::max()) stop_by_ = now + grace + times_.stop;
  Actions actions;
  if (serving_) actions.push_back(to(Do::terminate, *serving_));
  if (coming_) actions.push_back(to(Do::terminate, *coming_));
  for (auto process : leaving_) actions.push_back(to(Do::terminate, process));
  if (actions.empty()) actions.push_back(end_with(exit_code_));
  return actions;
}

Succession::Time Succession::next() const {
  return std::min({coming_by_, start_at_, stop_by_});
}

Succession::Actions Succession::pass(Time now) {
  Actions actions;
  if (now >= start_at_) actions.push_back(start(now));
  if (now >= coming_by_) {
    coming_by_ = Time::max();
    actions.push_back(warning("the new process takes too long"));
    actions.push_back(to(Do::kill, *coming_));
  }
  if (now >= stop_by_) {
    stop_by_ = Time::max();
    if (serving_) actions.push_back(to(Do::kill, *serving_));
    if (coming_) actions.push_back(to(Do::kill, *coming_));
    for (auto process : leaving_) actions.push_back(to(Do::kill, process));
  }
  return actions;
}

}  // namespace karreg::proxy
