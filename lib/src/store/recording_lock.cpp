#include "store/recording_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>

#include "avstore/error.h"
#include "base/own_files.h"
#include "store/layout.h"

namespace avstore::store {
namespace {

namespace fs = std::filesystem;

// A process is known by its number together with the time at which it started, because numbers are
// used again, and by the boot of the machine that it runs on.
struct Owner {
  std::int64_t process = 0;
  std::string started;  // clock ticks after the boot
  std::string boot;
};

std::string read_small_file(const fs::path& path) {
  std::array<char, 4096> buffer{};
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) {
    return {};
  }
  const ssize_t n = ::read(descriptor, buffer.data(), buffer.size());
  ::close(descriptor);
  return {buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(n, 0))};
}

// Field 22 of /proc/PID/stat (proc(5)); the second, the program's name, may hold anything and ends
// with the last parenthesis. Empty if there is no such process, or only what its parent has not
// taken note of yet.
std::string start_of(std::int64_t process) {
  const std::string stat = read_small_file(fmt::format("/proc/{}/stat", process));
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) {
    return {};
  }
  constexpr int kFieldsBetween = 20;
  std::istringstream fields(stat.substr(name_end + 1));
  std::string state, field;
  fields >> state;
  for (int i = 1; i < kFieldsBetween; ++i) {
    fields >> field;
  }
  return state == "Z" || state == "X" ? "" : field;
}

std::string this_boot() {
  std::string id = read_small_file("/proc/sys/kernel/random/boot_id");
  id.erase(id.find_last_not_of('\n') + 1);
  return id;
}

std::string to_text(const Owner& owner) {
  return fmt::format("process: {}\nstarted: {}\nboot: {}\n", owner.process, owner.started,
                     owner.boot);
}

std::optional<Owner> parse_owner(const std::string& text) {
  std::istringstream lines(text);
  std::string process, started, boot;
  Owner owner;
  if (lines >> process >> owner.process >> started >> owner.started >> boot >> owner.boot &&
      process == "process:" && started == "started:" && boot == "boot:") {
    return owner;
  }
  return std::nullopt;
}

bool is_alive(const Owner& owner) {
  return owner.boot == this_boot() && owner.process > 0 && start_of(owner.process) == owner.started;
}

struct flock whole_file(short type) {
  struct flock range {};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  return range;
}

// Locks of open file descriptions: asking whether somebody holds one takes none, and those of two
// threads of a process keep each other out.
bool lock(int descriptor) {
  struct flock range = whole_file(F_WRLCK);
  return ::fcntl(descriptor, F_OFD_SETLK, &range) == 0 ||
         (errno != EAGAIN && errno != EACCES);  // a file system without locks is no obstacle
}

// Empty where that cannot be found out.
std::optional<bool> is_locked(const fs::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) {
    return std::nullopt;
  }
  struct flock range = whole_file(F_RDLCK);
  const bool told = ::fcntl(descriptor, F_OFD_GETLK, &range) == 0;
  ::close(descriptor);
  return told ? std::optional(range.l_type != F_UNLCK) : std::nullopt;
}

// Whether the name still leads to the file that is open. Its last owner may have removed it.
bool is_name_of(const fs::path& file, int descriptor) {
  struct stat open {};
  struct stat named {};
  return ::fstat(descriptor, &open) == 0 && ::lstat(file.c_str(), &named) == 0 &&
         open.st_dev == named.st_dev && open.st_ino == named.st_ino;
}

// Of the locks that this process holds. A lock belongs to the open file, which is a child's as well
// after fork(): with a child that goes on, the lock of a parent that was killed would be held.
class HeldLocks {
 public:
  HeldLocks() {
    ::pthread_atfork([] { of_this_process().mutex_.lock(); },
                     [] { of_this_process().mutex_.unlock(); }, [] { of_this_process().let_go(); });
  }

  void add(int descriptor) {
    const std::lock_guard lock(mutex_);
    descriptors_.insert(descriptor);
  }
  void remove(int descriptor) {
    const std::lock_guard lock(mutex_);
    descriptors_.erase(descriptor);
  }

  // Never destroyed: a writer may live as long as the process.
  static HeldLocks& of_this_process() {
    static HeldLocks& all = *new HeldLocks();
    return all;
  }

 private:
  // In the child. The numbers stay taken: the child's copies of the objects close them.
  void let_go() {
    const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (const int descriptor : descriptors_) {
      ::dup3(nothing, descriptor, O_CLOEXEC);
    }
    ::close(nothing);
    descriptors_.clear();
    mutex_.unlock();
  }

  std::mutex mutex_;
  std::set<int> descriptors_;
};

// False if it cannot be written. It must not be empty after a power cut.
bool write_owner(int descriptor) {
  const std::string text = to_text({::getpid(), start_of(::getpid()), this_boot()});
  return ::pwrite(descriptor, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()) &&
         ::ftruncate(descriptor, static_cast<off_t>(text.size())) == 0 &&
         ::fdatasync(descriptor) == 0;
}

}  // namespace

RecordingLock::RecordingLock(const fs::path& folder) : file_(folder / kLockFile) {
  const auto fail = [this](const char* what) {
    const int error = errno;
    throw Error(ErrorKind::io, file_.string() + ": " + what + ": " + std::strerror(error), error);
  };
  if (make(folder)) {
    HeldLocks::of_this_process().add(descriptor_);
    return;
  }
  // In a store from a stranger a link may lead anywhere, and a pipe or a device takes no text.
  const base::Entry there = base::entry_at(file_);
  if (there != base::Entry::file && there != base::Entry::none) {
    throw Error(ErrorKind::exists, file_.string() + ": is there, and is no file; remove it");
  }
  do {
    if (descriptor_ >= 0) {
      ::close(descriptor_);
    }
    descriptor_ =
        ::open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0644);
    if (descriptor_ < 0) {
      fail("cannot make the file");
    }
    if (!lock(descriptor_)) {
      ::close(descriptor_);
      require_not_recording(folder);
      throw Error(ErrorKind::exists, folder.string() + ": is being recorded");
    }
  } while (!is_in_place());
  struct stat before {};
  const bool is_new = ::fstat(descriptor_, &before) == 0 && before.st_size == 0;
  if (!write_owner(descriptor_)) {
    const int error = errno;
    if (is_new) {
      ::unlink(file_.c_str());  // empty, it would be anybody's
    }
    ::close(descriptor_);
    errno = error;
    fail("cannot write");
  }
  HeldLocks::of_this_process().add(descriptor_);
}

// The file gets its name with its owner in it and locked: who is killed on the way leaves nothing,
// where an empty file would be anybody's. False if one is there, or the file system has no files
// without names.
bool RecordingLock::make(const fs::path& folder) {
  descriptor_ = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
  if (descriptor_ < 0) {
    return false;
  }
  const std::string itself = fmt::format("/proc/self/fd/{}", descriptor_);  // open(2), O_TMPFILE
  if (write_owner(descriptor_) && lock(descriptor_) &&
      ::linkat(AT_FDCWD, itself.c_str(), AT_FDCWD, file_.c_str(), AT_SYMLINK_FOLLOW) == 0) {
    return true;
  }
  ::close(std::exchange(descriptor_, -1));
  return false;
}

RecordingLock::~RecordingLock() {
  HeldLocks::of_this_process().remove(descriptor_);
  ::close(descriptor_);
}

void RecordingLock::remove() noexcept {
  if (is_in_place()) {
    ::unlink(file_.c_str());
  }
}

bool RecordingLock::is_in_place() const noexcept {
  return is_name_of(file_, descriptor_);
}

RecordingState recording_state(const fs::path& folder) {
  const fs::path file = folder / kLockFile;
  switch (base::entry_at(file)) {
    case base::Entry::none:
      return {};
    case base::Entry::file:
      break;
    default:
      return {Recording::untold, ""};
  }
  const auto owner = parse_owner(read_small_file(file));
  RecordingState state;
  if (owner) {
    state.owner = "process " + std::to_string(owner->process);
  }
  const bool yes = is_locked(file).value_or(owner && is_alive(*owner));
  state.recording = yes ? Recording::yes : owner ? Recording::left : Recording::untold;
  return state;
}

void require_not_recording(const fs::path& folder) {
  const RecordingState state = recording_state(folder);
  if (state.recording == Recording::yes) {
    throw Error(ErrorKind::exists, folder.string() + ": is being recorded" +
                                       (state.owner.empty() ? "" : ", by " + state.owner));
  }
}

void require_closed(const fs::path& folder) {
  require_not_recording(folder);
  switch (recording_state(folder).recording) {
    case Recording::no:
    case Recording::yes:
      return;
    case Recording::left:
      throw Error(ErrorKind::exists,
                  folder.string() + ": its recording was killed; avstore repair completes it");
    case Recording::untold:
      throw Error(ErrorKind::exists, (folder / kLockFile).string() +
                                         ": is there, so somebody may be writing to the store; if "
                                         "nobody is, remove it");
  }
}

}  // namespace avstore::store
