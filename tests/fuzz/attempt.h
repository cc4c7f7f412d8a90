// What a target may do with an input: whatever it likes, and throw Errors.
#pragma once

#include "avstore/error.h"

namespace avstore::fuzz {

// An Error is what a damaged file should get. Any other exception ends the process, as a finding.
template <typename Work>
void attempt(const Work& work) {
  try {
    work();
  } catch (const Error&) {
  }
}

}  // namespace avstore::fuzz
