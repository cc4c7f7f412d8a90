#include <charconv>
#include <limits>
#include <system_error>

#include "avstore/types.h"

namespace avstore {

std::string to_text(Rational value) {
  return std::to_string(value.num) + "/" + std::to_string(value.den);
}

Rational parse_rational(const std::string& text) {
  Rational value;
  const char* const end = text.data() + text.size();
  const auto top = std::from_chars(text.data(), end, value.num);
  if (top.ec != std::errc() || top.ptr == end || *top.ptr != '/') {
    return {0, 1};
  }
  const auto bottom = std::from_chars(top.ptr + 1, end, value.den);
  const bool whole = bottom.ec == std::errc() && bottom.ptr == end;
  constexpr std::int64_t kLargestPart = std::numeric_limits<int>::max();  // libav's own limit
  const auto is_part = [](std::int64_t part) { return part > 0 && part <= kLargestPart; };
  return whole && is_part(value.num) && is_part(value.den) ? value : Rational{0, 1};
}

}  // namespace avstore
