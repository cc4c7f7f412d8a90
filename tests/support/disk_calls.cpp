// The names with and without 64 are one call each, and both are to be defined here.
#undef _FILE_OFFSET_BITS

#include "support/disk_calls.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>

namespace avstore::test {

namespace fs = std::filesystem;

struct DiskCalls::State {
  std::string folder;
  std::set<DiskCall> kinds;
  std::atomic<std::int64_t> count = 0;
  // The calls at which something is to happen; 0: none.
  std::atomic<std::int64_t> failing = 0;
  std::atomic<bool> goes_on = false;  // all behind that one fail too
  std::atomic<int> error = 0;
  std::atomic<std::int64_t> last = 0;
  std::atomic<int> exit_status = 0;
  std::function<void(const DiskEvent&)> observer;
  std::mutex observing;
  mutable std::mutex naming;
  std::vector<DiskFailure> failures;
};

namespace {

std::atomic<DiskCalls::State*> watching = nullptr;

// Where nobody watches, paths are empty: calls then cost no time, and no memory, of which there may
// be none (support/memory_limit.h).

fs::path path_of(int descriptor) {
  if (watching == nullptr) {
    return {};
  }
  std::error_code error;
  return fs::read_symlink("/proc/self/fd/" + std::to_string(descriptor), error);
}

// What the call is about may be a link itself, or may not be there.
fs::path resolved(int folder, const char* name) {
  if (watching == nullptr) {
    return {};
  }
  const fs::path path = name;
  std::error_code error;
  const fs::path absolute =
      fs::absolute(folder == AT_FDCWD || path.is_absolute() ? path : path_of(folder) / path, error)
          .lexically_normal();
  const fs::path parent = fs::weakly_canonical(absolute.parent_path(), error);
  return error ? absolute : parent / absolute.filename();
}

fs::path resolved(const char* name) {
  return resolved(AT_FDCWD, name);
}

// Of a link in /proc/self/fd.
fs::path target_of(const char* link) {
  std::error_code error;
  return watching == nullptr ? fs::path() : fs::read_symlink(link, error);
}

bool is_below(const fs::path& path, const std::string& folder) {
  const std::string& text = path.native();
  return text.starts_with(folder) && (text.size() == folder.size() || text[folder.size()] == '/');
}

// Counts a call. True if it is to fail; errno says how then.
bool fails_now(DiskCalls::State& state, DiskCall call, const fs::path& path) {
  const std::int64_t nth = ++state.count;
  if (nth == state.last) {
    ::_exit(state.exit_status);
  }
  if (nth == state.failing || (state.goes_on && state.failing > 0 && nth > state.failing)) {
    {
      const std::lock_guard lock(state.naming);
      state.failures.push_back({call, path.lexically_relative(state.folder).string()});
    }
    errno = state.error;
    return true;
  }
  return false;
}

// The state if somebody wants to know of calls of this kind.
DiskCalls::State* watching_for(DiskCall call) {
  DiskCalls::State* state = watching;
  return state != nullptr && state->kinds.contains(call) ? state : nullptr;
}

bool fails(DiskCall call, const char* path, int folder = AT_FDCWD) {
  DiskCalls::State* state = watching_for(call);
  if (state == nullptr) {
    return false;
  }
  const fs::path place = resolved(folder, path);
  return is_below(place, state->folder) && fails_now(*state, call, place);
}

bool fails(DiskCall call, int descriptor) {
  DiskCalls::State* state = watching_for(call);
  if (state == nullptr) {
    return false;
  }
  const fs::path place = path_of(descriptor);
  return is_below(place, state->folder) && fails_now(*state, call, place);
}

bool rename_fails(const char* from, const char* to) {
  DiskCalls::State* state = watching_for(DiskCall::rename);
  return state != nullptr &&
         (is_below(resolved(from), state->folder) || is_below(resolved(to), state->folder)) &&
         fails_now(*state, DiskCall::rename, resolved(from));
}

// The permissions follow the flags only where a file may be made.
bool has_mode(int flags) {
  return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

bool open_fails(const char* path, int flags, int folder = AT_FDCWD) {
  return (flags & O_ACCMODE) != O_RDONLY && fails(DiskCall::open, path, folder);
}

bool is_observed(const fs::path& path) {
  DiskCalls::State* state = watching;
  return state != nullptr && state->observer && is_below(path, state->folder);
}

void note(const DiskEvent& event) {
  DiskCalls::State* state = watching;
  const int error = errno;
  const std::lock_guard lock(state->observing);
  state->observer(event);
  errno = error;
}

// Of calls that return a negative number if they fail.
template <typename Result>
Result noted(Result result, DiskCall call, const fs::path& path) {
  if (result >= 0 && is_observed(path)) {
    note({call, path, {}, 0, {}, false, false});
  }
  return result;
}

ssize_t noted_write(ssize_t result, DiskCall call, int descriptor, const void* bytes,
                    std::int64_t offset) {
  const fs::path path = path_of(descriptor);
  if (result > 0 && is_observed(path)) {
    note({call,
          path,
          {},
          offset,
          std::string(static_cast<const char*>(bytes), static_cast<std::size_t>(result)),
          false,
          false});
  }
  return result;
}

template <typename Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

std::string describe(const DiskFailure& failure) {
  static const std::map<DiskCall, std::string> kNames{
      {DiskCall::open, "open"},     {DiskCall::write, "write"},
      {DiskCall::pwrite, "pwrite"}, {DiskCall::ftruncate, "ftruncate"},
      {DiskCall::fsync, "fsync"},   {DiskCall::fdatasync, "fdatasync"},
      {DiskCall::mkdir, "mkdir"},   {DiskCall::rename, "rename"},
      {DiskCall::linkat, "linkat"}, {DiskCall::remove, "remove"},
      {DiskCall::unlink, "unlink"}, {DiskCall::unlinkat, "unlinkat"},
      {DiskCall::rmdir, "rmdir"},
  };
  return kNames.at(failure.call) + " " + failure.path;
}

DiskCalls::DiskCalls(const fs::path& folder)
    : DiskCalls(folder, {DiskCall::open, DiskCall::write, DiskCall::pwrite, DiskCall::ftruncate,
                         DiskCall::fsync, DiskCall::fdatasync, DiskCall::mkdir, DiskCall::rename,
                         DiskCall::linkat, DiskCall::remove, DiskCall::unlink, DiskCall::unlinkat,
                         DiskCall::rmdir}) {}

DiskCalls::DiskCalls(const fs::path& folder, std::initializer_list<DiskCall> kinds)
    : state_(std::make_unique<State>()) {
  state_->folder = fs::canonical(folder).native();
  state_->kinds = kinds;
  if (watching != nullptr) {
    throw std::logic_error("disk calls are watched already");
  }
  watching = state_.get();
}

DiskCalls::~DiskCalls() {
  watching = nullptr;
}

std::int64_t DiskCalls::count() const {
  return state_->count;
}

std::vector<DiskFailure> DiskCalls::failures() const {
  const std::lock_guard lock(state_->naming);
  return state_->failures;
}

void DiskCalls::fail(std::int64_t nth, int error) {
  state_->error = error;
  state_->failing = nth;
}

void DiskCalls::observe(std::function<void(const DiskEvent&)> observer) {
  state_->observer = std::move(observer);
}

void DiskCalls::fail_from(std::int64_t nth, int error) {
  state_->goes_on = true;
  fail(nth, error);
}

void DiskCalls::exit(std::int64_t nth, int status) {
  state_->exit_status = status;
  state_->last = nth;
}

}  // namespace avstore::test

// ---- in place of the C library's -----------------------------------------------------------

using avstore::test::DiskCall;
using avstore::test::DiskEvent;
using avstore::test::fails;
using avstore::test::has_mode;
using avstore::test::is_observed;
using avstore::test::note;
using avstore::test::noted;
using avstore::test::noted_write;
using avstore::test::open_fails;
using avstore::test::path_of;
using avstore::test::real;
using avstore::test::rename_fails;
using avstore::test::resolved;
using avstore::test::target_of;

namespace {

ssize_t pwrite_unless_it_fails(int descriptor, const void* bytes, std::size_t count, off64_t at) {
  if (fails(DiskCall::pwrite, descriptor)) {
    return -1;
  }
  const ssize_t done = real<ssize_t(int, const void*, std::size_t, off64_t)>("pwrite64")(
      descriptor, bytes, count, at);
  return noted_write(done, DiskCall::pwrite, descriptor, bytes, at);
}

int ftruncate_unless_it_fails(int descriptor, off64_t length) {
  if (fails(DiskCall::ftruncate, descriptor)) {
    return -1;
  }
  const int result = real<int(int, off64_t)>("ftruncate64")(descriptor, length);
  const auto path = path_of(descriptor);
  if (result == 0 && is_observed(path)) {
    note({DiskCall::ftruncate, path, {}, length, {}, false, false});
  }
  return result;
}

int open_unless_it_fails(const char* path, int flags, mode_t mode) {
  if (open_fails(path, flags)) {
    return -1;
  }
  const bool writes = (flags & O_ACCMODE) != O_RDONLY;
  struct stat64 status {};
  const bool nameless = (flags & O_TMPFILE) == O_TMPFILE;
  const bool was_there = !writes || (!nameless && ::stat64(path, &status) == 0);
  const int descriptor = real<int(const char*, int, ...)>("open64")(path, flags, mode);
  if (descriptor >= 0 && nameless && is_observed(path_of(descriptor))) {
    note({DiskCall::open, path_of(descriptor), {}, 0, {}, true, false});
  } else if (descriptor >= 0 && writes && is_observed(resolved(path))) {
    note({DiskCall::open, resolved(path), {}, 0, {}, !was_there, (flags & O_TRUNC) != 0});
  }
  return descriptor;
}

mode_t mode_of(int flags, std::va_list arguments) {
  return has_mode(flags) ? va_arg(arguments, mode_t) : 0;
}

}  // namespace

extern "C" {
int open(const char* path, int flags, ...) {
  std::va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_unless_it_fails(path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  std::va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_unless_it_fails(path, flags, mode);
}
ssize_t pwrite(int descriptor, const void* bytes, std::size_t count, off_t at) {
  return pwrite_unless_it_fails(descriptor, bytes, count, at);
}
ssize_t pwrite64(int descriptor, const void* bytes, std::size_t count, off64_t at) {
  return pwrite_unless_it_fails(descriptor, bytes, count, at);
}
int ftruncate(int descriptor, off_t length) noexcept {
  return ftruncate_unless_it_fails(descriptor, length);
}
int ftruncate64(int descriptor, off64_t length) noexcept {
  return ftruncate_unless_it_fails(descriptor, length);
}
int fdatasync(int descriptor) {
  return fails(DiskCall::fdatasync, descriptor) ? -1
                                                : noted(real<int(int)>("fdatasync")(descriptor),
                                                        DiskCall::fdatasync, path_of(descriptor));
}
int rmdir(const char* path) noexcept {
  return fails(DiskCall::rmdir, path)
             ? -1
             : noted(real<int(const char*)>("rmdir")(path), DiskCall::rmdir, resolved(path));
}
ssize_t write(int descriptor, const void* bytes, std::size_t count) {
  if (fails(DiskCall::write, descriptor)) {
    return -1;
  }
  const ssize_t done =
      real<ssize_t(int, const void*, std::size_t)>("write")(descriptor, bytes, count);
  return done > 0 && is_observed(path_of(descriptor))
             ? noted_write(done, DiskCall::write, descriptor, bytes,
                           ::lseek64(descriptor, 0, SEEK_CUR) - done)
             : done;
}
int fsync(int descriptor) {
  return fails(DiskCall::fsync, descriptor)
             ? -1
             : noted(real<int(int)>("fsync")(descriptor), DiskCall::fsync, path_of(descriptor));
}
int mkdir(const char* path, mode_t mode) noexcept {
  return fails(DiskCall::mkdir, path) ? -1
                                      : noted(real<int(const char*, mode_t)>("mkdir")(path, mode),
                                              DiskCall::mkdir, resolved(path));
}
int rename(const char* from, const char* to) noexcept {
  if (rename_fails(from, to)) {
    return -1;
  }
  const auto source = resolved(from);
  const int result = real<int(const char*, const char*)>("rename")(from, to);
  if (result == 0 && is_observed(source)) {
    note({DiskCall::rename, source, resolved(to), 0, {}, false, false});
  }
  return result;
}
int remove(const char* path) noexcept {
  return fails(DiskCall::remove, path)
             ? -1
             : noted(real<int(const char*)>("remove")(path), DiskCall::remove, resolved(path));
}
int linkat(int from_folder, const char* from, int to_folder, const char* to, int flags) noexcept {
  if (fails(DiskCall::linkat, to, to_folder)) {
    return -1;
  }
  const auto source = target_of(from);
  const int result = real<int(int, const char*, int, const char*, int)>("linkat")(
      from_folder, from, to_folder, to, flags);
  if (result == 0 && is_observed(source)) {
    note({DiskCall::linkat, source, resolved(to_folder, to), 0, {}, false, false});
  }
  return result;
}
int unlink(const char* path) noexcept {
  return fails(DiskCall::unlink, path)
             ? -1
             : noted(real<int(const char*)>("unlink")(path), DiskCall::unlink, resolved(path));
}
int unlinkat(int folder, const char* path, int flags) noexcept {
  return fails(DiskCall::unlinkat, path, folder)
             ? -1
             : noted(real<int(int, const char*, int)>("unlinkat")(folder, path, flags),
                     DiskCall::unlinkat, resolved(folder, path));
}
}
