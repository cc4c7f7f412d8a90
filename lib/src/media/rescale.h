// Timestamps from one time base to another.
#pragma once

#include <cstdint>

#include "avstore/types.h"

namespace avstore::media {

// Rounded to nearest, halves away from zero, without overflow in between.
std::int64_t rescale(std::int64_t timestamp, Rational from, Rational to);

}  // namespace avstore::media
