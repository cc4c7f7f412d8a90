#include "bindings.h"

PYBIND11_MODULE(_native, module) {
  module.doc() = "The C++ library as the package avstore uses it. Use that package instead.";
  namespace python = avstore::python;
  python::bind_errors(module);
  python::bind_reader(module);
  python::bind_writer(module);
  python::bind_formats(module);
  python::bind_tools(module);
  python::bind_align(module);
  python::bind_sensor(module);
}
