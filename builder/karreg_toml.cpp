#include "builder/karreg_toml.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/config.hpp"
#include "common/suggest.hpp"
#include "common/toml.hpp"
#include "common/wire/app_types.hpp"

namespace karreg::builder {
namespace {

constexpr std::string_view env_section = "env";
constexpr std::string_view workers_section = "workers";
constexpr std::string_view cron_section = "cron";
constexpr std::chrono::milliseconds shortest_run = std::chrono::seconds(1);
constexpr std::chrono::milliseconds longest_run = std::chrono::hours(24);
constexpr std::string_view type_key = "build.type";

class Reader {
 public:
  Reader(std::string_view path, std::span<const Variable> known) : path_(path), known_(known) {}

  Result<KarregToml> read(const toml::table& all) {
    for (const auto& [key, node] : all) {
      const std::string section(key.str());
      if (!is_section(section)) return unknown(section, key, sections(), "");
      if (section == cron_section) {
        if (auto done = take_cron(node); !done) return done.error();
        continue;
      }
      const toml::table* table = node.as_table();
      if (table == nullptr)
        return at(node.source(),
                  fmt::format("`{0}` is a section: write [{0}] and its keys below it.", section));
      // Even an empty section takes the place of weaker ones.
      if (section == workers_section) result_.workers.emplace();
      for (const auto& [name, value] : *table) {
        auto done = section == env_section       ? take_env(name, value)
                    : section == workers_section ? take_worker(name, value)
                                                 : take(section, name, value);
        if (!done) return done.error();
      }
    }
    return std::move(result_);
  }

  Error at(const toml::source_region& where, const std::string& what) const {
    return at(where.begin.line, where.begin.column, what);
  }
  Error at(unsigned line, unsigned column, const std::string& what) const {
    return {ErrorKind::invalid,
            fmt::format("{}, line {}, column {}: {}", path_, line, column, what)};
  }

 private:
  static std::string_view section_of(const Variable& variable) {
    return variable.key.substr(0, variable.key.find('.'));
  }

  bool is_section(const std::string& name) const {
    const auto names = sections();
    return std::ranges::find(names, name) != names.end();
  }

  std::vector<std::string> sections() const {
    std::vector<std::string> names = {"build", std::string(cron_section), std::string(env_section),
                                      std::string(workers_section)};
    for (const Variable& variable : known_)
      if (const std::string name(section_of(variable));
          !name.empty() && std::ranges::find(names, name) == names.end())
        names.push_back(name);
    return names;
  }

  std::vector<std::string> keys_of(const std::string& section) const {
    std::vector<std::string> keys;
    if (type_key.starts_with(section + ".")) keys.emplace_back(type_key.substr(section.size() + 1));
    for (const Variable& variable : known_)
      if (section_of(variable) == section)
        if (std::string key(variable.key.substr(section.size() + 1));
            std::ranges::find(keys, key) == keys.end())
          keys.push_back(std::move(key));
    return keys;
  }

  Error unknown(const std::string& said, const toml::key& key, std::vector<std::string> names,
                const std::string& place) const {
    std::ranges::sort(names);
    std::string listed;
    for (const std::string& name : names) listed += (listed.empty() ? "" : ", ") + name;
    return at(key.source(), fmt::format("`{}` is not known{}.{} Known: {}.", said, place,
                                        did_you_mean(said, names), listed));
  }

  Result<std::string> text(const std::string& name, const toml::node& value) const {
    if (const auto* words = value.as_string()) return words->get();
    if (const auto* number = value.as_integer()) return std::to_string(number->get());
    if (const auto* choice = value.as_boolean())
      return std::string(choice->get() ? "true" : "false");
    if (value.is_floating_point())
      return at(value.source(),
                fmt::format("`{}` must be text: a number with a point loses its zeros (3.10 would "
                            "be 3.1). Put it into quotes.",
                            name));
    return at(value.source(), fmt::format("`{}` must be text, in quotes.", name));
  }

  Result<void> take(const std::string& section, const toml::key& key, const toml::node& node) {
    const std::string name = section + "." + std::string(key.str());
    auto value = text(name, node);
    if (name == type_key) {
      if (!value) return value.error();
      const auto type = wire::app_type(*value);
      if (!type) return unknown_type(node, *value);
      result_.type = type->name;
      return ok();
    }
    const auto variable = std::ranges::find(known_, name, &Variable::key);
    if (variable == known_.end())
      return unknown(std::string(key.str()), key, keys_of(section), " in [" + section + "]");
    if (!value) return value.error();
    result_.given[std::string(variable->name)] = {*value, name + " of " + std::string(path_)};
    return ok();
  }

  Error unknown_type(const toml::node& node, const std::string& said) const {
    std::vector<std::string> names;
    std::string listed;
    for (const auto& type : wire::app_types) {
      names.emplace_back(type.name);
      listed += (listed.empty() ? "" : ", ") + names.back();
    }
    return at(node.source(), fmt::format("there is no type `{}`.{} Known: {}.", said,
                                         did_you_mean(said, names), listed));
  }

  Result<void> take_env(const toml::key& key, const toml::node& node) {
    const std::string name(key.str());
    const auto good = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    };
    if (name.empty() || !std::ranges::all_of(name, good) || (name[0] >= '0' && name[0] <= '9'))
      return at(key.source(),
                fmt::format("`{}` is no name of a variable: letters, digits and _ make one, and it "
                            "does not begin with a digit.",
                            name));
    auto value = text("env." + name, node);
    if (!value) return value.error();
    if (value->contains('\0'))
      return at(node.source(), fmt::format("`env.{}` has a zero byte.", name));
    result_.env[name] = *value;
    // A key of its own says it more clearly, and wins.
    result_.given.try_emplace(name, Given{*value, name + " in [env] of " + std::string(path_)});
    return ok();
  }

  Result<void> take_worker(const toml::key& key, const toml::node& node) {
    const std::string name(key.str());
    const auto* command = node.as_string();
    if (command == nullptr)
      return at(node.source(),
                fmt::format("`workers.{}` must be the command of the worker, in quotes.", name));
    auto added = add_worker(*result_.workers,
                            {name, {command->get(), fmt::format("workers.{} of {}", name, path_)}});
    if (!added) return at(key.source(), added.error().message());
    return ok();
  }

  Result<void> take_cron(const toml::node& node) {
    const toml::array* entries = node.as_array();
    if (entries == nullptr)
      return at(node.source(),
                "`cron` is a list: write [[cron]] before each entry, and its keys below it.");
    result_.cron.emplace();
    for (const toml::node& each : *entries) {
      const toml::table* table = each.as_table();
      if (table == nullptr)
        return at(each.source(), "an entry of `cron` has keys: schedule and command.");
      if (auto done = take_cron_entry(*table); !done) return done.error();
    }
    return ok();
  }

  Result<void> take_cron_entry(const toml::table& table) {
    wire::CronEntry entry;
    for (const auto& [key, node] : table) {
      const std::string name(key.str());
      if (name == "schedule" || name == "command") {
        const auto* text = node.as_string();
        if (text == nullptr)
          return at(node.source(), fmt::format("`{}` of [[cron]] must be text, in quotes.", name));
        (name == "schedule" ? entry.schedule : entry.command) = text->get();
      } else if (name == "time-limit") {
        const auto* text = node.as_string();
        const auto time = text == nullptr ? std::nullopt : parse_duration(text->get());
        if (!time || *time < shortest_run || *time > longest_run)
          return at(node.source(),
                    "`time-limit` of [[cron]] must be a length of time from 1s to 24h, in quotes, "
                    "for example \"10m\".");
        entry.wall_ms = time->count();
      } else if (name == "catch-up") {
        const auto* choice = node.as_boolean();
        if (choice == nullptr)
          return at(node.source(), "`catch-up` of [[cron]] must be true or false.");
        entry.catch_up = choice->get();
      } else {
        return unknown(name, key, {"schedule", "command", "time-limit", "catch-up"},
                       " in [[cron]]");
      }
    }
    for (const char* needed : {"schedule", "command"})
      if (!table.contains(needed))
        return at(table.source(), fmt::format("this entry of cron has no `{}`.", needed));
    const toml::node& schedule = *table.get("schedule");
    const std::string origin = fmt::format("cron of {}, line {}", path_, table.source().begin.line);
    if (auto added = add_cron(*result_.cron, {std::move(entry), origin}); !added)
      return at(schedule.source(), added.error().message());
    return ok();
  }

  std::string_view path_;
  std::span<const Variable> known_;
  KarregToml result_;
};

}  // namespace

Result<KarregToml> parse_karreg_toml(std::string_view path, std::string_view text,
                                     std::span<const Variable> known) {
  Reader reader(path, known);
  try {
    return reader.read(parse_toml(text));
  } catch (const TomlError& e) {
    return reader.at(e.line(), e.column(), std::string(e.what()) + ".");
  }
}

}  // namespace karreg::builder
