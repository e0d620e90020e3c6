#include "cli/made_commit.hpp"

#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <utility>
#include <vector>

#include "cli/child.hpp"
#include "cli/git.hpp"

namespace karreg::cli {
namespace {

namespace fs = std::filesystem;

/// Whether @p text may be a reference to an image: what a line of a Dockerfile takes as one word.
/// Whether there is such an image, the registry says.
bool is_reference(const std::string& text) {
  const auto begins = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !text.empty() && text.size() <= 500 && begins(text.front()) &&
         std::ranges::all_of(
             text, [&](char c) { return begins(c) || std::string_view("._-/:@").contains(c); });
}

Result<fs::path> new_folder() {
  std::string name = (fs::temp_directory_path() / "karreg-commit.XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr)
    return Error(ErrorKind::internal, name + ": " + std::strerror(errno));
  return fs::path(name);
}

/// Runs git and the unpackers for one commit.
class Maker {
 public:
  Maker(fs::path scratch, const MadeCommit::Destination& to, const Environment& environment)
      : scratch_(std::move(scratch)), to_(to), environment_(environment), login_(environment) {
    // Where the caller is in a repository, its own folders must not be taken for ours.
    for (const char* name :
         {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"}) {
      environment_.erase(name);
      login_.erase(name);
    }
    add_login(login_, to.profile);
  }

  /// The only file of the commit.
  Result<void> write(const std::string& name, const std::string& text) {
    std::error_code failed;
    fs::create_directories(tree_, failed);
    std::ofstream file(tree_ / name);
    file << text;
    file.close();
    if (failed || !file)
      return Error(ErrorKind::internal, (tree_ / name).string() + " cannot be written");
    return ok();
  }

  Result<void> unpack(const fs::path& file) {
    auto is_zip = begins_as_zip(file);
    if (!is_zip) return is_zip.error();
    std::error_code failed;
    fs::create_directories(tree_, failed);
    if (failed) return Error(ErrorKind::internal, tree_.string() + ": " + failed.message());
    // tar refuses what leaves the folder, and makes links last of all.
    auto end =
        *is_zip ? run({"unzip", "-q", "-o", file.string(), "-d", tree_.string()}, Says::to_people)
                : run({"tar", "-xf", file.string(), "-C", tree_.string(), "--no-same-owner",
                       "--no-same-permissions"},
                      Says::to_people);
    if (!end) return end.error();
    if (end->exit_code != 0)
      return Error(
          ErrorKind::invalid,
          fmt::format(
              "{} could not be unpacked: {} ended with exit code {}; what it said stands "
              "above. A tar archive (.tar, .tar.gz, .tar.xz, .tar.zst) or a zip file is taken.",
              file.string(), *is_zip ? "unzip" : "tar", end->exit_code));
    return tidy(file);
  }

  /// The commit of what is there, on top of what the branch has; that commit itself where it has
  /// the same files.
  Result<std::string> commit(const std::string& message) {
    auto parent = fetch();
    if (!parent) return parent;
    return commit_onto(*parent, message);
  }

 private:
  /// The tip of the branch, fetched; empty where there is no such branch.
  Result<std::string> fetch() {
    if (auto made = git({"init", "-q", "--bare", git_.string()}); !made) return made.error();
    std::ofstream attributes(git_ / "info/attributes");
    // Bytes are what they are: no line ends are turned, and no filter of the user's runs.
    attributes << "* -text -filter -ident -working-tree-encoding\n";
    attributes.close();
    if (!attributes) return Error(ErrorKind::internal, git_.string() + " cannot be written");
    const std::string ref = "refs/heads/" + to_.branch;
    auto listed = git({"ls-remote", to_.url, ref}, Says::to_people, login_);
    if (!listed) return listed.error();
    if (listed->empty()) return std::string();
    auto fetched =
        git({"fetch", "-q", "--depth=1", "--no-tags", to_.url, ref}, Says::to_people, login_);
    if (!fetched) return fetched.error();
    return git({"rev-parse", "FETCH_HEAD"});
  }

  Result<std::string> commit_onto(const std::string& parent, const std::string& message) {
    auto added = git({"--work-tree=" + tree_.string(), "add", "--all", "--force", "."});
    if (!added) return added.error();
    auto files = git({"write-tree"});
    if (!files) return files;
    std::vector<std::string> words = {"commit-tree", "-m", message, *files};
    if (!parent.empty()) {
      auto before = git({"rev-parse", parent + "^{tree}"});
      if (!before) return before;
      if (*before == *files) return parent;
      words.insert(words.end(), {"-p", parent});
    }
    if (auto known = git({"var", "GIT_COMMITTER_IDENT"}, Says::nothing); !known)
      for (const char* who : {"AUTHOR", "COMMITTER"}) {
        environment_["GIT_" + std::string(who) + "_NAME"] = "karreg deploy";
        environment_["GIT_" + std::string(who) + "_EMAIL"] = "karreg@localhost";
      }
    return git(std::move(words));
  }

  enum class Says { nothing, to_people };

  Result<ChildEnd> run(std::vector<std::string> argv, Says says) {
    ChildOptions options;
    options.argv = std::move(argv);
    options.environment = environment_;
    options.capture_output = true;
    options.quiet = says == Says::nothing;
    return run_child(options);
  }

  /// What git printed, without its last line end. Error `unavailable` when it failed.
  Result<std::string> git(std::vector<std::string> words, Says says,
                          const Environment& environment) {
    ChildOptions options;
    options.argv = {"git", "-c", "credential.helper=", "-c", "core.autocrlf=false"};
    if (words.front() != "init") options.argv.push_back("--git-dir=" + git_.string());
    const std::string what = words.front();
    options.argv.insert(options.argv.end(), std::make_move_iterator(words.begin()),
                        std::make_move_iterator(words.end()));
    options.environment = environment;
    options.capture_output = true;
    options.quiet = says == Says::nothing;
    auto end = run_child(options);
    if (!end) return end.error();
    if (end->exit_code != 0)
      return Error(ErrorKind::unavailable,
                   fmt::format("git {} failed with exit code {}.", what, end->exit_code));
    std::string text = std::move(end->output);
    while (text.ends_with('\n')) text.pop_back();
    return text;
  }
  Result<std::string> git(std::vector<std::string> words, Says says = Says::to_people) {
    return git(std::move(words), says, environment_);
  }

  static Result<bool> begins_as_zip(const fs::path& file) {
    std::error_code failed;
    if (!fs::is_regular_file(file, failed))
      return Error(ErrorKind::not_found, "There is no file " + file.string() + ".");
    std::ifstream stream(file, std::ios::binary);
    std::array<char, 4> first{};
    stream.read(first.data(), first.size());
    if (!stream.is_open() || stream.bad())
      return Error(ErrorKind::invalid, file.string() + " cannot be read.");
    return stream.gcount() == 4 && std::memcmp(first.data(), "PK\3\4", 4) == 0;
  }

  /// The folder that is the app, and nothing in it that git keeps for itself.
  Result<void> tidy(const fs::path& file) {
    std::vector<fs::path> entries;
    std::error_code failed;
    for (fs::directory_iterator it(tree_, failed), end; !failed && it != end; it.increment(failed))
      entries.push_back(it->path());
    if (entries.empty()) return Error(ErrorKind::invalid, file.string() + " holds no files.");
    if (entries.size() == 1 &&
        fs::symlink_status(entries.front(), failed).type() == fs::file_type::directory &&
        entries.front().filename() != ".git")
      tree_ = entries.front();
    std::vector<fs::path> repositories;
    for (fs::recursive_directory_iterator it(tree_, failed), end; !failed && it != end;
         it.increment(failed)) {
      if (it->path().filename() != ".git") continue;
      repositories.push_back(it->path());
      if (!it->is_symlink()) it.disable_recursion_pending();
    }
    for (const fs::path& each : repositories) fs::remove_all(each, failed);
    if (failed) return Error(ErrorKind::internal, tree_.string() + ": " + failed.message());
    return ok();
  }

  fs::path scratch_;
  const MadeCommit::Destination& to_;
  fs::path tree_ = scratch_ / "tree";
  fs::path git_ = scratch_ / "git";
  Environment environment_;
  Environment login_;
};

}  // namespace

Result<MadeCommit> MadeCommit::of_archive(const fs::path& file, const Destination& to,
                                          const Environment& environment) {
  auto scratch = new_folder();
  if (!scratch) return scratch.error();
  MadeCommit made(std::move(*scratch));
  Maker maker(made.scratch_, to, environment);
  if (auto done = maker.unpack(file); !done) return done.error();
  auto id = maker.commit("Archive " + file.filename().string());
  if (!id) return id.error();
  made.id_ = std::move(*id);
  return made;
}

Result<MadeCommit> MadeCommit::of_image(const std::string& image, const Destination& to,
                                        const Environment& environment) {
  if (!is_reference(image))
    return Error(ErrorKind::invalid,
                 "`" + image +
                     "` names no image: write it as its registry does, for example "
                     "nginx:1.27 or registry.example.org/shop@sha256:...");
  auto scratch = new_folder();
  if (!scratch) return scratch.error();
  MadeCommit made(std::move(*scratch));
  Maker maker(made.scratch_, to, environment);
  if (auto done = maker.write("Dockerfile", "FROM " + image + "\n"); !done) return done.error();
  auto id = maker.commit("Image " + image);
  if (!id) return id.error();
  made.id_ = std::move(*id);
  return made;
}

MadeCommit::MadeCommit(MadeCommit&& other) noexcept
    : scratch_(std::exchange(other.scratch_, {})), id_(std::move(other.id_)) {}

MadeCommit::~MadeCommit() {
  if (scratch_.empty()) return;
  std::error_code ignored;  // of a temporary folder
  fs::remove_all(scratch_, ignored);
}

}  // namespace karreg::cli
