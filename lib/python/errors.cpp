// avstore::Error as the exceptions of avstore/errors.py.
#include <avstore/error.h>
#include <avstore/tools.h>

#include <exception>

#include "bindings.h"
#include "calls.h"

namespace avstore::python {
namespace {

namespace py = pybind11;

const char* exception_name(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::not_found:
      return "NotFound";
    case ErrorKind::end_of_store:
      return "EndOfStore";
    case ErrorKind::invalid_argument:
      return "InvalidArgument";
    case ErrorKind::exists:
      return "Exists";
    case ErrorKind::corrupt:
      return "Corrupt";
    case ErrorKind::unsupported:
      return "Unsupported";
    case ErrorKind::io:
      return "StorageError";
  }
  return "Error";
}

void raise(const char* exception, const char* message) {
  const py::object type = py::module_::import("avstore.errors").attr(exception);
  PyErr_SetObject(type.ptr(), to_str(message).ptr());
}

void translate(std::exception_ptr thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Interrupted& error) {
    raise("Interrupted", error.what());
  } catch (const Error& error) {
    raise(exception_name(error.kind()), error.what());
  }
}

}  // namespace

void bind_errors(py::module_& /*module*/) {
  py::register_local_exception_translator(&translate);
}

}  // namespace avstore::python
