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

py::object exception_type(const char* name) {
  return py::module_::import("avstore.errors").attr(name);
}

void raise(const Error& error) {
  const py::object type = exception_type(exception_name(error.kind()));
  const bool of_system = error.kind() == ErrorKind::io || error.kind() == ErrorKind::exists;
  const py::object made =
      of_system ? type(to_str(error.what()), error.system_error()) : type(to_str(error.what()));
  PyErr_SetObject(type.ptr(), made.ptr());
}

void translate(std::exception_ptr thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Interrupted& error) {
    PyErr_SetObject(exception_type("Interrupted").ptr(), to_str(error.what()).ptr());
  } catch (const Error& error) {
    raise(error);
  }
}

}  // namespace

void bind_errors(py::module_& /*module*/) {
  py::register_local_exception_translator(&translate);
}

}  // namespace avstore::python
