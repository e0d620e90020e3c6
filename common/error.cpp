#include "common/error.hpp"

#include <cstdio>
#include <exception>

namespace karreg {

namespace {
struct KindRow {
  int http;
  int exit;
  std::string_view name;
};

KindRow row(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::invalid:
      return {400, 2, "invalid"};
    case ErrorKind::unauthorized:
      return {401, 3, "unauthorized"};
    case ErrorKind::forbidden:
      return {403, 4, "forbidden"};
    case ErrorKind::not_found:
      return {404, 5, "not_found"};
    case ErrorKind::conflict:
      return {409, 6, "conflict"};
    case ErrorKind::too_large:
      return {413, 7, "too_large"};
    case ErrorKind::timeout:
      return {504, 8, "timeout"};
    case ErrorKind::unavailable:
      return {503, 9, "unavailable"};
    case ErrorKind::internal:
      return {500, 70, "internal"};
  }
  return {500, 70, "internal"};
}
}  // namespace

int http_status(ErrorKind kind) {
  return row(kind).http;
}
int exit_code(ErrorKind kind) {
  return row(kind).exit;
}
std::string_view to_string(ErrorKind kind) {
  return row(kind).name;
}

Error Error::within(std::string_view context) const {
  return Error(kind_, std::string(context) + ": " + message_, where_);
}

void invariant(bool holds, const char* what, std::source_location where) {
  if (holds) return;
  std::fprintf(stderr, "%s:%u: broken invariant: %s\n", where.file_name(),
               static_cast<unsigned>(where.line()), what);
  std::terminate();
}

}  // namespace karreg
