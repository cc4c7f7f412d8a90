#include "background_writer.h"

#include <avstore/error.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "interrupt.h"

namespace avstore::cli {
namespace {

using Clock = std::chrono::steady_clock;

// Once told to stop.
constexpr std::chrono::seconds kLongestWait(1);

// Ends a write() that waits. Nobody else is concerned: what does not catch it ignores it.
constexpr int kWake = SIGURG;

void catch_wake() {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  sigemptyset(&action.sa_mask);
  sigaction(kWake, &action, nullptr);
}

}  // namespace

BackgroundWriter::BackgroundWriter(int descriptor, std::function<std::string()> next)
    : descriptor_(descriptor), next_(std::move(next)) {
  catch_wake();
  // Signals are for those who look at what they wish; the new thread inherits this.
  sigset_t all_others;
  sigset_t before;
  sigfillset(&all_others);
  sigdelset(&all_others, kWake);
  pthread_sigmask(SIG_SETMASK, &all_others, &before);
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& refused) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw Error(ErrorKind::io, "cannot start a thread: " + refused.code().message(),
                refused.code().value());
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

BackgroundWriter::~BackgroundWriter() {
  end();
}

void BackgroundWriter::notify() {
  const std::lock_guard lock(mutex_);
  notified_ = true;
  changed_.notify_one();
}

int BackgroundWriter::end() {
  if (thread_.joinable()) {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
      changed_.notify_one();
    }
    wait_until_done();
    give_up_if_not_done();
    thread_.join();
  }
  return error_;
}

void BackgroundWriter::wait_until_done() {
  // The signal may be another thread's, and end no wait here.
  constexpr std::chrono::milliseconds kLookAgain(50);
  std::optional<Clock::time_point> latest;
  std::unique_lock lock(mutex_);
  while (!done_ && (!latest || Clock::now() < *latest)) {
    if (!latest && interrupted()) {
      latest = Clock::now() + kLongestWait;
    }
    done_changed_.wait_for(lock, kLookAgain);
  }
}

void BackgroundWriter::give_up_if_not_done() {
  std::unique_lock lock(mutex_);
  given_up_ = !done_;
  while (!done_) {
    // One that comes just before write() waits ends nothing: once more then.
    pthread_kill(thread_.native_handle(), kWake);
    done_changed_.wait_for(lock, std::chrono::milliseconds(10));
  }
}

void BackgroundWriter::run() {
  while (wait()) {
    for (std::string text = next_(); !text.empty(); text = next_()) {
      const int error = write(text);
      const std::lock_guard lock(mutex_);
      error_ = error;
    }
  }
  const std::lock_guard lock(mutex_);
  done_ = true;
  done_changed_.notify_one();
}

// False at the end.
bool BackgroundWriter::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return notified_ || ending_; });
  return std::exchange(notified_, false);
}

bool BackgroundWriter::is_given_up() {
  const std::lock_guard lock(mutex_);
  return given_up_;
}

// 0, or why it could not be written.
int BackgroundWriter::write(const std::string& text) {
  std::string_view left = text;
  while (!left.empty()) {
    if (is_given_up()) {
      return ETIMEDOUT;
    }
    const ssize_t written = ::write(descriptor_, left.data(), left.size());
    if (written >= 0) {
      left.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {
      // Somebody else who has it open does not want to wait.
      pollfd output{descriptor_, POLLOUT, 0};
      if (::poll(&output, 1, -1) < 0 && errno != EINTR) {
        return errno;
      }
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

NewestText::NewestText(int descriptor)
    : writer_(descriptor, [this] {
        const std::lock_guard lock(mutex_);
        return std::exchange(text_, {});
      }) {}

void NewestText::offer(std::string text) {
  {
    const std::lock_guard lock(mutex_);
    text_ = std::move(text);
  }
  writer_.notify();
}

int NewestText::end(const std::string& last) {
  {
    const std::lock_guard lock(mutex_);
    text_ += last;
  }
  writer_.notify();
  return writer_.end();
}

}  // namespace avstore::cli
