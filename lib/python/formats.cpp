// The formats a store can have.
#include <avstore/format.h>
#include <pybind11/stl.h>

#include "bindings.h"
#include "calls.h"

namespace avstore::python {
namespace {

namespace py = pybind11;

// The fields of avstore.Format, in their order.
py::tuple to_tuple(const Format& format) {
  std::vector<std::string> pixels;
  for (const PixelFormat& each : format.lossless_pixels) {
    pixels.emplace_back(each.name());
  }
  return py::make_tuple(format.name, format.extension, format.video, format.lossless,
                        py::tuple(py::cast(pixels)), format.description);
}

py::list all_formats() {
  py::list all;
  for (const Format& format : formats()) {
    all.append(to_tuple(format));
  }
  return all;
}

// The fields of avstore.Encoder, in their order.
py::list encoders(const std::string& name, int width, int height) {
  const auto found = without_gil([&] { return probe_encoders(find_format(name), width, height); });
  py::list all;
  for (const EncoderAvailability& each : found) {
    all.append(py::make_tuple(each.encoder, each.hardware, each.available, each.why_not));
  }
  return all;
}

}  // namespace

void bind_formats(py::module_& module) {
  module.def("formats", &all_formats);
  module.def("encoders", &encoders, py::arg("format"), py::arg("width"), py::arg("height"));
}

}  // namespace avstore::python
