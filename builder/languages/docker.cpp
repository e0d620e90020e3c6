// Dockerfile: built by buildah inside the build VM, and run as the root that it makes. It is the
// app only where nothing else is, or where the owner chose the type.
//   build    one step with users of its own: buildah, then the image's files and its configuration
//            as one archive. The VM is the boundary, so RUN needs no container around it: chroot.
//   start    what the image says, unless the owner says otherwise.
#include <array>

#include "builder/languages/table.hpp"
#include "common/text.hpp"
#include "common/wire/guest.hpp"

namespace karreg::builder::languages_of {
namespace {

constexpr std::array docker_variables{
    Variable{"CC_DOCKERFILE", "", "the Dockerfile, in place of `Dockerfile` or `Containerfile`"},
    Variable{
        "CC_DOCKER_MIRROR", "",
        "where images of Docker Hub are fetched: `HOST[:PORT]`, with `http://` before it where "
        "it has no TLS"},
    Variable{"CC_DOCKER_LOGIN_SERVER", "", "the registry that the login is for"},
    Variable{"CC_DOCKER_LOGIN_USERNAME", "", "name at the registry"},
    Variable{"CC_DOCKER_LOGIN_PASSWORD", "", "password or token at the registry"},
};

constexpr const char* archive = "/home/app/image.tar";

std::optional<Match> dockerfile(const Inspection& about) {
  if (const auto given = about.settings.find("CC_DOCKERFILE")) {
    if (about.tree.has_file(given->value)) return Match{given->value, Evidence::fallback};
    return std::nullopt;
  }
  for (const char* file : {"Dockerfile", "Containerfile"})
    if (about.tree.has_file(file)) return Match{file, Evidence::fallback};
  return std::nullopt;
}

Result<LanguagePlan> plan(const Inspection& about) {
  LanguagePlan result;
  result.runtime = "oci";
  result.tool = "buildah";
  result.output_root = archive;
  const std::string file = dockerfile(about)->file;
  result.steps.push_back(
      {"image", "/usr/lib/karreg/build-image " + text::shell_quote(file) + " " + archive, true});
  result.reason("Build: buildah build --file " + file + ".");
  result.start = Start{{wire::guest::image_start}, "what the image says (ENTRYPOINT and CMD)"};
  return result;
}

}  // namespace

Language docker() {
  return {"docker",         "Dockerfile", "Dockerfile, or the file that CC_DOCKERFILE names",
          docker_variables, dockerfile,   plan};
}

}  // namespace karreg::builder::languages_of
