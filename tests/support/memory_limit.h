// Memory that the system refuses.
//
// `operator new` is replaced in the whole process; what C libraries allocate is not concerned.
#pragma once

namespace avstore::test {

// While it lives, this thread makes `left` more allocations, and all behind them throw
// std::bad_alloc. There may be one a thread.
class MemoryLimit {
 public:
  explicit MemoryLimit(int left);
  ~MemoryLimit();
  MemoryLimit(const MemoryLimit&) = delete;
  MemoryLimit& operator=(const MemoryLimit&) = delete;

  // How many allocations failed.
  int refused() const;
};

}  // namespace avstore::test
