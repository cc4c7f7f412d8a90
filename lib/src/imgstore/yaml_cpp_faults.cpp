#include "imgstore/yaml_cpp_faults.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "imgstore/utf8.h"

namespace avstore::imgstore {
namespace {

constexpr std::string_view kLineSeparator = "\xE2\x80\xA8";
constexpr std::string_view kParagraphSeparator = "\xE2\x80\xA9";
constexpr char kShortLineSeparator = '\xFD';
constexpr char kShortParagraphSeparator = '\xFE';
constexpr std::string_view kBreaks = "\n\xFD\xFE";

// Whether the text has one of these characters at a place.
bool has_any(std::string_view characters, std::string_view text, std::size_t at) {
  return at < text.size() && characters.find(text[at]) != std::string_view::npos;
}

std::string long_break(char short_break) {
  return std::string(short_break == kShortLineSeparator        ? kLineSeparator
                     : short_break == kShortParagraphSeparator ? kParagraphSeparator
                                                               : "\n");
}

// ---- quoted scalars ------------------------------------------------------------------------

// The line breaks among the blanks and breaks from `at` on, which moves past all of them.
std::string take_breaks(std::string_view text, std::size_t& at) {
  std::string breaks;
  for (; has_any(" \t\n\xFD\xFE", text, at); ++at) {
    breaks += has_any(kBreaks, text, at) ? long_break(text[at]) : "";
  }
  return breaks;
}

// Between words a newline is a space, and several are one less.
std::string folded(const std::string& breaks) {
  return breaks == "\n" ? " " : breaks.substr(breaks.starts_with('\n') ? 1 : 0);
}

// What an escape means whose backslash is before `at`, which moves past it.
std::string take_escape(std::string_view text, std::size_t& at) {
  constexpr std::string_view kNames = "0abt\tnvfre \"'\\/N_LP";
  constexpr char32_t kMeanings[] = {0,   7,   8,    '\t', '\t', '\n', '\v', '\f',   '\r',  0x1B,
                                    ' ', '"', '\'', '\\', '/',  0x85, 0xA0, 0x2028, 0x2029};
  if (has_any(kBreaks, text, at)) {
    return take_breaks(text, ++at);
  }
  const char name = text[at++];
  std::uint32_t meaning = 0;
  if (const std::size_t place = kNames.find(name); place != std::string_view::npos) {
    meaning = kMeanings[place];
  } else {
    const std::string_view digits = text.substr(at, name == 'x' ? 2 : name == 'u' ? 4 : 8);
    std::from_chars(digits.data(), digits.data() + digits.size(), meaning, 16);
    at += digits.size();
  }
  std::string out;
  append_utf8(out, meaning);
  return out;
}

// ---- block scalars -------------------------------------------------------------------------

std::size_t spaces_at(std::string_view text, std::size_t at) {
  return std::min(text.find_first_not_of(' ', at), text.size()) - at;
}

// The breaks of the lines from `at` on, which moves past them, that have no more than spaces.
std::string take_empty_lines(std::string_view text, std::size_t& at, std::size_t most_spaces) {
  std::string breaks;
  while (true) {
    const std::size_t spaces = spaces_at(text, at);
    if (spaces > most_spaces || !has_any(kBreaks, text, at + spaces)) {
      return breaks;
    }
    breaks += long_break(text[at + spaces]);
    at += spaces + 1;
  }
}

std::size_t line_end(std::string_view text, std::size_t at) {
  return std::min(text.find_first_of(kBreaks, at), text.size());
}

// ---- rewording -----------------------------------------------------------------------------

// "|", ">-", "|2 # comment": what stands before the lines of a block scalar.
bool is_block_header(std::string_view text) {
  const std::size_t end = std::min(text.find_first_not_of("+-123456789", 1), text.size());
  const std::size_t rest = end + spaces_at(text, end);
  return has_any("|>", text, 0) && (rest == text.size() || (text[rest] == '#' && rest > end));
}

// A line that may begin a block scalar.
struct Line {
  explicit Line(std::string_view line) {
    std::size_t indicator = std::string_view::npos;
    for (; has_any(" ", line, node) || (has_any("-?:", line, node) && has_any(" ", line, node + 1));
         ++node) {
      indicator = line[node] == ' ' ? indicator : node;
    }
    for (header = node; has_any("!&", line, header);) {
      header = std::min(line.find(' ', header), line.size());
      header += spaces_at(line, header);
    }
    least_indent = node;
    if (is_block_header(line.substr(header))) {
      is_element = indicator != std::string_view::npos;
      least_indent = is_element ? indicator + 1 : node;
      return;
    }
    least_indent = node + 1;
    do {
      header = std::min(line.find_first_of("|>", header + 1), line.size());
    } while (header < line.size() &&
             !(line[header - 1] == ' ' && is_block_header(line.substr(header))));
  }

  std::size_t node = 0;          // behind the indentation and the indicators "- ", "? " and ": "
  std::size_t header = 0;        // the "|" or ">"; the size of the line if there is none
  bool is_element = false;       // whether that stands behind indicators, not behind a key
  std::size_t least_indent = 0;  // of the block scalar's lines
};

// A question mark is an indicator only if it stands alone.
std::string with_question_marks_marked(std::string_view line) {
  std::string out(line);
  for (std::size_t i = 0; i < line.size(); ++i) {
    const bool alone = (i == 0 || has_any(" \t[{,", line, i - 1)) &&
                       (i + 1 == line.size() || has_any(" \t", line, i + 1));
    if (line[i] == '?' && !alone) {
      out[i] = kQuestionMark;
    }
  }
  return out;
}

}  // namespace

std::string with_short_breaks(std::string_view text) {
  struct Break {
    std::string_view as_it_is;
    std::string_view short_one;
  };
  static constexpr Break kLongBreaks[] = {{"\r\n", "\n"},
                                          {"\r", "\n"},
                                          {"\xC2\x85", "\n"},
                                          {kLineSeparator, {&kShortLineSeparator, 1}},
                                          {kParagraphSeparator, {&kShortParagraphSeparator, 1}}};
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  std::string out;
  out.reserve(text.size());
  std::size_t at = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  while (at < text.size()) {
    const auto* const found =
        std::find_if(std::begin(kLongBreaks), std::end(kLongBreaks),
                     [&](const Break& one) { return text.substr(at).starts_with(one.as_it_is); });
    if (found == std::end(kLongBreaks)) {
      out += text[at++];
    } else {
      out += found->short_one;
      at += found->as_it_is.size();
    }
  }
  return out;
}

std::string with_plain_breaks(std::string_view short_breaks) {
  std::string out(short_breaks);
  std::replace(out.begin(), out.end(), kShortLineSeparator, '\n');
  std::replace(out.begin(), out.end(), kShortParagraphSeparator, '\n');
  return out;
}

std::optional<std::string> quoted_content(std::string_view text, std::size_t at) {
  const char quote = text[at++];
  std::string out;
  while (at < text.size()) {
    const std::size_t start = at;
    if (const std::string breaks = take_breaks(text, at); at > start) {
      out += breaks.empty() ? text.substr(start, at - start) : folded(breaks);
    } else if (text[at] == '\\' && quote == '"' && at + 1 < text.size()) {
      out += take_escape(text, ++at);
    } else if (text[at] != quote) {
      out += text[at++];
    } else if (quote == '\'' && has_any("'", text, at + 1)) {
      out += quote;
      at += 2;
    } else {
      return out;
    }
  }
  return std::nullopt;
}

std::string block_content(std::string_view text, std::size_t at, std::string_view content) {
  const bool folds = text[at] == '>';
  const std::size_t header_end = line_end(text, at);
  const std::string_view header =
      text.substr(at, std::min(text.find_first_not_of("|>+-123456789", at), header_end) - at);
  const bool keeps = header.find('+') != std::string_view::npos;
  const bool strips = header.find('-') != std::string_view::npos;
  at = std::min(header_end + 1, text.size());
  std::string breaks = take_empty_lines(text, at, text.size());
  const std::size_t first = content.find_first_not_of('\n');
  if (first == std::string_view::npos) {
    return keeps ? breaks : "";
  }
  const std::size_t indent = spaces_at(text, at) - spaces_at(content, first);
  std::string out;
  std::string last_break;
  do {
    out += breaks;
    at += indent;
    const std::string_view line = text.substr(at, line_end(text, at) - at);
    out += line;
    at += line.size();
    last_break = at < text.size() ? long_break(text[at++]) : "";
    breaks = take_empty_lines(text, at, indent);
    const bool goes_on = at < text.size() && spaces_at(text, at) >= indent;
    const bool joins = folds && last_break == "\n" && !has_any(" \t", line, 0) &&
                       !has_any(" \t", text, at + indent);
    if (!goes_on) {
      break;
    }
    out += !joins ? last_break : breaks.empty() ? " " : "";
  } while (true);
  return out + (strips ? "" : last_break) + (keeps ? breaks : "");
}

std::string in_yaml_cpps_words(std::string_view text) {
  std::string out;
  bool in_block_scalar = false;
  std::size_t least_indent = 0;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, line_end(text, 0));
    const std::size_t indent = spaces_at(line, 0);
    if (in_block_scalar && (indent >= least_indent || indent == line.size())) {
      out += line;
    } else {
      const Line parts(line);
      in_block_scalar = parts.header < line.size();
      least_indent = parts.least_indent;
      out += with_question_marks_marked(line.substr(0, parts.header));
      if (parts.is_element && parts.header > parts.node) {
        out += '\n' + std::string(parts.node + 1, ' ');
      }
      out += line.substr(parts.header);
    }
    const std::size_t with_break = std::min(line.size() + 1, text.size());
    out += text.substr(line.size(), with_break - line.size());
    text.remove_prefix(with_break);
  }
  return out;
}

}  // namespace avstore::imgstore
