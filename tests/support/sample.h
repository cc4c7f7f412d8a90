// Which cases of a long loop a run tries: all of them in a full run, a spread sample otherwise.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace avstore::test {

// True if the environment variable AVSTORE_TEST_FULL is set and not empty.
bool is_full_run();

// The seed of this run's samples: the environment variable AVSTORE_TEST_SEED, or 1.
std::uint32_t sample_seed();

// Places from 0 to `cases` - 1 in ascending order: all of them in a full run or where there are no
// more than `most`; otherwise `most` of them, one at random from each of `most` equal parts, so
// that every stretch of the loop is tried and two seeds try different cases. Prints "sampled WHAT:
// N of CASES cases, seed S", which tests/support/report_tests.py adds up.
std::vector<std::int64_t> sample(const std::string& what, std::int64_t cases, std::int64_t most);

}  // namespace avstore::test
