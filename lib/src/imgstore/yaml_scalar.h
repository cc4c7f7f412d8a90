// What a plain YAML scalar means, by the YAML 1.1 rules as PyYAML's safe_load applies them: the
// readers of the format are written in Python, and those rules decide whether `yes` is text.
#pragma once

#include <string>
#include <string_view>

namespace avstore::imgstore {

enum class ScalarType { null, boolean, integer, real, sexagesimal, timestamp, merge, string };

// The type of a plain scalar. Text that PyYAML takes for a number or a time and then fails to
// convert (0b_, 2020-13-45) is a string.
ScalarType plain_scalar_type(std::string_view text);

// A plain scalar of a type as JSON: numbers in decimal with all their digits, true, false, null,
// NaN, Infinity; base-60 numbers, times and strings as strings.
std::string scalar_to_json(std::string_view text, ScalarType type);

// A string as a YAML scalar on one line, which any YAML 1.1 or 1.2 reader takes for that string:
// plain if that is safe, else in quotes. `text` is UTF-8.
std::string yaml_string(std::string_view text);

}  // namespace avstore::imgstore
