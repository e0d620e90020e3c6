#pragma once
/// What an OCI image says about the process that it is for: pure, from the image's texts.
/// Source: OCI image specification 1.1, config.md, the object `config`.

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace karreg::guest {

/// The user that runs tenants' code; made by the image recipes.
inline constexpr unsigned app_uid = 1000;
inline constexpr unsigned app_gid = 1000;

/// Who a process is.
struct User {
  unsigned uid = app_uid;
  unsigned gid = app_gid;
  std::vector<unsigned> groups = {};  ///< beside @c gid
  std::string home = "/home/app";
};

struct ImageConfig {
  std::string user;  ///< as the image has it; empty: root
  std::map<std::string, std::string> env;
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::string directory = "/";
  int stop_signal = 15;

  /// The argv that starts it. Throws std::runtime_error: the image tells none.
  std::vector<std::string> start() const;
};

/// @p json: the configuration of an image, or its object `config` alone. Throws std::runtime_error
/// for what is none, saying what is wrong in it.
ImageConfig parse_image_config(std::string_view json);

/// @p user of an image ("", "name", "1000", "name:group", "1000:1000"), with the image's files
/// passwd(5) and group(5). Who is in neither is a number, at home in "/". Throws
/// std::runtime_error for a name that they do not have.
User user_of(std::string_view user, std::string_view passwd, std::string_view group);

}  // namespace karreg::guest
