// Threads that can be made, or are an Error.
#pragma once

#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "avstore/error.h"

namespace avstore::base {

// Runs `work` on a thread of its own; the result joins it at the end of its life.
// Throws Error(io) where the system has no more threads; `where` is for messages.
template <typename Work>
std::jthread start_thread(const std::string& where, Work work) {
  try {
    return std::jthread(std::move(work));
  } catch (const std::system_error& refused) {
    throw Error(ErrorKind::io, where + ": cannot start a thread: " + refused.code().message(),
                refused.code().value());
  }
}

}  // namespace avstore::base
