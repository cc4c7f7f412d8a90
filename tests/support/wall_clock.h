// The machine's clock, set by somebody while a program runs.
//
// The C library's call is intercepted in the whole process.
#pragma once

namespace avstore::test {

// While it lives, the clock may be set; clocks that only count on are left alone. From any thread.
class WallClock {
 public:
  WallClock() = default;
  ~WallClock();
  WallClock(const WallClock&) = delete;
  WallClock& operator=(const WallClock&) = delete;

  // To the right time and so much, from now on.
  static void set_ahead(int seconds);
};

}  // namespace avstore::test
