#include "support/wall_clock.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

namespace {

std::atomic<int> seconds_ahead = 0;

}  // namespace

namespace avstore::test {

WallClock::~WallClock() {
  set_ahead(0);
}

void WallClock::set_ahead(int seconds) {
  seconds_ahead = seconds;
}

}  // namespace avstore::test

// ---- in place of the C library's -----------------------------------------------------------

extern "C" int clock_gettime(clockid_t clock, struct timespec* time) noexcept {
  const long result = ::syscall(SYS_clock_gettime, clock, time);
  if (result == 0 && clock == CLOCK_REALTIME) {
    time->tv_sec += seconds_ahead;
  }
  return static_cast<int>(result);
}
