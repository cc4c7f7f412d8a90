// The machine's cores, shared by the writers of this process.
#pragma once

namespace avstore::store {

// One writer's part, for as long as it lives. For any thread.
class ThreadShare {
 public:
  // A writer that was told how many threads to use, or 0 for a fair share of what is left.
  explicit ThreadShare(int wanted);
  ~ThreadShare();
  ThreadShare(const ThreadShare&) = delete;
  ThreadShare& operator=(const ThreadShare&) = delete;

  // How many threads to encode with now, at least 1: what was wanted, or the cores that others do
  // not claim, divided by the writers that share them.
  int threads() const;

 private:
  int wanted_;
};

}  // namespace avstore::store
