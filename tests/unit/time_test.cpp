// Local time, as date tells it.
#include <cmath>
#include <string>

#include "avstore/local_time.h"
#include "support/catch.h"
#include "support/programs.h"

namespace {

using namespace avstore::test;  // NOLINT
using avstore::FrameTime;

}  // namespace

TEST_CASE("local time is what date says, with the zone's distance at that moment") {
  for (const char* zone : {"Europe/Vienna", "America/St_Johns", "Asia/Kolkata", "Etc/UTC"}) {
    for (const char* seconds : {"1709296200", "1720000000", "1711846799", "1711846800",
                                "1729990799", "1729990800", "981173106"}) {
      const std::string expected =
          run(std::string("TZ=") + zone + " date -d @" + seconds + " +%FT%T.000000%:z");
      CHECK(avstore::local_time(FrameTime(std::stod(seconds)), zone) + "\n" == expected);
    }
  }
  CHECK(avstore::local_time(FrameTime(1709296200.04), "Europe/Vienna") ==
        "2024-03-01T13:30:00.040000+01:00");
  CHECK(avstore::local_time(FrameTime(1709296200.9999996), "no/zone") ==
        "2024-03-01T12:30:01.000000+00:00");
  CHECK(avstore::local_time(FrameTime(12.5), "Europe/Vienna").empty());
  CHECK(avstore::local_time(FrameTime(std::nan("")), "Europe/Vienna").empty());
}
