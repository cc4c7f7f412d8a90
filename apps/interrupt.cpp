#include "interrupt.h"

#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <string_view>

namespace avstore::cli {
namespace {

// One wish to stop may come as several signals: `timeout` and shells send it to a program and to
// its process group.
constexpr std::int64_t kSameWish = 2'000'000'000;  // nanoseconds

constexpr std::string_view kGivenUp =
    "avstore: told to stop once more: ended at once, and what was not finished is lost\n";

// When the first signal came; 0: none yet. It may reach any of the library's threads.
std::atomic<std::int64_t> first_signal = 0;
static_assert(std::atomic<std::int64_t>::is_always_lock_free);

std::atomic<bool> work_done = false;
static_assert(std::atomic<bool>::is_always_lock_free);

// Nothing but what a signal handler may call.
std::int64_t now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// A terminal that takes nothing must not keep the process.
void tell_of_giving_up() {
  pollfd output{STDERR_FILENO, POLLOUT, 0};
  if (::poll(&output, 1, 0) == 1 && (output.revents & POLLOUT) != 0) {
    [[maybe_unused]] const ssize_t written =
        ::write(STDERR_FILENO, kGivenUp.data(), kGivenUp.size());
  }
}

void note_interrupt(int signal) {
  const int error = errno;
  std::int64_t first = 0;
  const std::int64_t time = now();
  if (!first_signal.compare_exchange_strong(first, time) && time - first > kSameWish) {
    if (!work_done) {
      tell_of_giving_up();
    }
    std::signal(signal, SIG_DFL);
    std::raise(signal);  // ends the process once this returns
  }
  errno = error;
}

// Without SA_RESTART, so that a wait for a slow pipe ends and the wish is looked at.
void note(int signal) {
  struct sigaction action {};
  action.sa_handler = note_interrupt;
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, nullptr);
}

bool is_ignored(int signal) {
  struct sigaction current {};
  sigaction(signal, nullptr, &current);
  return current.sa_handler == SIG_IGN;
}

}  // namespace

void catch_interrupts() {
  // Shells start background jobs with SIGINT ignored; a rig's script must still be able to stop
  // one.
  note(SIGINT);
  note(SIGTERM);
  // nohup, on the other hand, means what it says.
  if (!is_ignored(SIGHUP)) {
    note(SIGHUP);
  }
}

bool interrupted() {
  return first_signal != 0;
}

void note_work_done() {
  work_done = true;
}

}  // namespace avstore::cli
