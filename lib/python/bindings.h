// The parts of the extension module avstore._native: each adds its functions and classes to it.
//
// This module is thin on purpose. It takes and gives plain Python values (numbers, strings, tuples,
// dictionaries, arrays); the package in avstore/ makes of them what users see, checks what they
// hand in, and documents it. Paths come as
// bytes, and go as Python's own functions give them.
#pragma once

#include <pybind11/pybind11.h>

namespace avstore::python {

void bind_errors(pybind11::module_& module);
void bind_reader(pybind11::module_& module);
void bind_writer(pybind11::module_& module);
void bind_formats(pybind11::module_& module);
void bind_tools(pybind11::module_& module);
void bind_align(pybind11::module_& module);
void bind_sensor(pybind11::module_& module);

}  // namespace avstore::python
