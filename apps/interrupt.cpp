#include "interrupt.h"

#include <atomic>
#include <csignal>

namespace avstore::cli {
namespace {

// The signal may reach any of the library's threads.
std::atomic<bool> stop_wanted = false;
static_assert(std::atomic<bool>::is_always_lock_free);

void note_interrupt(int) {
  stop_wanted = true;
}

// Without SA_RESTART, so that a wait for a slow pipe ends and the wish is looked at.
void note(int signal) {
  struct sigaction action {};
  action.sa_handler = note_interrupt;
  action.sa_flags = SA_RESETHAND;
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, nullptr);
}

bool is_ignored(int signal) {
  struct sigaction now {};
  sigaction(signal, nullptr, &now);
  return now.sa_handler == SIG_IGN;
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
  return stop_wanted;
}

}  // namespace avstore::cli
