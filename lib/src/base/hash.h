// A hash to notice changes by; it withstands nobody who means harm.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace avstore::base {

// FNV-1a, of 64 bit. Source: http://www.isthe.com/chongo/tech/comp/fnv/
class Hash {
 public:
  void take(std::string_view bytes) {
    constexpr std::uint64_t kPrime = 1099511628211U;
    for (const char c : bytes) {
      value_ = (value_ ^ static_cast<std::uint8_t>(c)) * kPrime;
    }
  }
  std::string text() const { return std::to_string(value_); }

 private:
  std::uint64_t value_ = 14695981039346656037U;
};

}  // namespace avstore::base
