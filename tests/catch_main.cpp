#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>

/// Asked by LeakSanitizer where it runs. libpqxx 6.4 forgets one PGresult when a connection breaks
/// during a query: it asks the dead connection for its encoding before anybody owns the result.
// NOLINTBEGIN(bugprone-reserved-identifier): the name is LeakSanitizer's
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libpqxx";
}
// NOLINTEND(bugprone-reserved-identifier)
