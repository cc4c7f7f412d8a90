#include "calls.h"

namespace avstore::python {

namespace py = pybind11;

void Warnings::emit() const {
  std::vector<std::string> lines;
  {
    const std::lock_guard lock(said_->mutex);
    lines.swap(said_->lines);
  }
  for (const std::string& line : lines) {
    py::module_::import("avstore.errors").attr("warn")(line);
  }
}

Progress Supervision::progress() {
  return [this](std::int64_t done, std::int64_t total) { return tell(done, total); };
}

bool Supervision::tell(std::int64_t done, std::int64_t total) {
  const py::gil_scoped_acquire gil;
  try {
    if (PyErr_CheckSignals() != 0) {
      throw py::error_already_set();
    }
    if (progress_.is_none()) {
      return true;
    }
    const py::object answer = progress_(done, total);
    return answer.is_none() || answer.cast<bool>();
  } catch (...) {
    raised_ = std::current_exception();
    return false;
  }
}

}  // namespace avstore::python
