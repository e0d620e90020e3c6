// Packages of Debian that an app asks for: who says it, what becomes of it, and what is refused.
#include "builder/system_packages.hpp"

#include "a_tree.hpp"
#include "builder/plan_text.hpp"

using namespace karreg;
using namespace karreg::builder;

namespace {

const Files node_app = {{"package.json", R"({"main":"app.js"})"}, {"app.js", ""}};

Files with(Files files, const std::string& path, const std::string& text) {
  files[path] = text;
  return files;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("an Aptfile names packages of Debian, for the app and its build") {
  const auto plan = plan_of(
      with(node_app, "Aptfile", "# sound\nffmpeg  # and video\n\n  libvips42t64\nffmpeg\n"));
  CHECK(plan.packages == Names{"ffmpeg", "libvips42t64"});
  CHECK(plan.build_packages.empty());
  CHECK(plan.runtime.starts_with("node+"));
  CHECK(plan.build_runtime.empty());
  CHECK(gives_reason(plan, "Packages of Debian: ffmpeg, libvips42t64 (Aptfile)."));
  CHECK(rendered(plan).starts_with("Type:  node ("));
}

TEST_CASE("what the owner says takes the place of the Aptfile") {
  const Files files = with(node_app, "Aptfile", "ffmpeg\n");
  const auto plan = plan_of(files, {{"CC_SYSTEM_PACKAGES", "imagemagick, ghostscript  gsfonts"}});
  CHECK(plan.packages == Names{"ghostscript", "gsfonts", "imagemagick"});
  const auto by_toml =
      plan_of(with(files, "karreg.toml", "[system]\npackages = \"poppler-utils\"\n"));
  CHECK(by_toml.packages == Names{"poppler-utils"});
  CHECK(
      gives_reason(by_toml, "Packages of Debian: poppler-utils (system.packages of karreg.toml)."));
}

TEST_CASE("packages of the build alone are in its image alone, and not twice") {
  const auto plan = plan_of(with(node_app, "Aptfile", "libvips42t64\n"),
                            {{"CC_BUILD_PACKAGES", "libvips-dev libvips42t64"}});
  CHECK(plan.packages == Names{"libvips42t64"});
  CHECK(plan.build_packages == Names{"libvips-dev"});
  CHECK(gives_reason(plan,
                     "Packages of Debian for the build alone: libvips-dev (CC_BUILD_PACKAGES)."));
}

TEST_CASE("an app without packages runs on the image of its runtime") {
  const auto plan = plan_of(with(node_app, "Aptfile", "# nothing yet\n"));
  CHECK(plan.runtime == "node");
  CHECK(plan.packages.empty());
  CHECK(plain_runtime("node") == "node");
}

TEST_CASE("the same packages are the same image, whoever asks for them and in whichever order") {
  SystemPackages packages;
  packages.run = {"ffmpeg", "libvips42t64"};
  // The name that images/build gives: printf 'ffmpeg libvips42t64\n\n' | sha256sum
  CHECK(runtime_with("node", packages) == "node+41e8400b6929");
  CHECK(plain_runtime("node+41e8400b6929") == "node");
  const auto one = plan_of(with(node_app, "Aptfile", "libvips42t64 ffmpeg\n"));
  CHECK(one.runtime == "node+41e8400b6929");
  packages.build = {"libvips-dev"};
  CHECK(runtime_with("node", packages) != "node+41e8400b6929");
}

TEST_CASE("a site gets them on the image that it is built on, and on the one that serves it") {
  const auto plan = plan_of(
      {{"package.json", R"({"devDependencies":{"vite":"1"},"scripts":{"build":"vite build"}})"},
       {"Aptfile", "optipng\n"}});
  CHECK(plan.runtime.starts_with("static+"));
  CHECK(plan.build_runtime.starts_with("node+"));
}

TEST_CASE("the Aptfile of the app's folder counts") {
  const auto plan = plan_of({{"shop/package.json", R"({"main":"app.js"})"},
                             {"shop/app.js", ""},
                             {"shop/Aptfile", "optipng"},
                             {"Aptfile", "ffmpeg"}},
                            {{"APP_FOLDER", "shop"}});
  CHECK(plan.packages == Names{"optipng"});
}

TEST_CASE("Python sees the modules that Debian's packages bring") {
  const Files files = {{"requirements.txt", "flask"}, {"app.py", ""}, {"Aptfile", "python3-numpy"}};
  const std::string install = command_of(plan_of(files), "install");
  CHECK(install.starts_with("python3 -m venv --system-site-packages --without-pip /app/.venv\n"));
  CHECK(install.contains("include-system-site-packages = true"));
  const std::string other = command_of(plan_of(with(files, "Aptfile", "ffmpeg")), "install");
  CHECK_FALSE(other.contains("system-site-packages"));
}

TEST_CASE("what is no package of Debian is refused with where it stands") {
  const auto refused = [](const std::string& line) {
    return refusal_of(with(node_app, "Aptfile", "ffmpeg\n" + line + "\n"));
  };
  CHECK(refused("FFmpeg") ==
        "Aptfile, line 2: `FFmpeg` is no name of a Debian package: lower-case letters, digits, +, "
        "- and . "
        "make one.");
  CHECK(refused("-oAPT::Foo").starts_with("Aptfile, line 2: `-oAPT::Foo` is no name"));
  CHECK(refused("x").starts_with("Aptfile, line 2: `x` is no name"));
  CHECK(refused("libc6-").starts_with("Aptfile, line 2: `libc6-` is no name"));
  CHECK(refused("?essential").starts_with("Aptfile, line 2: `?essential` is no name"));
  CHECK(refused("./a.deb").contains("is a source of packages of its own"));
  CHECK(refused(":repo:deb http://example.org stable main")
            .starts_with("Aptfile, line 2: `:repo:deb` is a source of packages of its own"));
  CHECK(refused("https://example.org/a.tar").contains("is a source of packages of its own"));
  CHECK(refused("ffmpeg=7.1").contains("asks for one version of a package"));
  CHECK(refusal_of(node_app, {{"CC_SYSTEM_PACKAGES", "a_b"}})
            .starts_with("CC_SYSTEM_PACKAGES: `a_b` is no name"));
  CHECK(refusal_of(node_app, {{"CC_BUILD_PACKAGES", "$(reboot)"}})
            .starts_with("CC_BUILD_PACKAGES: `$(reboot)` is no name"));
  std::string many;
  for (int i = 0; i < 65; ++i) many += "package-" + std::to_string(i) + "\n";
  CHECK(refusal_of(with(node_app, "Aptfile", many))
            .starts_with(
                "Aptfile, line 65: `package-64` is one package too many: an app may ask for 64."));
}
