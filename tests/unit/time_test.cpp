// Times and zones: as date tells them, and as stores have them. Names made of chance.
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <set>
#include <string>

#include "avstore/error.h"
#include "avstore/local_time.h"
#include "imgstore/clock.h"
#include "imgstore/metadata.h"
#include "support/catch.h"
#include "support/outcome.h"
#include "support/programs.h"

using namespace avstore;            // NOLINT
using namespace avstore::imgstore;  // NOLINT
using namespace avstore::test;      // NOLINT

TEST_CASE("local time is what date says, with the zone's distance at that moment") {
  for (const char* zone : {"Europe/Vienna", "America/St_Johns", "Asia/Kolkata", "Etc/UTC"}) {
    for (const char* seconds : {"1709296200", "1720000000", "1711846799", "1711846800",
                                "1729990799", "1729990800", "981173106"}) {
      const std::string expected =
          run(std::string("TZ=") + zone + " date -d @" + seconds + " +%FT%T.000000%:z");
      CHECK(local_time(FrameTime(std::stod(seconds)), zone) + "\n" == expected);
    }
  }
  CHECK(local_time(FrameTime(1709296200.04), "Europe/Vienna") ==
        "2024-03-01T13:30:00.040000+01:00");
  CHECK(local_time(FrameTime(1709296200.9999996), "no/zone") == "2024-03-01T12:30:01.000000+00:00");
  CHECK(local_time(FrameTime(12.5), "Europe/Vienna").empty());
  CHECK(local_time(FrameTime(std::nan("")), "Europe/Vienna").empty());
}

TEST_CASE("Times convert to Unix seconds and back", "[time]") {
  CHECK(unix_seconds("1970-01-01T00:00:00") == 0);
  CHECK(unix_seconds("2026-11-22T06:28:11.25") == 1795328891.25);
  CHECK(unix_seconds("2026-11-22T06:28:11.25Z") == 1795328891.25);
  CHECK(unix_seconds("2026-11-22 07:28:11.25+01:00") == 1795328891.25);
  CHECK(unix_seconds("2026-11-22T00:58:11.25-0530") == 1795328891.25);
  CHECK(unix_seconds("2026-11-22") == 1795305600);
  CHECK(unix_seconds("1969-12-31T23:59:59.5") == -0.5);
  CHECK(iso8601_utc(1795328891.25) == "2026-11-22T06:28:11.250000");
  CHECK(iso8601_utc(0) == "1970-01-01T00:00:00");
  CHECK(iso8601_utc(-0.5) == "1969-12-31T23:59:59.500000");
  CHECK(iso8601_utc(0.9999999) == "1970-01-01T00:00:01");
  CHECK(iso8601_utc(951868799) == "2000-02-29T23:59:59");
  for (const char* text : {"2026-11-22T06:28:11.142833", "2001-09-09T01:46:40.999999"}) {
    CHECK(iso8601_utc(unix_seconds(text)) == text);
  }
  const std::string bad = GENERATE(as<std::string>(), "", "now", "2026-13-01", "2026-02-29",
                                   "2026-11-22T24:00:00", "2026-11-22T06:28:11x", "26-11-22",
                                   "2026-11-22T06:60:00", "2026-11-22T06:28:11+99:00");
  CAPTURE(bad);
  CHECK(error_of([&] { unix_seconds(bad); }).kind() == ErrorKind::invalid_argument);
  CHECK(error_of([] { iso8601_utc(std::nan("")); }).kind() == ErrorKind::invalid_argument);
  CHECK(error_of([] { iso8601_utc(1e18); }).kind() == ErrorKind::invalid_argument);
}

TEST_CASE("Now is now", "[time]") {
  const std::string now = utc_now();
  CHECK(now.size() >= 19);
  CHECK(std::abs(unix_seconds(now) - static_cast<double>(std::time(nullptr))) < 5);
}

TEST_CASE("TZ names the zone if it holds a name", "[time]") {
  const char* before = std::getenv("TZ");
  const std::optional<std::string> saved =
      before != nullptr ? std::optional<std::string>(before) : std::nullopt;
  const auto name_with = [](const char* value) {
    ::setenv("TZ", value, 1);
    return local_timezone_name();
  };
  ::unsetenv("TZ");
  const std::string system = local_timezone_name();
  CHECK_FALSE(system.empty());
  CHECK(name_with("America/New_York") == "America/New_York");
  CHECK(name_with(":Europe/Vienna") == "Europe/Vienna");
  CHECK(name_with("/usr/share/zoneinfo/Asia/Tokyo") == "Asia/Tokyo");
  CHECK(name_with("CET-1CEST,M3.5.0,M10.5.0/3") == system);
  CHECK(name_with("Mars/Olympus") == system);
  CHECK(name_with("../../etc/passwd") == system);
  CHECK(name_with("") == system);
  // A store without a zone of its own uses the machine's.
  ::setenv("TZ", "America/New_York", 1);
  CHECK(time_in_folder_name("20190523_110102", "no zone") == unix_seconds("2019-05-23T15:01:02"));
  CHECK_FALSE(time_in_folder_name("20190523110102", "").has_value());
  saved ? ::setenv("TZ", saved->c_str(), 1) : ::unsetenv("TZ");
}

TEST_CASE("UUIDs are random, version 4", "[uuid]") {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const std::string uuid = new_uuid();
    REQUIRE(uuid.size() == 32);
    CHECK(uuid.find_first_not_of("0123456789abcdef") == std::string::npos);
    CHECK(uuid[12] == '4');
    CHECK(std::string("89ab").find(uuid[16]) != std::string::npos);
    seen.insert(uuid);
  }
  CHECK(seen.size() == 100);
}
