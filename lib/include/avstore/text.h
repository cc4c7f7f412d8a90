// Values as people write them, on a command line or in a configuration.
//
// All of these throw Error(invalid_argument) with words for whoever wrote the text.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "avstore/record.h"
#include "avstore/types.h"
#include "avstore/writer.h"

namespace avstore {

// A frame rate: 25, 29.97 (kept exactly, as 2997/100) or 30000/1001.
Rational rate_from_text(const std::string& text);

// Width and height in pixels: 640x480.
std::pair<int, int> size_from_text(const std::string& text);

// A number of bytes: 1000, 64K, 256M, 20G, 1.5T, by powers of 1024.
std::uint64_t bytes_from_text(const std::string& text);

// 5%, or bytes as 20G; 0 for none.
MinFree min_free_from_text(const std::string& text);

Timing timing_from_text(const std::string& text);          // nominal, real
WhenFull when_full_from_text(const std::string& text);     // block, drop, fail
Durability durability_from_text(const std::string& text);  // process, power
FrameClock clock_from_text(const std::string& text);       // arrival, source

// A text fit to be shown and kept: addresses in it have no user and password any more, so that
// "http://me:secret@camera/" becomes "http://camera/", and "http://camera/?password=secret"
// "http://camera/?password=...".
std::string without_passwords(std::string text);

}  // namespace avstore
