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
  // thread of this. What cannot be written is gone. Throws Error(io) where the system has no more
  // threads.
  BackgroundWriter(int descriptor, std::function<std::string()> next);
  ~BackgroundWriter();
  BackgroundWriter(const BackgroundWriter&) = delete;
  BackgroundWriter& operator=(const BackgroundWriter&) = delete;

  // There is something to be written. Does not wait.
  void notify();

  // Waits until everything is written that `next` gives: as long as that takes or, once
  // interrupted(), a second more. 0 if the last text was written, ETIMEDOUT if nobody took all of
  // it in that time, else why it could not be written (errno). Idempotent; the destructor does it.
  int end();

 private:
  void run();
  bool wait();
  int write(const std::string& text);
  bool is_given_up();
  void wait_until_done();
  void give_up_if_not_done();

  const int descriptor_;
  const std::function<std::string()> next_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::condition_variable done_changed_;
  bool notified_ = false;
  bool ending_ = false;
  bool given_up_ = false;
  bool done_ = false;
  int error_ = 0;  // of the last text
  std::thread thread_;
};

// Text of which only the newest matters: a reader that is too slow misses some.
class NewestText {
 public:
  explicit NewestText(int descriptor);

  // Does not wait.
  void offer(std::string text);

  // The last text, which matters as well as the newest: waits, and says what became of it, as
  // BackgroundWriter::end() does.
  int end(const std::string& last);

 private:
  std::mutex mutex_;
  std::string text_;
  BackgroundWriter writer_;  // the first to go
};

}  // namespace avstore::cli
