// The user's own metadata of a store: YAML of any depth.
#pragma once

#include <string>

namespace avstore {

// `yaml` (a map, or empty) with one key set; dots in the key separate levels ("subject.id"). The
// value is YAML too: `7` is a number, `'7'` a string, `[a, b]` a list. Throws
// Error(invalid_argument) where that gives no valid metadata.
std::string set_metadata(const std::string& yaml, const std::string& key, const std::string& value);

// As JSON: plain scalars become numbers, booleans and null by the rules of YAML 1.1. "null" if
// empty.
std::string metadata_to_json(const std::string& yaml);

}  // namespace avstore
