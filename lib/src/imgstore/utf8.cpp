#include "imgstore/utf8.h"

namespace avstore::imgstore {
namespace {

// How many bytes follow a lead byte, and the least code point that needs that many.
struct Sequence {
  std::size_t following = 0;
  char32_t bits = 0;
  char32_t least = 0;
};

bool classify(unsigned char lead, Sequence& sequence) {
  if (lead < 0x80) {
    sequence = {0, lead, 0};
  } else if ((lead & 0xE0U) == 0xC0) {
    sequence = {1, lead & 0x1FU, 0x80};
  } else if ((lead & 0xF0U) == 0xE0) {
    sequence = {2, lead & 0x0FU, 0x800};
  } else if ((lead & 0xF8U) == 0xF0) {
    sequence = {3, lead & 0x07U, 0x10000};
  } else {
    return false;
  }
  return true;
}

bool is_scalar_value(char32_t code_point) {
  return code_point <= 0x10FFFF && (code_point < 0xD800 || code_point > 0xDFFF);
}

char low_six_bits(char32_t value) {
  return static_cast<char>(0x80U | (value & 0x3FU));
}

}  // namespace

char32_t next_code_point(std::string_view text, std::size_t& position) {
  Sequence sequence;
  if (!classify(static_cast<unsigned char>(text[position]), sequence) ||
      text.size() - position <= sequence.following) {
    return kInvalidCodePoint;
  }
  char32_t code_point = sequence.bits;
  for (std::size_t i = 1; i <= sequence.following; ++i) {
    const auto byte = static_cast<unsigned char>(text[position + i]);
    if ((byte & 0xC0U) != 0x80) {
      return kInvalidCodePoint;
    }
    code_point = (code_point << 6U) | (byte & 0x3FU);
  }
  if (code_point < sequence.least || !is_scalar_value(code_point)) {
    return kInvalidCodePoint;
  }
  position += 1 + sequence.following;
  return code_point;
}

void append_utf8(std::string& out, char32_t code_point) {
  if (code_point < 0x80) {
    out += static_cast<char>(code_point);
  } else if (code_point < 0x800) {
    out += static_cast<char>(0xC0U | (code_point >> 6U));
    out += low_six_bits(code_point);
  } else if (code_point < 0x10000) {
    out += static_cast<char>(0xE0U | (code_point >> 12U));
    out += low_six_bits(code_point >> 6U);
    out += low_six_bits(code_point);
  } else {
    out += static_cast<char>(0xF0U | (code_point >> 18U));
    out += low_six_bits(code_point >> 12U);
    out += low_six_bits(code_point >> 6U);
    out += low_six_bits(code_point);
  }
}

}  // namespace avstore::imgstore
