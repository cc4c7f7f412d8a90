// What can be said of a writer's options before there is a writer.
#pragma once

#include "avstore/writer.h"

namespace avstore::store {

// Throws Error(invalid_argument) for a frame rate that cannot be; 0/1 is one that is not known.
void require_valid_rate(Rational rate);

// Throws Error: unsupported (unknown format), invalid_argument (what cannot be).
void require_valid(const WriterOptions& options);

}  // namespace avstore::store
