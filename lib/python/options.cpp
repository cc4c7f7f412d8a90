#include "options.h"

#include <avstore/error.h>
#include <avstore/text.h>
#include <pybind11/stl.h>

#include <utility>

namespace avstore::python {
namespace {

namespace py = pybind11;

template <typename T>
void take(const py::dict& given, const char* key, T& field) {
  if (!given.contains(key)) {
    return;
  }
  try {
    field = given[key].cast<T>();
  } catch (const py::cast_error&) {  // such as a number out of the type's range
    throw Error(ErrorKind::invalid_argument,
                std::string(key) + " cannot be " + py::repr(given[key]).cast<std::string>());
  }
}

}  // namespace

EncoderOptions encoder_options(const py::dict& given) {
  EncoderOptions options;
  take(given, "encoder", options.encoder);
  take(given, "device", options.device);
  take(given, "quality", options.quality);
  take(given, "preset", options.preset);
  take(given, "keyframe_interval", options.keyframe_interval);
  take(given, "b_frames", options.b_frames);
  take(given, "threads", options.threads);
  take(given, "options", options.options);
  if (given.contains("frame_rate")) {
    const auto [num, den] = given["frame_rate"].cast<std::pair<std::int64_t, std::int64_t>>();
    options.frame_rate = {num, den};
  }
  return options;
}

WriterOptions writer_options(const py::dict& given) {
  WriterOptions options;
  options.encoder = encoder_options(given);
  take(given, "format", options.format);
  take(given, "chunk_size", options.chunk_size);
  take(given, "overwrite", options.overwrite);
  take(given, "metadata_yaml", options.metadata_yaml);
  take(given, "encoding", options.encoding);
  take(given, "created_utc", options.created_utc);
  take(given, "timezone_local", options.timezone_local);
  take(given, "color", options.color);
  take(given, "queue_frames", options.queue_frames);
  take(given, "queue_bytes", options.queue_bytes);
  if (given.contains("timing")) {
    options.timing = timing_from_text(given["timing"].cast<std::string>());
  }
  if (given.contains("when_full")) {
    options.when_full = when_full_from_text(given["when_full"].cast<std::string>());
  }
  if (given.contains("durability")) {
    options.durability = durability_from_text(given["durability"].cast<std::string>());
  }
  return options;
}

}  // namespace avstore::python
