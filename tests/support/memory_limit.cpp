#include "support/memory_limit.h"

#include <cstddef>
#include <cstdlib>
#include <limits>
#include <new>

namespace {

constexpr int kNoLimit = std::numeric_limits<int>::max();

thread_local int allocations_left = kNoLimit;
thread_local int allocations_refused = 0;

void* allocate(std::size_t size) {
  if (allocations_left != kNoLimit && allocations_left-- <= 0) {
    allocations_left = 0;
    ++allocations_refused;
    throw std::bad_alloc();
  }
  void* const memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  return memory;
}

}  // namespace

namespace avstore::test {

MemoryLimit::MemoryLimit(int left) {
  allocations_refused = 0;
  allocations_left = left;
}

MemoryLimit::~MemoryLimit() {
  allocations_left = kNoLimit;
}

int MemoryLimit::refused() const {
  return allocations_refused;
}

}  // namespace avstore::test

void* operator new(std::size_t size) {
  return allocate(size);
}
void* operator new[](std::size_t size) {
  return allocate(size);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t /*size*/) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t /*size*/) noexcept {
  std::free(memory);
}
