#pragma once
// git pushing to a real karreg-api.

#include <future>

#include "a_platform.hpp"

namespace karreg::test {

inline const std::string zero_id(40, '0');

/// A packet of git's protocol.
inline std::string packet(const std::string& payload) {
  std::array<char, 5> length;
  std::snprintf(length.data(), length.size(), "%04zx", payload.size() + 4);
  return length.data() + payload;
}

/// What differs from one push to another.
struct PushHow {
  std::string options = {};  ///< of git push
  std::string before = {};   ///< words before it, such as variables
  std::string tree = {};     ///< where; empty: Pushes::work()
};

/// An application, and work trees whose commits are pushed to it.
class Pushes : public CliPlatform {
 public:
  explicit Pushes(const Environment& more = {}) : CliPlatform(more) {
    login();
    app_ = good("create --type static shop --format json").json()["id"].get<std::string>();
  }

  const std::string& app() const { return app_; }
  std::filesystem::path repository() const { return scratch() / ("data/repos/" + app_ + ".git"); }
  std::string git_url() const {
    return "http://" + user().text("token") + ":" + user().text("secret") +
           "@127.0.0.1:" + std::to_string(port()) + "/git/" + app_ + ".git";
  }
  /// Commits @p text in the work tree; the commit's id.
  std::string committed(const std::string& text) {
    commit(text);
    std::string id = must_run("git -C " + work().string() + " rev-parse HEAD");
    id.pop_back();
    return id;
  }
  /// `git push` of @p refspec; ends within a minute.
  Ran push(const std::string& refspec, const PushHow& how = {}) {
    return run("cd " + (how.tree.empty() ? work().string() : how.tree) +
               " && GIT_TERMINAL_PROMPT=0 " + how.before + " timeout 60 git push " + how.options +
               " " + git_url() + " " + refspec);
  }
  std::future<Ran> pushing(const std::string& refspec, const PushHow& how = {}) {
    return std::async(std::launch::async, [=, this] { return push(refspec, how); });
  }
  /// Where @p branch is; "" when there is none.
  std::string branch(const std::string& name = "master") const {
    Ran ran =
        run("git --git-dir=" + repository().string() + " rev-parse -q --verify refs/heads/" + name);
    if (!ran.output.empty()) ran.output.pop_back();
    return ran.output;
  }
  void await_branch(const std::string& commit) {
    eventually("the branch is at " + commit, [&] { return branch() == commit; });
  }
  void await_deployments(int n) {
    eventually(std::to_string(n) + " deployments are recorded", [&] {
      return database().value("SELECT count(*) FROM deployments") == std::to_string(n);
    });
  }
  /// A commit of @p text, its push and its deployment, which goes on until the test ends it.
  struct Begun {
    std::string commit;
    std::future<Ran> push;
  };
  Begun begin_push(const std::string& text) {
    scheduler().verdict("WIP");
    const int before = std::stoi(database().value("SELECT count(*) FROM deployments"));
    std::string commit = committed(text);
    auto push = pushing(commit + ":refs/heads/master");
    await_deployments(before + 1);
    return {std::move(commit), std::move(push)};
  }
  std::string state(int number) {
    return database().value("SELECT state FROM deployments WHERE number = " +
                            std::to_string(number));
  }
  std::string open_pushes() { return database().value("SELECT count(*) FROM open_pushes"); }
  /// Ends deployment @p number as OK, and no other.
  void put_in_service(int number) {
    database().query(
        "UPDATE deployments SET state = 'OK', phase = 'ended', ended_at = now() WHERE "
        "number = " +
        std::to_string(number));
  }

 private:
  std::string app_;
};

}  // namespace karreg::test
