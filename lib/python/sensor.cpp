// Pictures from raw sensor data.
#include <avstore/sensor.h>

#include "bindings.h"
#include "calls.h"
#include "pixels.h"

namespace avstore::python {
namespace {

namespace py = pybind11;

py::array decode(const py::array& data, const std::string& encoding) {
  const ArrayImage image = to_image(data, {});
  return to_array(without_gil([&] { return decode_sensor(image.view, encoding); }), true);
}

}  // namespace

void bind_sensor(py::module_& module) {
  using namespace py::literals;
  module.def("decode_sensor", &decode, "data"_a, "encoding"_a);
}

}  // namespace avstore::python
