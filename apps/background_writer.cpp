#include "background_writer.h"

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string_view>
#include <utility>

namespace avstore::cli {

BackgroundWriter::BackgroundWriter(int descriptor, std::function<std::string()> next)
    : descriptor_(descriptor), next_(std::move(next)) {
  // Signals are for those who look at what they wish; the new thread inherits this.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

BackgroundWriter::~BackgroundWriter() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    changed_.notify_one();
  }
  thread_.join();
}

void BackgroundWriter::notify() {
  const std::lock_guard lock(mutex_);
  notified_ = true;
  changed_.notify_one();
}

void BackgroundWriter::run() {
  while (wait()) {
    for (std::string text = next_(); !text.empty(); text = next_()) {
      write(text);
    }
  }
}

// False at the end.
bool BackgroundWriter::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return notified_ || ending_; });
  return std::exchange(notified_, false);
}

void BackgroundWriter::write(const std::string& text) {
  std::string_view left = text;
  while (!left.empty()) {
    const ssize_t written = ::write(descriptor_, left.data(), left.size());
    if (written >= 0) {
      left.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {
      // Somebody else who has it open does not want to wait.
      pollfd output{descriptor_, POLLOUT, 0};
      ::poll(&output, 1, -1);
    } else if (errno != EINTR) {
      return;
    }
  }
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

}  // namespace avstore::cli
