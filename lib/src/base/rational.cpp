#include <charconv>
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
  return whole && value.num > 0 && value.den > 0 ? value : Rational{0, 1};
}

}  // namespace avstore
