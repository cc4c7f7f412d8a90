#include "support/thread_limit.h"

#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <limits>

namespace {

constexpr int kNoLimit = std::numeric_limits<int>::max();

std::atomic<int> threads_left = kNoLimit;
std::atomic<int> threads_refused = 0;

bool is_refused() {
  if (threads_left == kNoLimit) {
    return false;
  }
  if (threads_left.fetch_sub(1) > 0) {
    return false;
  }
  ++threads_left;
  ++threads_refused;
  return true;
}

}  // namespace

namespace avstore::test {

ThreadLimit::ThreadLimit(int left) {
  threads_refused = 0;
  threads_left = left;
}

ThreadLimit::~ThreadLimit() {
  threads_left = kNoLimit;
}

int ThreadLimit::refused() const {
  return threads_refused;
}

}  // namespace avstore::test

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*start)(void*), void* argument) noexcept {
  if (is_refused()) {
    return EAGAIN;
  }
  using Create = int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static auto* const create = reinterpret_cast<Create*>(::dlsym(RTLD_NEXT, "pthread_create"));
  return create(thread, attributes, start, argument);
}
