#include "support/processes.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <stdexcept>

#include "support/catch.h"

namespace avstore::test {

namespace {

// A process that takes longer is ended.
constexpr unsigned kSecondsForChild = 120;
constexpr unsigned kSecondsForCall = 20;
constexpr int kMillisecondsForSignal = 20'000;

int status_of(const std::function<int()>& body) {
  try {
    return body();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "child: %s\n", error.what());
  } catch (...) {
    // A failed assertion: Catch has said so, and must not go on with the other tests in here.
  }
  return 99;
}

std::string text_of(const std::function<std::string()>& call) {
  try {
    return call();
  } catch (const std::exception& error) {
    return std::string("not an avstore::Error: ") + error.what();
  }
}

}  // namespace

pid_t start_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(kSecondsForChild);
    ::_exit(status_of(body));
  }
  REQUIRE(child > 0);
  return child;
}

int wait_for(pid_t child) {
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

bool is_running(pid_t child) {
  siginfo_t ended{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOHANG | WNOWAIT) == 0);
  return ended.si_pid == 0;
}

int run_child(const std::function<int()>& body) {
  return wait_for(start_child(body));
}

std::string in_child(const std::function<std::string()>& call) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::alarm(kSecondsForCall);
    const std::string text = text_of(call);
    static_cast<void>(!::write(ends[1], text.data(), text.size()));
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string text;
  std::array<char, 4096> buffer{};
  for (ssize_t n = 0; (n = ::read(ends[0], buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) {
    return WTERMSIG(status) == SIGALRM ? "hangs" : "signal " + std::to_string(WTERMSIG(status));
  }
  return WEXITSTATUS(status) == 0 ? text : "exit " + std::to_string(WEXITSTATUS(status));
}

Signal::Signal() {
  REQUIRE(::pipe2(ends_.data(), O_CLOEXEC) == 0);
}

Signal::~Signal() {
  ::close(ends_[0]);
  ::close(ends_[1]);
}

void Signal::send() const {
  if (::write(ends_[1], "", 1) != 1) {
    throw std::runtime_error("cannot send");
  }
}

void Signal::wait() const {
  pollfd ready{.fd = ends_[0], .events = POLLIN, .revents = 0};
  if (::poll(&ready, 1, kMillisecondsForSignal) != 1) {
    throw std::runtime_error("no signal within 20 s");
  }
  char received = 0;
  if (::read(ends_[0], &received, 1) != 1) {
    throw std::runtime_error("cannot receive");
  }
}

void become_nobody() {
  constexpr unsigned nobody = 65534;
  if (::geteuid() == 0 &&
      (::setgroups(0, nullptr) != 0 || ::setgid(nobody) != 0 || ::setuid(nobody) != 0)) {
    throw std::runtime_error("cannot become another user");
  }
}

}  // namespace avstore::test
