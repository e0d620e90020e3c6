// What `karreg deploy --archive` makes of an archive, and --image of an image, with the real tar,
// unzip and git.
#include "cli/made_commit.hpp"

#include "support/programs.hpp"
#include "support/scratch.hpp"

using namespace karreg;
using namespace karreg::cli;
using namespace karreg::test;

namespace {

/// A folder whose files are packed, and the platform's repository.
class Place {
 public:
  Place() {
    must_run("git init -q --bare " + remote());
    std::filesystem::create_directories(scratch_ / "files");
  }
  std::string remote() const { return (scratch_ / "remote.git").string(); }
  const ScratchFolder& scratch() const { return scratch_; }
  void file(const std::string& path, const std::string& text) const {
    write_file(scratch_ / ("files/" + path), text);
  }
  /// Runs @p line where the files are; the archive is "$out".
  std::filesystem::path packed(const std::string& name, const std::string& line) const {
    const auto out = scratch_ / name;
    must_run("cd " + (scratch_ / "files").string() + " && out=" + out.string() + " && " + line);
    return out;
  }
  Result<MadeCommit> make(const std::filesystem::path& file) const {
    return MadeCommit::of_archive(file, {remote(), "master", {}}, process_environment());
  }
  MadeCommit must_make(const std::filesystem::path& file) const {
    auto made = make(file);
    if (!made) FAIL(made.error().message());
    return std::move(*made);
  }
  std::string refusal(const std::filesystem::path& file) const {
    auto made = make(file);
    if (made) FAIL("a commit was made: " + made->id());
    return made.error().message();
  }
  void push(const MadeCommit& commit) const {
    must_run("git --git-dir=" + commit.folder() + " push -q " + remote() + " " + commit.id() +
             ":refs/heads/master 2>&1");
  }

 private:
  ScratchFolder scratch_;
};

std::string git(const MadeCommit& commit, const std::string& arguments) {
  return must_run("git --git-dir=" + commit.folder() + " " + arguments);
}

std::string files_of(const MadeCommit& commit) {
  return git(commit, "ls-tree -r --name-only " + commit.id());
}

}  // namespace

TEST_CASE("an archive becomes a commit of all its files, byte for byte") {
  const Place place;
  place.file("app.js", "line\r\n");
  place.file("dist/ignored.js", "x");
  place.file(".gitignore", "dist\n");
  place.file(".gitattributes", "* text=auto\n*.js filter=lfs\n");
  place.file("lib/.git/config", "[core]\n\tbare = false\n");
  place.file("lib/a.js", "a");
  place.file("run.sh", "#!/bin/sh\n");
  must_run("chmod 755 " + (place.scratch() / "files/run.sh").string());
  for (const auto& [name, line] : {std::pair{"app.tar", "tar -cf $out ."},
                                   {"app.tar.gz", "tar -czf $out ."},
                                   {"app.tar.xz", "tar -cJf $out ."},
                                   {"app.zip",
                                    "python3 -m zipfile -c $out .gitignore .gitattributes app.js "
                                    "dist lib run.sh"}}) {
    INFO(name);
    const auto commit = place.must_make(place.packed(name, line));
    CHECK(files_of(commit) ==
          ".gitattributes\n.gitignore\napp.js\ndist/ignored.js\nlib/a.js\nrun.sh\n");
    CHECK(git(commit, "cat-file blob " + commit.id() + ":app.js") == "line\r\n");
    CHECK(git(commit, "log --format=%s " + commit.id()) == "Archive " + std::string(name) + "\n");
    if (std::string(name) != "app.zip")
      CHECK(git(commit, "ls-tree " + commit.id() + " run.sh").starts_with("100755 "));
  }
}

TEST_CASE("the one folder of an archive of a release is left out") {
  const Place place;
  place.file("shop-1.2/index.html", "1");
  place.file("shop-1.2/css/a.css", "2");
  CHECK(files_of(place.must_make(place.packed("a.tgz", "tar -czf $out shop-1.2"))) ==
        "css/a.css\nindex.html\n");
  place.file("other", "");
  CHECK(files_of(place.must_make(place.packed("b.tgz", "tar -czf $out ."))) ==
        "other\nshop-1.2/css/a.css\nshop-1.2/index.html\n");
}

TEST_CASE("an archive follows what the platform has, and the same files are no new commit") {
  const Place place;
  place.file("index.html", "1");
  const auto first = place.must_make(place.packed("1.tar", "tar -cf $out ."));
  CHECK(git(first, "log --format=%s " + first.id()) == "Archive 1.tar\n");
  place.push(first);
  CHECK(place.must_make(place.packed("1-again.tar", "tar -cf $out .")).id() == first.id());

  place.file("index.html", "2");
  const auto second = place.must_make(place.packed("2.tar", "tar -cf $out ."));
  CHECK(git(second, "rev-parse " + second.id() + "^") == first.id() + "\n");
  place.push(second);  // without force
}

TEST_CASE("an archive reaches nothing outside, and leaves nothing behind") {
  const Place place;
  place.file("a", "a");
  std::filesystem::create_directories(place.scratch() / "files/in");
  const auto up = place.packed("up.tar", "cd in && tar -cPf $out ../a");
  CHECK(place.refusal(up).starts_with(up.string() +
                                      " could not be unpacked: tar ended with exit code "));
  // A link out of the tree, and a file through it.
  const auto link = place.packed("link.tar",
                                 "ln -s ../../outside in/x && tar -cf $out in/x && rm in/x && "
                                 "mkdir in/x && echo evil >in/x/f && "
                                 "tar -rf $out in/x/f");
  static_cast<void>(place.make(link));
  CHECK_FALSE(std::filesystem::exists(place.scratch() / "outside"));
  CHECK(must_run("ls -d \"${TMPDIR:-/tmp}\"/karreg-commit.* 2>/dev/null | wc -l") == "0\n");
}

TEST_CASE("what is no archive is told") {
  const Place place;
  place.file("text", "this is no archive\n");
  const auto text = place.scratch() / "files/text";
  CHECK(place.refusal(text).contains(" could not be unpacked: tar ended with exit code 2; "));
  CHECK(place.refusal(place.scratch() / "none.tar") ==
        "There is no file " + (place.scratch() / "none.tar").string() + ".");
  CHECK(place.refusal(place.packed("empty.tar", "tar -cf $out -T /dev/null"))
            .ends_with(" holds no files."));
}

TEST_CASE("an image of a registry becomes a Dockerfile that begins and ends with it") {
  const Place place;
  const auto image = [&](const std::string& reference) {
    return MadeCommit::of_image(reference, {place.remote(), "master", {}}, process_environment());
  };
  const auto made = image("registry.example.org:5000/shop/web_1@sha256:0123abc");
  REQUIRE(made);
  CHECK(files_of(*made) == "Dockerfile\n");
  CHECK(git(*made, "cat-file blob " + made->id() + ":Dockerfile") ==
        "FROM registry.example.org:5000/shop/web_1@sha256:0123abc\n");
  place.push(*made);
  CHECK(image("registry.example.org:5000/shop/web_1@sha256:0123abc")->id() == made->id());
  for (const std::string bad :
       {"", "-x", "a b", "a\nRUN true", "a AS b", "$(x)", "\xc3\xa9", "/a"}) {
    INFO(bad);
    const auto refused = image(bad);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind() == ErrorKind::invalid);
  }
}
