#include "calls.h"

#include <cxxabi.h>

namespace avstore::python {

namespace py = pybind11;

namespace {

[[noreturn]] void wait_for_the_end() {
  for (;;) {
    pause();
  }
}

// Whether Python is ending, or gone, on the main thread.
bool is_left_behind() {
  return Py_IsInitialized() == 0 && ::gettid() != ::getpid();
}

// Runs `call`, in which Python may end the thread, if it still can: of a Python that is gone there
// is nothing left to ask for the GIL.
template <typename Call>
auto or_wait_for_the_end(const Call& call) {
  if (is_left_behind()) {
    wait_for_the_end();
  }
  try {
    return call();
  } catch (const abi::__forced_unwind&) {
    wait_for_the_end();
  }
}

}  // namespace

WithoutGil::WithoutGil() : thread_(PyEval_SaveThread()) {}

WithoutGil::~WithoutGil() {
  or_wait_for_the_end([this] { PyEval_RestoreThread(thread_); });
}

WithGil::WithGil() : before_(or_wait_for_the_end([] { return PyGILState_Ensure(); })) {}

WithGil::~WithGil() {
  PyGILState_Release(before_);
}

py::str to_str(const std::string& text) {
  PyObject* const decoded =
      PyUnicode_DecodeFSDefaultAndSize(text.data(), static_cast<Py_ssize_t>(text.size()));
  if (decoded == nullptr) {
    throw py::error_already_set();
  }
  return py::reinterpret_steal<py::str>(decoded);
}

py::list to_list(const std::vector<std::string>& texts) {
  py::list all;
  for (const std::string& text : texts) {
    all.append(to_str(text));
  }
  return all;
}

void Warnings::emit() const {
  std::vector<std::string> lines;
  {
    const std::lock_guard lock(said_->mutex);
    lines.swap(said_->lines);
  }
  for (const std::string& line : lines) {
    py::module_::import("avstore.errors").attr("warn")(to_str(line));
  }
}

Progress Supervision::progress() {
  return [this](std::int64_t done, std::int64_t total) { return tell(done, total); };
}

std::exception_ptr raised_by_signals() {
  const WithGil gil;
  return PyErr_CheckSignals() == 0 ? nullptr : std::make_exception_ptr(py::error_already_set());
}

bool Supervision::tell(std::int64_t done, std::int64_t total) {
  const WithGil gil;
  try {
    if (PyErr_CheckSignals() != 0) {
      throw py::error_already_set();
    }
    if (progress_.is_none()) {
      return true;
    }
    const py::object answer = progress_(done, total);
    return answer.is_none() || answer.cast<bool>();
  } catch (const abi::__forced_unwind&) {
    wait_for_the_end();
  } catch (...) {
    raised_ = std::current_exception();
    return false;
  }
}

}  // namespace avstore::python
