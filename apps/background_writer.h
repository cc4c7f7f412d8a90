// Text for readers that nobody waits for.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace avstore::cli {

// Writes to a descriptor on a thread of its own. Looking first whether there is room would not do:
// a terminal that has room for one character keeps whoever writes two.
class BackgroundWriter {
 public:
  // `next` gives what is to be written next, or nothing while there is nothing. It is called on the
  // thread of this. What cannot be written is gone.
  BackgroundWriter(int descriptor, std::function<std::string()> next);
  // Waits until everything is written that `next` gives.
  ~BackgroundWriter();
  BackgroundWriter(const BackgroundWriter&) = delete;
  BackgroundWriter& operator=(const BackgroundWriter&) = delete;

  // There is something to be written. Does not wait.
  void notify();

 private:
  void run();
  bool wait();
  void write(const std::string& text);

  const int descriptor_;
  const std::function<std::string()> next_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  bool notified_ = false;
  bool ending_ = false;
  std::thread thread_;
};

// Text of which only the newest matters: a reader that is too slow misses some.
class NewestText {
 public:
  explicit NewestText(int descriptor);

  // Does not wait.
  void offer(std::string text);

 private:
  std::mutex mutex_;
  std::string text_;
  BackgroundWriter writer_;  // the first to go
};

}  // namespace avstore::cli
