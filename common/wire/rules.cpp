#include "common/wire/rules.hpp"

#include <fmt/format.h>

#include <set>

#include "common/json.hpp"
#include "common/text.hpp"
#include "common/wire/rule_checks.hpp"

namespace karreg::wire {

using nlohmann::json;

namespace {

/// @p value as it is shown in a message.
std::string shown(const json& value) {
  auto text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > 80) text = text.substr(0, 77) + "...";
  return text;
}

/// Reads the fields of one object. The first that is wrong is kept; after it nothing is read.
class Fields {
 public:
  Fields(const json& object, std::string path, Wrong& wrong)
      : object_(object), path_(std::move(path)), wrong_(wrong) {
    if (!object.is_object()) fail("", object, "must be an object");
  }
  /// Fields that nobody has asked for are not known.
  ~Fields() {
    if (wrong_ || !object_.is_object()) return;
    for (const auto& [name, value] : object_.items()) {
      if (asked_.contains(name)) continue;
      std::string all;
      for (const auto& each : asked_) all += (all.empty() ? "" : ", ") + each;
      wrong_ = fmt::format("{} is not known; there are: {}", named(name), all);
      return;
    }
  }
  Fields(const Fields&) = delete;
  Fields& operator=(const Fields&) = delete;

  void fail(const std::string& name, const json& value, std::string_view must) {
    if (!wrong_) wrong_ = fmt::format("{} is {}, but {}", named(name), shown(value), must);
  }
  /// nullptr: it is not there.
  const json* find(const std::string& name) {
    asked_.insert(name);
    if (wrong_) return nullptr;
    const auto it = object_.find(name);
    return it == object_.end() || it->is_null() ? nullptr : &*it;
  }
  std::string named(const std::string& name) const {
    if (name.empty()) return path_.empty() ? "the set of rules" : path_;
    return path_.empty() ? name : path_ + "." + name;
  }
  Wrong& wrong() { return wrong_; }

  void flag(const std::string& name, bool& into) {
    const auto* value = find(name);
    if (value == nullptr) return;
    if (!value->is_boolean()) return fail(name, *value, "must be true or false");
    into = value->get<bool>();
  }
  template <class Number>
  void number(const std::string& name, std::int64_t least, std::int64_t most, Number& into) {
    const auto* value = find(name);
    if (value == nullptr) return;
    // From 2^63 on it is no std::int64_t, and cannot be asked for as one.
    const bool fits = value->is_number_integer() &&
                      (!value->is_number_unsigned() ||
                       value->get<std::uint64_t>() <= static_cast<std::uint64_t>(most));
    if (!fits || value->get<std::int64_t>() < least || value->get<std::int64_t>() > most)
      return fail(name, *value, fmt::format("must be a whole number from {} to {}", least, most));
    into = static_cast<Number>(value->get<std::int64_t>());
  }
  template <class Check>
  void text(const std::string& name, std::string& into, Check check) {
    const auto* value = find(name);
    if (value == nullptr) return;
    if (!value->is_string()) return fail(name, *value, "must be a text");
    into = value->get<std::string>();
    if (const Wrong why = check(into)) fail(name, *value, *why);
  }
  template <class Check>
  void texts(const std::string& name, std::size_t most, std::vector<std::string>& into,
             Check check) {
    each(name, most, [&](const json& value, const std::string& at) {
      if (!value.is_string()) return fail(at, value, "must be a text");
      into.push_back(value.get<std::string>());
      if (const Wrong why = check(into.back())) fail(at, value, *why);
    });
  }
  template <class Fn>
  void each(const std::string& name, std::size_t most, Fn fn) {
    const auto* list = find(name);
    if (list == nullptr) return;
    if (!list->is_array()) return fail(name, *list, "must be a list");
    if (list->size() > most) {
      wrong_ = fmt::format("{} has {} entries, but may have {}", named(name), list->size(), most);
      return;
    }
    for (std::size_t i = 0; i < list->size() && !wrong_; ++i)
      fn((*list)[i], fmt::format("{}[{}]", name, i));
  }
  /// Name -> text.
  template <class Check>
  void table(const std::string& name, std::size_t most, std::map<std::string, std::string>& into,
             Check check) {
    const auto* found = find(name);
    if (found == nullptr) return;
    if (!found->is_object()) return fail(name, *found, "must be an object of names and texts");
    if (found->size() > most) {
      wrong_ = fmt::format("{} has {} entries, but may have {}", named(name), found->size(), most);
      return;
    }
    for (const auto& [key, value] : found->items()) {
      const auto at = fmt::format("{}[{}]", name, shown(key));
      if (!value.is_string()) return fail(at, value, "must be a text");
      into[key] = value.template get<std::string>();
      check(key, into[key], at);
      if (wrong_) return;
    }
  }
  template <class Fn>
  void object(const std::string& name, Fn fn) {
    const auto* value = find(name);
    if (value == nullptr) return;
    Fields inner(*value, named(name), wrong_);
    if (!wrong_) fn(inner);
  }

 private:
  const json& object_;
  const std::string path_;
  Wrong& wrong_;
  std::set<std::string> asked_;
};

Wrong check_html(std::string_view html) {
  // The database has no NUL characters.
  const bool fits = html.size() <= RuleBounds::html_bytes && text::is_utf8(html) &&
                    html.find('\0') == std::string_view::npos;
  if (fits) return std::nullopt;
  return "must be HTML in UTF-8 of at most 16384 bytes, without NUL characters";
}

void read_redirect(Fields& fields, Redirect& into, const json& whole) {
  fields.text("host", into.host, check_rule_host);
  fields.text("path", into.path, check_rule_path);
  fields.text("prefix", into.prefix, [](std::string_view prefix) -> Wrong {
    if (const auto why = check_rule_path(prefix)) return why;
    if (!prefix.ends_with('/')) return "must end with \"/\"";
    return std::nullopt;
  });
  fields.text("to", into.to, check_redirect_target);
  fields.number("status", 301, 308, into.status);
  fields.flag("keep_path", into.keep_path);
  fields.flag("keep_query", into.keep_query);
  if (fields.wrong()) return;
  if (into.status > 303 && into.status < 307)
    fields.fail("status", into.status, "must be 301, 302, 303, 307 or 308");
  if (into.to.empty()) fields.fail("to", "", "must say where to");
  if (!into.path.empty() && !into.prefix.empty())
    fields.fail("path", into.path, "must not stand beside a prefix");
  if (into.path.empty() && into.prefix.empty() && into.host.empty())
    fields.fail("", whole, "must have a host, a path or a prefix");
  if (leads_to_itself(into))
    fields.fail("to", into.to, "must not lead to what it redirects, for ever");
}

void read_addresses(Fields& fields, AddressRules& into) {
  fields.texts("allow", RuleBounds::addresses, into.allow, check_cidr);
  fields.texts("deny", RuleBounds::addresses, into.deny, check_cidr);
  for (const auto& range : into.deny)
    if (std::ranges::find(into.allow, range) != into.allow.end())
      fields.fail("deny", range, "must not be allowed and denied at once");
}

void read_basic_auth(Fields& fields, BasicAuth& into) {
  fields.text("realm", into.realm, [](std::string_view realm) -> Wrong {
    const bool plain = std::ranges::all_of(
        realm, [](char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; });
    if (plain && realm.size() <= 128) return std::nullopt;
    return "must be at most 128 characters of ASCII without quotes and backslashes";
  });
  fields.table("users", RuleBounds::users, into.users,
               [&](const std::string& name, const std::string& hash, const std::string& at) {
                 if (const auto why = check_user_name(name)) fields.fail(at, name, *why);
                 // The value is not shown: it may be the password.
                 if (const auto why = check_password_hash(hash))
                   fields.fail(at, "(not shown)", *why);
               });
  fields.texts("except", RuleBounds::paths, into.except, check_rule_path);
  fields.flag("forward", into.forward);
  if (into.users.empty()) fields.fail("users", json::object(), "must name a user at least");
}

void read_rate(Fields& fields, Rate& into) {
  fields.number("requests", 1, 100'000, into.requests);
  fields.number("seconds", 1, 3600, into.seconds);
  fields.number("burst", 1, 100'000, into.burst);
  if (into.requests == 0)
    fields.fail("requests", nullptr, "must be a whole number from 1 to 100000");
  if (into.burst == 0) into.burst = into.requests;
  // Of a bucket the proxy keeps when it is full again: moments far away would not fit.
  constexpr std::int64_t longest_s = 86'400;
  if (!fields.wrong() && std::int64_t{into.burst} * into.seconds / into.requests > longest_s)
    fields.fail("burst", into.burst,
                "must be no more than what the rate lets pass in a day (86400 s)");
}

void read_maintenance(Fields& fields, Maintenance& into) {
  fields.flag("on", into.on);
  fields.text("html", into.html, check_html);
  fields.number("retry_after_s", 0, 604'800, into.retry_after_s);
  fields.texts("allow", RuleBounds::addresses, into.allow, check_cidr);
}

void read_error_pages(Fields& fields, std::map<int, std::string>& into) {
  static const std::set<std::string> known = {"401", "403", "408", "413",
                                              "429", "502", "503", "504"};
  std::map<std::string, std::string> pages;
  fields.table("error_pages", known.size(), pages,
               [&](const std::string& status, const std::string& html, const std::string& at) {
                 if (!known.contains(status))
                   fields.fail(at, status,
                               "must be a status that the proxy itself gives: 401, 403, 408, 413, "
                               "429, 502, 503 or 504");
                 else if (const auto why = check_html(html))
                   fields.fail(at, html, *why);
               });
  if (fields.wrong()) return;
  for (auto& [status, html] : pages) into[std::stoi(status)] = std::move(html);
}

void read_security(Fields& fields, SecurityHeaders& into) {
  fields.text("preset", into.preset, [](std::string_view preset) -> Wrong {
    if (preset == "none" || preset == "basic" || preset == "strict") return std::nullopt;
    return "must be none, basic or strict";
  });
  fields.table("replace", RuleBounds::fields, into.replace,
               [&](const std::string& name, const std::string& value, const std::string& at) {
                 if (const auto why = check_security_field(name, value))
                   fields.fail(at, value, *why);
               });
}

void read_header_rules(Fields& fields, HeaderRules& into, bool of_request) {
  auto name_fits = [of_request](std::string_view name) {
    return check_rule_field(name, of_request);
  };
  auto field_fits = [&](const std::string& name, const std::string& value, const std::string& at) {
    if (const auto why = name_fits(name)) fields.fail(at, name, *why);
    if (const auto why = check_field_value(value)) fields.fail(at, value, *why);
  };
  fields.texts("remove", RuleBounds::fields, into.remove, name_fits);
  fields.table("set", RuleBounds::fields, into.set, field_fits);
  fields.table("add", RuleBounds::fields, into.add, field_fits);
}

void read_compression(Fields& fields, Compression& into) {
  fields.texts("codings", 3, into.codings, [&](std::string_view coding) -> Wrong {
    if (coding != "gzip" && coding != "br" && coding != "zstd") return "must be gzip, br or zstd";
    if (std::ranges::count(into.codings, coding) > 1) return "must stand there once";
    return std::nullopt;
  });
  fields.number("min_bytes", 64, 1'048'576, into.min_bytes);
  if (into.codings.empty()) into.codings = {"zstd", "br", "gzip"};
}

void read_client_certificates(Fields& fields, ClientCertificates& into) {
  fields.text("ca", into.ca, check_client_ca);
  std::string mode = "required";
  fields.text("mode", mode, [](std::string_view text) -> Wrong {
    if (text == "required" || text == "optional") return std::nullopt;
    return "must be required or optional";
  });
  into.required = mode == "required";
  if (into.ca.empty())
    fields.fail("ca", "", "must have the certificate of who made theirs, as PEM");
}

void read_instance(Fields& fields, InstanceRule& into) {
  fields.text("protocol", into.protocol, [](std::string_view protocol) -> Wrong {
    if (protocol == "http1" || protocol == "h2c" || protocol == "https" || protocol == "h2")
      return std::nullopt;
    return "must be http1, h2c, https or h2";
  });
  fields.text("send_proxy", into.send_proxy, [](std::string_view version) -> Wrong {
    if (version == "none" || version == "v1" || version == "v2") return std::nullopt;
    return "must be none, v1 or v2";
  });
  if (into.send_proxy != "none" && (into.protocol == "h2c" || into.protocol == "h2"))
    fields.fail("send_proxy", into.send_proxy,
                "must be none beside the protocol h2c or h2, whose connections visitors share");
  fields.text("ca", into.ca, check_instance_ca);
  fields.text("name", into.name, check_rule_host);
  if (into.protocol == "https" || into.protocol == "h2") return;
  constexpr auto of_tls = "must stand beside the protocol https or h2";
  if (!into.ca.empty()) fields.fail("ca", into.ca, of_tls);
  if (!into.name.empty()) fields.fail("name", into.name, of_tls);
}

void read_all(Fields& fields, Rules& into) {
  fields.each("redirects", RuleBounds::redirects, [&](const json& each, const std::string& at) {
    Fields inner(each, at, fields.wrong());
    if (!fields.wrong()) read_redirect(inner, into.redirects.emplace_back(), each);
  });
  fields.object("addresses", [&](Fields& inner) { read_addresses(inner, into.addresses); });
  fields.object("basic_auth",
                [&](Fields& inner) { read_basic_auth(inner, into.basic_auth.emplace()); });
  fields.object("rate", [&](Fields& inner) {
    inner.object("client", [&](Fields& rate) { read_rate(rate, into.rate.client.emplace()); });
    inner.object("app", [&](Fields& rate) { read_rate(rate, into.rate.app.emplace()); });
  });
  fields.object("in_hand", [&](Fields& inner) {
    inner.number("app", 1, 100'000, into.in_hand.app);
    inner.number("client", 1, 100'000, into.in_hand.client);
    inner.number("instance", 1, 100'000, into.in_hand.instance);
  });
  fields.number("max_body_bytes", 1, std::int64_t{1} << 40, into.max_body_bytes);
  fields.object("maintenance",
                [&](Fields& inner) { read_maintenance(inner, into.maintenance.emplace()); });
  read_error_pages(fields, into.error_pages);
  fields.object("security_headers",
                [&](Fields& inner) { read_security(inner, into.security_headers); });
  fields.object("request_headers",
                [&](Fields& inner) { read_header_rules(inner, into.request_headers, true); });
  fields.object("response_headers",
                [&](Fields& inner) { read_header_rules(inner, into.response_headers, false); });
  fields.object("compression",
                [&](Fields& inner) { read_compression(inner, into.compression.emplace()); });
  fields.object("client_certificates", [&](Fields& inner) {
    read_client_certificates(inner, into.client_certificates.emplace());
  });
  fields.object("instance", [&](Fields& inner) { read_instance(inner, into.instance); });
}

/// Writes fields that are not as they would be without being said.
class Writer {
 public:
  template <class T>
  Writer& field(const char* name, const T& value, const T& otherwise) {
    if (value != otherwise) out_[name] = value;
    return *this;
  }
  Writer& object(const char* name, json value) {
    if (!value.empty()) out_[name] = std::move(value);
    return *this;
  }
  json done() { return std::move(out_); }

 private:
  json out_ = json::object();
};

json redirect_json(const Redirect& redirect) {
  const Redirect plain;
  return Writer()
      .field("host", redirect.host, plain.host)
      .field("path", redirect.path, plain.path)
      .field("prefix", redirect.prefix, plain.prefix)
      .field("to", redirect.to, plain.to)
      .field("status", redirect.status, 0)
      .field("keep_path", redirect.keep_path, plain.keep_path)
      .field("keep_query", redirect.keep_query, plain.keep_query)
      .done();
}

json rate_json(const std::optional<Rate>& rate) {
  if (!rate) return json::object();
  return {{"requests", rate->requests}, {"seconds", rate->seconds}, {"burst", rate->burst}};
}

json header_rules_json(const HeaderRules& rules) {
  const HeaderRules none;
  return Writer()
      .field("remove", rules.remove, none.remove)
      .field("set", rules.set, none.set)
      .field("add", rules.add, none.add)
      .done();
}

}  // namespace

Result<Rules> read_rules(const json& from) {
  Rules rules;
  Wrong wrong;
  {
    Fields fields(from, "", wrong);
    if (!wrong) read_all(fields, rules);
  }
  if (wrong) return Error(ErrorKind::invalid, "rules: " + *wrong);
  const auto bytes = rules_json(rules).dump(-1, ' ', false, json::error_handler_t::replace).size();
  if (bytes > RuleBounds::json_bytes)
    return Error(ErrorKind::too_large,
                 fmt::format("rules: they are {} bytes of JSON, but may be {}: shorten the pages, "
                             "or serve them from the application",
                             bytes, RuleBounds::json_bytes));
  return rules;
}

json rules_json(const Rules& rules) {
  const Rules none;
  json redirects = json::array();
  for (const auto& each : rules.redirects) redirects.push_back(redirect_json(each));
  Writer out;
  out.object("redirects", std::move(redirects))
      .object("addresses", Writer()
                               .field("allow", rules.addresses.allow, none.addresses.allow)
                               .field("deny", rules.addresses.deny, none.addresses.deny)
                               .done())
      .object("rate", Writer()
                          .object("client", rate_json(rules.rate.client))
                          .object("app", rate_json(rules.rate.app))
                          .done())
      .object("in_hand", Writer()
                             .field("app", rules.in_hand.app, 0)
                             .field("client", rules.in_hand.client, 0)
                             .field("instance", rules.in_hand.instance, 0)
                             .done())
      .field("max_body_bytes", rules.max_body_bytes, none.max_body_bytes)
      .object("security_headers",
              Writer()
                  .field("preset", rules.security_headers.preset, none.security_headers.preset)
                  .field("replace", rules.security_headers.replace, none.security_headers.replace)
                  .done())
      .object("instance",
              Writer()
                  .field("protocol", rules.instance.protocol, none.instance.protocol)
                  .field("ca", rules.instance.ca, none.instance.ca)
                  .field("name", rules.instance.name, none.instance.name)
                  .field("send_proxy", rules.instance.send_proxy, none.instance.send_proxy)
                  .done())
      .object("request_headers", header_rules_json(rules.request_headers))
      .object("response_headers", header_rules_json(rules.response_headers));
  if (const auto& auth = rules.basic_auth)
    out.object("basic_auth", {{"realm", auth->realm},
                              {"users", auth->users},
                              {"except", auth->except},
                              {"forward", auth->forward}});
  if (const auto& m = rules.maintenance)
    out.object("maintenance", {{"on", m->on},
                               {"html", m->html},
                               {"retry_after_s", m->retry_after_s},
                               {"allow", m->allow}});
  if (const auto& c = rules.compression)
    out.object("compression", {{"codings", c->codings}, {"min_bytes", c->min_bytes}});
  if (const auto& c = rules.client_certificates)
    out.object("client_certificates",
               {{"ca", c->ca}, {"mode", c->required ? "required" : "optional"}});
  json pages = json::object();
  for (const auto& [status, html] : rules.error_pages) pages[std::to_string(status)] = html;
  out.object("error_pages", std::move(pages));
  return out.done();
}

struct SharedRules::Unreadable {
  std::string why;
  json came;
};

const std::string& SharedRules::unreadable() const {
  static const std::string none;
  return unreadable_ ? unreadable_->why : none;
}

bool SharedRules::operator==(const SharedRules& other) const {
  const bool same = rules_ == other.rules_ || (rules_ && other.rules_ && *rules_ == *other.rules_);
  if (!unreadable_ || !other.unreadable_) return same && unreadable_ == other.unreadable_;
  return same && unreadable_->came == other.unreadable_->came;
}

void to_json(json& to, const SharedRules& from) {
  if (from.rules_)
    to = rules_json(*from.rules_);
  else
    to = from.unreadable_ ? from.unreadable_->came : json();
}

void from_json(const json& from, SharedRules& to) {
  to = {};
  if (from.is_null()) return;
  auto rules = read_rules(from);
  if (rules)
    to.rules_ = std::make_shared<const Rules>(std::move(*rules));
  else
    to.unreadable_ = std::make_shared<const SharedRules::Unreadable>(
        SharedRules::Unreadable{rules.error().message(), from});
}

}  // namespace karreg::wire
