#pragma once
// The steps of a plan, run for real.

#include "a_tree.hpp"
#include "support/scratch.hpp"

namespace karreg::builder {

/// Runs the steps of the plan for @p files as the build VM does, with /app, /cache and /tmp moved
/// into a scratch folder. Files under tools/ become programs that are found first, files of which
/// the first two bytes are "#!" become executable.
class Built {
 public:
  explicit Built(const Files& files, const Env& env = {}, const Files& tools = {}) {
    for (const auto& [name, text] : files) write("app/" + name, text);
    for (const auto& [name, text] : tools) write("tools/" + name, text);
    for (const auto& step : plan_of(files, env).steps) {
      test::write_file(scratch_ / "step.sh", moved(step.command));
      ran_ = test::run("cd " + (scratch_ / "app").string() +
                       " && export PATH=" + (scratch_ / "tools").string() +
                       ":$PATH CC=clang-19 CXX=clang++-19 CMAKE_GENERATOR=Ninja && "
                       "/bin/bash -e -o pipefail " +
                       (scratch_ / "step.sh").string());
      if (ran_.exit_code != 0) {
        failed_step_ = step.name;
        return;
      }
    }
  }
  const std::string& failed_step() const { return failed_step_; }
  /// Of the last step, with the folder moved back, line breaks as blanks.
  std::string output() const {
    std::string text = ran_.output;
    for (auto at = text.find(scratch_.path().string()); at != std::string::npos;
         at = text.find(scratch_.path().string()))
      text.erase(at, scratch_.path().string().size());
    std::string flat;
    for (const char c : text) {
      if (c == '\n' || c == ' ') {
        if (!flat.ends_with(' ')) flat += ' ';
      } else {
        flat += c;
      }
    }
    return flat;
  }
  std::string start() const { return test::must_run((scratch_ / "app/.karreg/start").string()); }
  bool has(const std::string& file) const {
    return std::filesystem::exists(scratch_ / ("app/" + file));
  }

 private:
  void write(const std::string& name, const std::string& text) {
    test::write_file(scratch_ / name, text);
    if (text.starts_with("#!"))
      std::filesystem::permissions(scratch_ / name, std::filesystem::perms::all);
  }

  /// @p command with every absolute path of the build VM under the scratch folder.
  std::string moved(std::string command) const {
    for (const std::string path : {"/app", "/cache", "/tmp/karreg-executable"}) {
      const std::string there = scratch_.path().string() + path.substr(path.rfind('/'));
      for (auto at = command.find(path); at != std::string::npos;
           at = command.find(path, at + there.size()))
        command.replace(at, path.size(), there);
    }
    return command;
  }

  test::ScratchFolder scratch_;
  test::Ran ran_;
  std::string failed_step_;
};

}  // namespace karreg::builder
