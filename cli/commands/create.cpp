#include "cli/commands/commands.hpp"
#include "common/suggest.hpp"
#include "common/wire/app_types.hpp"

namespace karreg::cli {
namespace {

struct Options {
  std::string name;
  std::string type = "auto";
  std::string org;
  std::string alias;
  std::string flavor;
  bool no_link = false;
};

/// What `create` needs of a product.
struct Product {
  std::string type;
  std::string version;
  std::string variant_id;
  std::string default_flavor;
};

/// The newest enabled product of the variant @p slug.
Result<Product> find_product(const Json& products, const std::string& wanted) {
  // "maven" is java.
  const auto type = wire::app_type(wanted);
  const std::string slug = type ? std::string(type->name) : wanted;
  std::vector<std::string> known;
  std::optional<Product> best;
  try {
    for (const Json& each : products) {
      const std::string name = each.at("variant").at("slug").get<std::string>();
      if (!each.value("enabled", true)) continue;
      if (known.empty() || known.back() != name) known.push_back(name);
      Product product{each.at("type").get<std::string>(), each.at("version").get<std::string>(),
                      each.at("variant").at("id").get<std::string>(),
                      each.at("defaultFlavor").at("name").get<std::string>()};
      if (name == slug && (!best || product.version > best->version)) best = std::move(product);
    }
  } catch (const Json::exception& e) {
    return Error(ErrorKind::unavailable,
                 std::string("The platform's list of products is not understood: ") + e.what());
  }
  if (best) return *best;
  std::string listed;
  for (const std::string& each : known) listed += (listed.empty() ? "" : ", ") + each;
  return Error(ErrorKind::invalid, "The platform has no type `" + wanted + "`. It has: " + listed +
                                       "." + did_you_mean(wanted, known));
}

/// The app exists, but the folder does not know it: the user must learn of both.
Error not_linked(const App& app, const Error& why) {
  return {why.kind(), app.name + " was created (" + app.id + ") but not linked: " + why.message() +
                          " Then run `karreg link " + app.id + "`."};
}

Result<int> create(Session& session, const Options& options) {
  auto links = find_links(session.folder());
  if (!links) return links.error();
  const std::string alias = options.alias.empty() ? options.name : options.alias;
  for (const LinkedApp& app : links->apps)
    if (!options.no_link && app.alias == alias)
      return Error(ErrorKind::conflict,
                   "An app is linked to this folder as `" + alias +
                       "` already. Choose another --alias, or give --no-link.");
  auto api = session.api();
  if (!api) return api.error();
  auto products = (*api)->get("/v2/products/instances");
  if (!products) return products.error();
  auto product = find_product(*products, options.type);
  if (!product) return product.error();
  auto owner = find_owner(**api, options.org);
  if (!owner) return owner.error();

  const std::string flavor = options.flavor.empty() ? product->default_flavor : options.flavor;
  auto created = (*api)->post("/v2/organisations/" + *owner + "/applications",
                              Json({{"deploy", "git"},
                                    {"name", options.name},
                                    {"description", ""},
                                    {"instanceType", product->type},
                                    {"instanceVersion", product->version},
                                    {"instanceVariant", product->variant_id},
                                    {"minFlavor", flavor},
                                    {"maxFlavor", flavor},
                                    {"minInstances", 1},
                                    {"maxInstances", 1},
                                    {"zone", "par"},
                                    {"instanceLifetime", "REGULAR"},
                                    {"env", Json::object()}}));
  if (!created) return created.error();
  auto app = parse_app(*created);
  if (!app) return app.error();
  if (!options.no_link) {
    if (auto added = add_link(*links, {alias, app->id, app->owner, app->name, app->git_url});
        !added)
      return not_linked(*app, added.error());
    if (auto saved = save_links(*links); !saved) return not_linked(*app, saved.error());
  }
  if (session.print_json(to_output(*app))) return 0;
  session.terminal().print(app->id);
  session.terminal().note(
      "Created " + app->name + " (" + app->type + ")" +
      (options.no_link ? "." : ", linked as `" + alias + "`. Commit, then run `karreg deploy`."));
  return 0;
}

}  // namespace

void add_create(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("create", "Create an app and link it to this folder");
  command->add_option("NAME", options->name, "Its name")->required();
  command
      ->add_option("-t,--type", options->type,
                   "auto (found out at each push), node, python, php, ruby, go, rust, java, ...")
      ->type_name("TYPE");
  command
      ->add_option("-o,--org", options->org, "The organisation, by id or name (default: your own)")
      ->type_name("ORG");
  command->add_option("-a,--alias", options->alias, "Alias of the link (default: the name)")
      ->type_name("ALIAS");
  command->add_option("--flavor", options->flavor, "Size of its instances, such as pico or XS")
      ->type_name("FLAVOR");
  command->add_flag("--no-link", options->no_link, "Do not link it to this folder");
  add_format_option(*command, session);
  when_chosen(*command, session, options, create);
}

}  // namespace karreg::cli
