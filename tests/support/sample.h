// Which cases of a long loop a run tries: all of them in a full run, a spread sample otherwise.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
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

// The same of all pairs of an element of `first` and one of `second`.
template <typename First, typename Second>
std::vector<std::pair<First, Second>> sampled_pairs(const std::string& what,
                                                    const std::vector<First>& first,
                                                    const std::vector<Second>& second,
                                                    std::int64_t most) {
  std::vector<std::pair<First, Second>> pairs;
  const auto count = static_cast<std::int64_t>(first.size() * second.size());
  for (const std::int64_t place : sample(what, count, most)) {
    const auto i = static_cast<std::size_t>(place);
    pairs.emplace_back(first.at(i / second.size()), second.at(i % second.size()));
  }
  return pairs;
}

}  // namespace avstore::test
