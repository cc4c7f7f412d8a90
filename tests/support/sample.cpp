#include "support/sample.h"

#include <cstdlib>
#include <functional>
#include <iostream>
#include <numeric>
#include <random>

namespace avstore::test {

bool is_full_run() {
  const char* full = std::getenv("AVSTORE_TEST_FULL");
  return full != nullptr && *full != '\0';
}

std::uint32_t sample_seed() {
  const char* seed = std::getenv("AVSTORE_TEST_SEED");
  return seed == nullptr ? 1 : static_cast<std::uint32_t>(std::strtoul(seed, nullptr, 10));
}

std::vector<std::int64_t> sample(const std::string& what, std::int64_t cases, std::int64_t most) {
  std::vector<std::int64_t> chosen;
  if (is_full_run() || cases <= most) {
    chosen.resize(static_cast<std::size_t>(cases));
    std::iota(chosen.begin(), chosen.end(), 0);
  } else {
    // The name keeps two loops of the same length from trying the same places.
    std::mt19937 random(sample_seed() + static_cast<std::uint32_t>(std::hash<std::string>{}(what)));
    for (std::int64_t part = 0; part < most; ++part) {
      const std::int64_t begin = cases * part / most;
      const std::int64_t end = cases * (part + 1) / most;
      chosen.push_back(std::uniform_int_distribution(begin, end - 1)(random));
    }
  }
  std::cout << "sampled " << what << ": " << chosen.size() << " of " << cases << " cases, seed "
            << sample_seed() << std::endl;
  return chosen;
}

}  // namespace avstore::test
