// UTF-8, one code point at a time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace avstore::imgstore {

// What next_code_point returns where the text is not UTF-8.
inline constexpr char32_t kInvalidCodePoint = 0xFFFFFFFF;

// The code point that starts at `position`, which is moved past it. Overlong forms, surrogates and
// truncated sequences give kInvalidCodePoint and leave `position` alone.
// `position` must be less than the size of the text.
char32_t next_code_point(std::string_view text, std::size_t& position);

// Append one code point; surrogates too, as three bytes (the caller takes care of those).
void append_utf8(std::string& out, char32_t code_point);

}  // namespace avstore::imgstore
