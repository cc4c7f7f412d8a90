// Frames of several stores side by side.
#include <avstore/error.h>
#include <avstore/tools.h>
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include "bindings.h"
#include "calls.h"
#include "options.h"

namespace avstore::python {
namespace {

namespace py = pybind11;

AlignBy by_of(const std::string& name) {
  if (name != "number" && name != "time") {
    throw Error(ErrorKind::invalid_argument,
                "frames are aligned by 'number' or 'time', not by '" + name + "'");
  }
  return name == "number" ? AlignBy::number : AlignBy::time;
}

AlignPolicy policy_of(const std::string& name) {
  if (name == "drop") {
    return AlignPolicy::drop;
  }
  if (name == "hold" || name == "black") {
    return name == "hold" ? AlignPolicy::hold : AlignPolicy::black;
  }
  throw Error(ErrorKind::invalid_argument,
              "policy '" + name + "' is not known; there are drop, hold and black");
}

std::vector<std::filesystem::path> to_paths(const std::vector<std::string>& texts) {
  return {texts.begin(), texts.end()};
}

Alignment align_stores(const std::vector<std::string>& stores, const std::string& by,
                       const std::string& policy, std::optional<double> tolerance,
                       bool save_index) {
  AlignOptions options;
  options.by = by_of(by);
  options.policy = policy_of(policy);
  options.tolerance = tolerance;
  options.save_index = save_index;
  const Warnings warnings;
  options.notice = warnings.collector();
  Alignment alignment = without_gil([&] { return align(to_paths(stores), options); });
  warnings.emit();
  return alignment;
}

// The columns of avstore.Alignment.
py::dict columns(const Alignment& alignment) {
  using namespace py::literals;
  const auto places = static_cast<py::ssize_t>(alignment.places.size());
  const auto stores = static_cast<py::ssize_t>(alignment.stores.size());
  py::array_t<std::int64_t> number(places), index({places, stores}), frame_number({places, stores});
  py::array_t<double> time(places), frame_time({places, stores});
  py::array_t<std::int8_t> kind({places, stores});
  for (py::ssize_t place = 0; place < places; ++place) {
    const FrameNames& names = alignment.places[static_cast<std::size_t>(place)];
    number.mutable_at(place) = names.number.value;
    time.mutable_at(place) = names.time.seconds;
    for (py::ssize_t store = 0; store < stores; ++store) {
      const AlignedFrame& frame =
          alignment.frame(static_cast<std::size_t>(place), static_cast<std::size_t>(store));
      index.mutable_at(place, store) = frame.index.value;
      frame_number.mutable_at(place, store) = frame.number.value;
      frame_time.mutable_at(place, store) = frame.time.seconds;
      kind.mutable_at(place, store) = static_cast<std::int8_t>(frame.kind);
    }
  }
  return py::dict("number"_a = number, "time"_a = time, "frame_index"_a = index,
                  "frame_number"_a = frame_number, "frame_time"_a = frame_time, "shown"_a = kind,
                  "tolerance"_a = alignment.tolerance);
}

// Runs `write` with the options given.
template <typename Write>
void write_supervised(const py::dict& given, bool save_index, bool ignore_corrupt_extra,
                      const py::object& progress, const Write& write) {
  AlignedWriterOptions options;
  options.writer = writer_options(given);
  options.save_index = save_index;
  options.ignore_corrupt_extra = ignore_corrupt_extra;
  Supervision supervision(progress);
  const Warnings warnings;
  options.progress = supervision.progress();
  options.notice = warnings.collector();
  supervision.run([&] { return write(options), true; });
  warnings.emit();
}

void write_stores(const Alignment& alignment, const std::vector<std::string>& destinations,
                  const py::dict& given, bool save_index, bool ignore_corrupt_extra,
                  const py::object& progress) {
  write_supervised(given, save_index, ignore_corrupt_extra, progress,
                   [&](const AlignedWriterOptions& options) {
                     write_aligned(alignment, to_paths(destinations), options);
                   });
}

void write_one(const Alignment& alignment, const std::string& destination, const py::dict& given,
               bool save_index, bool ignore_corrupt_extra, const py::object& progress) {
  write_supervised(given, save_index, ignore_corrupt_extra, progress,
                   [&](const AlignedWriterOptions& options) {
                     write_side_by_side(alignment, destination, options);
                   });
}

}  // namespace

void bind_align(py::module_& module) {
  using namespace py::literals;
  py::class_<Alignment>(module, "Alignment")
      .def("columns", &columns)
      .def("write", &write_stores, "destinations"_a, "options"_a, "save_index"_a,
           "ignore_corrupt_extra"_a, "progress"_a)
      .def("write_side_by_side", &write_one, "destination"_a, "options"_a, "save_index"_a,
           "ignore_corrupt_extra"_a, "progress"_a);
  module.def("align", &align_stores, "stores"_a, "by"_a, "policy"_a, "tolerance"_a, "save_index"_a);
}

}  // namespace avstore::python
