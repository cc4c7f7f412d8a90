// What a plain YAML scalar means, by the YAML 1.1 rules as PyYAML's safe_load applies them: the
// readers of the format are written in Python, and those rules decide whether `1:30` is text.
// Source: https://yaml.org/type/ and PyYAML's resolver, whose patterns differ from it in places
// (a float's exponent needs a sign and a point before it, so that 1e3 is text).
#pragma once

#include <string>
#include <string_view>

namespace avstore::imgstore {

enum class ScalarType { null, boolean, integer, real, timestamp, merge, string };

// The type of a plain scalar. Text that PyYAML would take for a number or a time and then fail to
// convert (0b_, 2020-13-45) counts as a string.
ScalarType plain_scalar_type(std::string_view text);

// A plain scalar as JSON: numbers in decimal with all their digits, true, false, null, NaN,
// Infinity; timestamps and strings as strings.
std::string plain_scalar_to_json(std::string_view text);

// A string as a YAML scalar on one line, which any YAML 1.1 or 1.2 reader takes for that string:
// plain if that is safe, else in quotes. `text` is UTF-8.
std::string yaml_string(std::string_view text);

}  // namespace avstore::imgstore
