// Timestamps in other time bases: against numbers worked out by hand.
#include <cstdint>
#include <vector>

#include "avstore/types.h"
#include "media/rescale.h"
#include "support/catch.h"
#include "support/outcome.h"

using avstore::media::rescale;

TEST_CASE("timestamps from one time base to another") {
  CHECK(rescale(1, {1, 25}, {1, 1000}) == 40);
  CHECK(rescale(7, {1, 25}, {1, 12800}) == 3584);
  CHECK(rescale(1000, {1, 1000}, {1, 25}) == 25);
  CHECK(rescale(1, {1001, 30000}, {1, 90000}) == 3003);
  CHECK(rescale(-5, {1, 25}, {1, 1000}) == -200);
  CHECK(rescale(0, {1, 3}, {1, 7}) == 0);
  // To nearest, halves away from zero.
  CHECK(rescale(1, {1, 2}, {1, 1}) == 1);
  CHECK(rescale(-1, {1, 2}, {1, 1}) == -1);
  CHECK(rescale(3, {1, 2}, {1, 1}) == 2);
  CHECK(rescale(1, {1, 3}, {1, 1}) == 0);
  CHECK(rescale(2, {1, 3}, {1, 1}) == 1);
  // A week of 500 frames/s in microseconds, and beyond 64 bits in between.
  CHECK(rescale(302'400'000, {1, 500}, {1, 1'000'000}) == 604'800'000'000);
  CHECK(rescale(INT64_MAX / 4, {1, 1'000'000'000}, {1, 1'000'000'000}) == INT64_MAX / 4);
  CHECK(rescale(9'000'000'000'000'000, {1, 1'000'000}, {1, 1000}) == 9'000'000'000'000);
}

TEST_CASE("fractions of numbers that are too large for libav are refused, not cut off") {
  using avstore::Rational;
  const std::int64_t large = std::int64_t{1} << 32;
  for (const Rational& odd : std::vector<Rational>{
           {1, large + 25}, {large + 1, 25}, {-large, 1}, {1, INT64_MAX}, {INT64_MAX, 1}}) {
    CAPTURE(odd.num, odd.den);
    CHECK_ERROR(unsupported, rescale(1, odd, {1, 1000}));
    CHECK_ERROR(unsupported, rescale(1, {1, 1000}, odd));
    CHECK(avstore::parse_rational(avstore::to_text(odd)) == Rational{0, 1});
  }
  CHECK(avstore::parse_rational("2147483647/2147483647") == Rational{2147483647, 2147483647});
}
