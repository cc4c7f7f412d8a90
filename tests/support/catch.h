// Catch2, version 2 or 3: include this instead of either.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
// Version 2 has it in the global namespace.
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#include <string>

namespace Catch::Matchers {
// Version 3 has the name Contains for the elements of a range.
inline auto ContainsSubstring(const std::string& text) {
  return Contains(text);
}
}  // namespace Catch::Matchers
#endif

// Leaves the test case out and says why; tests/run.sh counts it as skipped. Catch2 has it from
// version 3.3 on. Before that it returns, so it must stand in the test case itself, and before
// generators, which would come back to it.
#ifndef SKIP
#define SKIP(reason)             \
  do {                           \
    WARN("skipped: " << reason); \
    return;                      \
  } while (false)
#endif
