// Threads that the system refuses, as it does where a user has as many as allowed.
//
// pthread_create() is intercepted in the whole process: in avstore, and in the libraries that it
// uses.
#pragma once

namespace avstore::test {

// While it lives, `left` more threads are made, and all behind them fail with EAGAIN. There may be
// one at a time.
class ThreadLimit {
 public:
  explicit ThreadLimit(int left);
  ~ThreadLimit();
  ThreadLimit(const ThreadLimit&) = delete;
  ThreadLimit& operator=(const ThreadLimit&) = delete;

  // How many threads were asked for in vain.
  int refused() const;
};

}  // namespace avstore::test
