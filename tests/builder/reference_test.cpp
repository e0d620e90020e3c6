// What docs/ says of languages and keys is what the inspector does.
#include "builder/reference.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <set>

#include "builder/language.hpp"

using namespace karreg;
using namespace karreg::builder;
namespace fs = std::filesystem;

namespace {

const fs::path docs = KARREG_DOCS;

std::string page_at(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("docs: the parts made from the tables are up to date (karreg-builder reference docs)") {
  std::vector<std::string> names = {"karreg-toml.md", "languages/README.md"};
  for (const Language& language : languages())
    names.push_back("languages/" + std::string(language.name) + ".md");
  for (const std::string& name : names) {
    INFO(name);
    const std::string page = page_at(docs / name);
    REQUIRE_FALSE(page.empty());
    const auto made = with_reference(name, page);
    if (!made) FAIL(made.error().message());
    CHECK(*made == page);
  }
}

TEST_CASE("docs: every language has a page with a minimal app, its plan and its variables") {
  for (const Language& language : languages()) {
    INFO(language.name);
    const std::string page = page_at(docs / "languages" / (std::string(language.name) + ".md"));
    for (const char* mark : {"<!-- plan -->", "<!-- variables -->", "\n## Rules\n"})
      CHECK((page.find(mark) != std::string::npos));
    CHECK((page.find("<!-- plan -->\n```text\nType:") != std::string::npos));
  }
}

TEST_CASE("docs: there is no page of a language that is gone") {
  std::set<std::string> known = {"README"};
  for (const Language& language : languages()) known.emplace(language.name);
  for (const auto& entry : fs::directory_iterator(docs / "languages"))
    CHECK(known.contains(entry.path().stem().string()));
}

TEST_CASE("a part without its end, or that does not exist, is refused with the page's name") {
  CHECK(with_reference("x.md", "<!-- keys -->\n").error().message() ==
        "x.md: the mark `<!-- keys -->` has no `<!-- /keys -->`");
  CHECK(with_reference("x.md", "<!-- nope -->\n<!-- /nope -->").error().message() ==
        "x.md: there is no part `nope` of this page");
}
