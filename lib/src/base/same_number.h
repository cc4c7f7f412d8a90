// Comparing numbers that may be NaN.
#pragma once

namespace avstore::base {

// Equal, or both NaN.
inline bool is_same(double a, double b) {
  return a == b || (a != a && b != b);
}

}  // namespace avstore::base
