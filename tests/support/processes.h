// Processes of our own, as a test has them: they write beside each other, are killed, or may crash.
#pragma once

#include <sys/types.h>

#include <array>
#include <functional>
#include <string>

namespace avstore::test {

// A child process that does `body`. Its exit status is what `body` returns, 99 if that throws. One
// that hangs is ended.
pid_t start_child(const std::function<int()>& body);

// The exit status; minus the signal's number if one ended it.
int wait_for(pid_t child);

bool is_running(pid_t child);

// start_child() and wait_for().
int run_child(const std::function<int()>& body);

// What `call` says, or that it crashed or took too long ("signal N", "hangs", "exit N"): in a
// process of its own.
std::string in_child(const std::function<std::string()>& call);

// Tells another process to go on. Connections to a database must not be carried over a fork, so
// children are started before there is one and wait for it.
class Signal {
 public:
  Signal();
  ~Signal();
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

  void send() const;
  void wait() const;  // throws if none comes

 private:
  std::array<int, 2> ends_{};
};

// Permissions do not bind root, so a child process gives up being root.
void become_nobody();

}  // namespace avstore::test
