// Calls of the C library that change the disk: to count them, to have one fail, or to end the
// process at one.
//
// They are intercepted in the whole process: in avstore, and in the libraries that it uses. Outside
// the life of a DiskCalls they do what the C library's do.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

namespace avstore::test {

// What is intercepted, by the name of the call. Files that are opened by fopen, and so by
// std::ofstream, count from their first write on.
enum class DiskCall {
  open,       // to write, also if the file is there already
  write,      // avstore
  pwrite,     // avstore (chunks), SQLite
  ftruncate,  // SQLite
  fsync,
  fdatasync,
  mkdir,
  rename,
  linkat,  // gives a file that was opened without a name (O_TMPFILE) one
  remove,
  unlink,
  unlinkat,
  rmdir
};

// A call that was made and did what it should.
struct DiskEvent {
  DiskCall call = DiskCall::write;
  // Of the file or folder, without links; what has no name yet is called "#... (deleted)", as in
  // /proc/self/fd.
  std::filesystem::path path;
  std::filesystem::path to;  // rename, linkat
  std::int64_t offset = 0;   // write, pwrite; ftruncate: the length
  std::string bytes;         // write, pwrite
  bool created = false;      // open: the file was not there before
  bool emptied = false;      // open
};

// A call that was made to fail.
struct DiskFailure {
  DiskCall call = DiskCall::write;
  std::string path;  // below the folder
};
// "fsync store/000000.mp4"
std::string describe(const DiskFailure& failure);

// While it lives, calls on what lies below a folder are counted. There may be one at a time, and
// no other thread may be at work when it begins or ends. A child process has a copy of its own.
class DiskCalls {
 public:
  // All calls, or those of some kinds only. The folder itself counts as well.
  explicit DiskCalls(const std::filesystem::path& folder);
  DiskCalls(const std::filesystem::path& folder, std::initializer_list<DiskCall> kinds);
  ~DiskCalls();
  DiskCalls(const DiskCalls&) = delete;
  DiskCalls& operator=(const DiskCalls&) = delete;

  // How many there were, failed ones included.
  std::int64_t count() const;

  // The `nth` call, from 1 and from the beginning of this object's life, does nothing and fails
  // with that errno.
  void fail(std::int64_t nth, int error);

  // The calls that failed so far.
  std::vector<DiskFailure> failures() const;

  // And all calls after it, as on a disk that stays full.
  void fail_from(std::int64_t nth, int error);

  // Called after each call that succeeds, one at a time, by the thread that made it. To be set
  // before anything is done in the folder.
  void observe(std::function<void(const DiskEvent&)> observer);

  // The `nth` call is not made: the process ends there and then, with that exit status.
  void exit(std::int64_t nth, int status);

  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace avstore::test
