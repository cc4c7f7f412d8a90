// What yaml-cpp 0.7 and 0.8 read otherwise than PyYAML, and how it is read instead: yaml-cpp tells
// where the parts of a document begin, and the contents of quoted and block scalars come from here.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace avstore::imgstore {

// A text with one byte for each line break, and without a byte order mark. CR, CR LF and NEL become
// LF. U+2028 and U+2029, which break lines in YAML 1.1 and stay what they are, become bytes that no
// UTF-8 has. `text` is UTF-8.
std::string with_short_breaks(std::string_view text);
// The same with LF for every break, as yaml-cpp knows no others.
std::string with_plain_breaks(std::string_view short_breaks);

// The content of the quoted scalar that begins at `at`; nothing if the text ends within. yaml-cpp
// takes the end of the text for a quote, gives the escapes \_ and \N as single bytes, and drops
// newlines before the closing quote. These two take a text with short breaks.
std::optional<std::string> quoted_content(std::string_view text, std::size_t at);

// The content of the block scalar whose `|` or `>` is at `at`, and of which yaml-cpp says that it
// is `content`, which tells how far it is indented. yaml-cpp drops a newline at the end of ">+".
std::string block_content(std::string_view text, std::size_t at, std::string_view content);

// A text with short breaks in words that yaml-cpp understands, for one that it has refused. It
// refuses
//   - a block scalar behind a tag or an anchor that begins an element, as PyYAML writes bytes in
//     lists ("- !!binary |"): here `|` gets a line of its own;
//   - a question mark within a word between brackets: here it becomes kQuestionMark.
std::string in_yaml_cpps_words(std::string_view text);
inline constexpr char kQuestionMark = '\xFF';  // no UTF-8 has this byte either

}  // namespace avstore::imgstore
