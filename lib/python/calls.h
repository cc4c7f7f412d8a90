// Calls from Python into the library: what holds for all of them.
#pragma once

#include <avstore/error.h>
#include <avstore/tools.h>
#include <pybind11/pybind11.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace avstore::python {

// What holds paths as Python's own functions give them: bytes that are no UTF-8 become surrogates.
pybind11::str to_str(const std::string& text);
pybind11::list to_list(const std::vector<std::string>& texts);

// Collects what the library has to say during a call, from any of its threads, and hands it to
// Python's `warnings` when the call is over: a warning may be an exception there, which would have
// to go through the library otherwise.
class Warnings {
 public:
  // To be given to the library; may be called for as long as it likes.
  std::function<void(const std::string&)> collector() const {
    return [said = said_](const std::string& text) {
      const std::lock_guard lock(said->mutex);
      said->lines.push_back(text);
    };
  }
  // With the GIL held.
  void emit() const;

 private:
  struct Said {
    std::mutex mutex;
    std::vector<std::string> lines;
  };
  std::shared_ptr<Said> said_ = std::make_shared<Said>();
};

// Runs `call`. Errors that say nothing of `path` get it in front.
template <typename Call>
auto about(const std::string& path, const Call& call) {
  try {
    return call();
  } catch (const Error& error) {
    const std::string what = error.what();
    if (what.find(path) != std::string::npos) {
      throw;
    }
    throw Error(error.kind(), path + ": " + what, error.system_error());
  }
}

// Lets go of the GIL for as long as it lives.
//
// Python ends daemon threads that ask for the GIL while it is ending itself. Up to 3.13 it does so
// by pthread_exit(), whose way through C++ ends in std::terminate(); here such a thread waits for
// the end of the process instead, as it does in Python 3.14. So the same goes for WithGil.
class WithoutGil {
 public:
  WithoutGil();
  ~WithoutGil();
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

 private:
  PyThreadState* thread_;
};

// Holds the GIL for as long as it lives.
class WithGil {
 public:
  WithGil();
  ~WithGil();
  WithGil(const WithGil&) = delete;
  WithGil& operator=(const WithGil&) = delete;

 private:
  PyGILState_STATE before_;
};

// Runs `call` without the GIL, so that other threads of Python go on.
template <typename Call>
auto without_gil(const Call& call) {
  const WithoutGil released;
  return call();
}

// Whether a call is to stop; see interruptibly().
class Stop {
 public:
  void set() { asked_ = true; }
  // Throws if it is.
  void check() const {
    if (asked_) {
      throw Interrupted("reading");
    }
  }

 private:
  std::atomic<bool> asked_ = false;
};

// What Ctrl-C and other signals raise in Python, if one has come. Only Python's main thread sees
// them.
std::exception_ptr raised_by_signals();

// Runs `call` on a thread of its own. Throws Error(io) where the system has no more threads.
template <typename Call>
auto start_task(const Call& call) {
  try {
    return std::async(std::launch::async, call);
  } catch (const std::system_error& refused) {
    throw Error(ErrorKind::io, "cannot start a thread: " + refused.code().message(),
                refused.code().value());
  }
}

// Runs `call`, which is given a Stop to check() now and then, without the GIL. Ctrl-C stops it and
// comes out of this: for calls that tell of their progress from other threads or not at all.
template <typename Call>
auto interruptibly(const Call& call) {
  constexpr std::chrono::milliseconds kPatience(20);
  return without_gil([&] {
    Stop stop;
    std::exception_ptr raised;
    auto task = start_task([&] { return call(stop); });
    while (task.wait_for(kPatience) != std::future_status::ready) {
      if (!raised && (raised = raised_by_signals())) {
        stop.set();
      }
    }
    if (raised) {
      std::rethrow_exception(raised);  // whatever came of the call meanwhile
    }
    return task.get();
  });
}

// Lets Python look at a long call now and then: Ctrl-C stops it, and a callable, if one is given
// (None: none), is told how far it is; an exception of its own stops the call and comes out of it.
class Supervision {
 public:
  explicit Supervision(pybind11::object progress) : progress_(std::move(progress)) {}

  Progress progress();

  // Runs `call` without the GIL.
  template <typename Call>
  auto run(const Call& call) {
    try {
      return without_gil(call);
    } catch (const Error&) {
      if (raised_) {
        std::rethrow_exception(raised_);
      }
      throw;
    }
  }

 private:
  bool tell(std::int64_t done, std::int64_t total);

  pybind11::object progress_;
  std::exception_ptr raised_;
};

// An object that lives in the process that made it. After a fork its threads, locks and database
// connections are gone or another's, so a child must not even destroy it: it is left alone there.
// For use with the GIL held.
template <typename T>
class OfOneProcess {
 public:
  OfOneProcess() = default;
  ~OfOneProcess() { drop(); }
  OfOneProcess(const OfOneProcess&) = delete;
  OfOneProcess& operator=(const OfOneProcess&) = delete;

  // Null in another process. Whoever lets go of the GIL keeps this while using the object.
  std::shared_ptr<T> here() const { return process_ == getpid() ? object_ : nullptr; }

  void replace(std::shared_ptr<T> object) {
    drop();
    object_ = std::move(object);
    process_ = getpid();
  }

  // Lets go of the object, or forgets it in another process.
  void drop() {
    if (process_ != getpid() && object_) {
      // Nobody destroys this one.
      static_cast<void>(new std::shared_ptr<T>(std::move(object_)));
    }
    object_.reset();
  }

 private:
  std::shared_ptr<T> object_;
  pid_t process_ = getpid();
};

}  // namespace avstore::python
