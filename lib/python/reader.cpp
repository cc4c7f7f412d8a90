// avstore::Reader, and what a store says of itself.
#include <avstore/error.h>
#include <avstore/extra.h>
#include <avstore/metadata.h>
#include <avstore/reader.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>

#include "bindings.h"
#include "calls.h"
#include "pixels.h"

namespace avstore::python {
namespace {

namespace py = pybind11;

std::vector<FrameIndex> to_indices(const py::array_t<std::int64_t, py::array::c_style>& values) {
  std::vector<FrameIndex> indices;
  indices.reserve(static_cast<std::size_t>(values.size()));
  for (py::ssize_t i = 0; i < values.size(); ++i) {
    indices.emplace_back(values.data()[i]);
  }
  return indices;
}

template <typename T>
py::array_t<T> as_array(std::vector<T>&& values) {
  auto* const owned = new std::vector<T>(std::move(values));
  const py::capsule owner(owned,
                          [](void* pointer) { delete static_cast<std::vector<T>*>(pointer); });
  return py::array_t<T>(static_cast<py::ssize_t>(owned->size()), owned->data(), owner);
}

// The fields of avstore.FrameInfo, in their order.
py::tuple to_tuple(const FrameInfo& info) {
  return py::make_tuple(info.index.value, info.number.value, info.time.seconds, info.chunk,
                        info.frame_idx, info.pts, info.keyframe);
}

// The fields of avstore.StoreInfo but for those that Python makes itself.
py::dict to_dict(const StoreInfo& info) {
  using namespace py::literals;
  py::list encoders;
  for (const EncoderRun& run : info.encoders) {
    encoders.append(py::make_tuple(run.first_chunk, run.encoder));
  }
  return py::dict("encoders"_a = py::tuple(encoders), "path"_a = to_str(info.path.string()),
                  "store_class"_a = info.store_class, "format"_a = info.format,
                  "encoding"_a = info.encoding, "encoder"_a = info.encoder,
                  "shape"_a = py::tuple(py::cast(info.shape)), "color"_a = info.color,
                  "dtype"_a = info.dtype,
                  "nominal_frame_rate"_a =
                      py::make_tuple(info.nominal_frame_rate.num, info.nominal_frame_rate.den),
                  "chunk_size"_a = info.chunk_size, "chunk_count"_a = info.chunk_count,
                  "frame_count"_a = info.frame_count, "created_utc"_a = info.created_utc,
                  "timezone_local"_a = info.timezone_local, "uuid"_a = info.uuid,
                  "metadata_yaml"_a = info.metadata_yaml,
                  "metadata_json"_a = metadata_to_json(info.metadata_yaml),
                  "open_for_writing"_a = info.open_for_writing, "recording"_a = info.recording,
                  "unfinished"_a = info.unfinished, "losses"_a = py::tuple(to_list(info.losses)),
                  "number_min"_a = info.number_min.value, "number_max"_a = info.number_max.value,
                  "time_min"_a = info.time_min.seconds, "time_max"_a = info.time_max.seconds);
}

// A reader that threads may share: one at a time uses it, and the others wait without the GIL. In
// a process that was forked it opens the store anew.
class SharedReader {
 public:
  SharedReader(std::string path, const std::string& pixel_format, bool raw_sensor, int threads,
               bool save_index, bool writable)
      : path_(std::move(path)), writable_(writable) {
    if (threads < 0) {
      throw Error(ErrorKind::invalid_argument, path_ + ": threads cannot be " +
                                                   std::to_string(threads) +
                                                   "; 0 stands for as many as there are cores");
    }
    options_.pixel_format = about(path_, [&] { return packed_format(pixel_format); });
    options_.packed = true;
    options_.raw_sensor = raw_sensor;
    options_.threads = threads;
    options_.save_index = save_index;
    options_.own_pixels = writable;
    use([](Reader& /*reader*/) { return true; });
  }

  ~SharedReader() {
    std::shared_ptr<State> state = state_.here();
    state_.drop();
    const WithoutGil released;  // decoders end their threads
    state.reset();
  }

  void close() {
    closed_ = true;
    const std::shared_ptr<State> state = state_.here();
    state_.drop();
    if (state) {
      const WithoutGil released;
      const std::lock_guard lock(state->mutex);
      state->reader.reset();
    }
  }

  py::dict info() {
    const StoreInfo info = use([](Reader& reader) { return reader.info(); });
    return to_dict(info);
  }

  // Element type and shape of the arrays that frames come as. None where that is as they were
  // stored.
  py::object image_type() {
    const StoreInfo info = use([](Reader& reader) { return reader.info(); });
    const PixelFormat format =
        options_.pixel_format.empty() ? usual_pixel_format(info) : options_.pixel_format;
    if (format.empty() || (options_.raw_sensor && !info.encoding.empty())) {
      return py::none();
    }
    ImageView view;
    view.format = format;
    view.width = info.width;
    view.height = info.height;
    const ArrayType type = array_type(view);
    return py::make_tuple(type.dtype, py::tuple(py::cast(type.shape)));
  }

  std::int64_t refresh() {
    return use([](Reader& reader) { return reader.refresh(); });
  }

  py::tuple find_index(std::int64_t index) {
    return to_tuple(use([&](Reader& reader) { return reader.find(FrameIndex(index)); }));
  }
  py::tuple find_number(std::int64_t number, bool nearest) {
    return to_tuple(
        use([&](Reader& reader) { return reader.find(FrameNumber(number), match(nearest)); }));
  }
  py::tuple find_time(double time) {
    return to_tuple(use([&](Reader& reader) { return reader.find(FrameTime(time)); }));
  }

  py::tuple read_index(std::int64_t index) {
    return hand_out(use([&](Reader& reader) { return reader.read(FrameIndex(index)); }));
  }
  py::tuple read_number(std::int64_t number, bool nearest) {
    return hand_out(
        use([&](Reader& reader) { return reader.read(FrameNumber(number), match(nearest)); }));
  }
  py::tuple read_time(double time) {
    return hand_out(use([&](Reader& reader) { return reader.read(FrameTime(time)); }));
  }

  py::list read_many(const py::array_t<std::int64_t, py::array::c_style>& values) {
    const std::vector<FrameIndex> indices = to_indices(values);
    std::vector<Frame> frames(indices.size());
    visit(indices, [&](std::size_t position, Frame frame) { frames[position] = std::move(frame); });
    py::list all;
    for (Frame& frame : frames) {
      all.append(hand_out(std::move(frame)));
    }
    return all;
  }

  // `target` is [indices, ...]: the images, in C order.
  void read_into(const py::array_t<std::int64_t, py::array::c_style>& values, py::array target) {
    const std::vector<FrameIndex> indices = to_indices(values);
    if (indices.empty()) {
      return;
    }
    auto* const memory = static_cast<std::uint8_t*>(target.mutable_data());
    const ArrayType type = element_type(target);
    const std::size_t size = static_cast<std::size_t>(target.nbytes()) / indices.size();
    visit(indices, [&](std::size_t position, const Frame& frame) {
      require_type(frame, type);
      copy_rows(frame.image, memory + position * size, size);
    });
  }

  py::tuple names(std::int64_t begin, std::int64_t end) {
    FrameNameArrays names = use([&](Reader& reader) { return reader.names({begin, end}); });
    return py::make_tuple(as_array(std::move(names.numbers)), as_array(std::move(names.times)));
  }

  py::array_t<std::int64_t> keyframes(std::int64_t begin, std::int64_t end) {
    const auto starts = use([&](Reader& reader) { return reader.keyframes({begin, end}); });
    std::vector<std::int64_t> values;
    values.reserve(starts.size());
    for (const FrameIndex start : starts) {
      values.push_back(start.value);
    }
    return as_array(std::move(values));
  }

  py::dict statistics() {
    using namespace py::literals;
    const ReadStatistics all = use([](Reader& reader) { return reader.statistics(); });
    return py::dict("seeks"_a = all.seeks, "packets_read"_a = all.packets_read,
                    "frames_decoded"_a = all.frames_decoded,
                    "seek_recoveries"_a = all.seek_recoveries, "files_opened"_a = all.files_opened);
  }

 private:
  struct State {
    std::mutex mutex;
    std::optional<Reader> reader;  // opened by the first that uses it
    Warnings warnings;
  };

  static Match match(bool nearest) { return nearest ? Match::nearest : Match::exact; }

  // That of this process. It is in its place before the GIL is let go, so that all threads of a
  // process take the same.
  std::shared_ptr<State> state() {
    if (!state_.here()) {
      state_.replace(std::make_shared<State>());
    }
    return state_.here();
  }

  Reader& open(State& state) const {
    if (closed_) {
      throw Error(ErrorKind::invalid_argument, path_ + ": the store is closed");
    }
    if (!state.reader) {
      ReaderOptions options = options_;
      options.on_warning = state.warnings.collector();
      state.reader.emplace(path_, std::move(options));
    }
    return *state.reader;
  }

  template <typename Use>
  std::invoke_result_t<Use, Reader&> use(const Use& what) {
    const std::shared_ptr<State> used = state();
    auto result = without_gil([&] {
      const std::lock_guard lock(used->mutex);
      return what(open(*used));
    });
    used->warnings.emit();
    return result;
  }

  // Reads many frames until Ctrl-C.
  template <typename Visit>
  void visit(const std::vector<FrameIndex>& indices, const Visit& take) {
    const std::shared_ptr<State> used = state();
    interruptibly([&](const Stop& stop) {
      const std::lock_guard lock(used->mutex);
      open(*used).read_many(indices, [&](std::size_t position, Frame frame) {
        stop.check();
        take(position, std::move(frame));
      });
    });
    used->warnings.emit();
  }

  py::tuple hand_out(Frame frame) const {
    return py::make_tuple(to_array(std::move(frame.image), writable_), to_tuple(frame.info));
  }

  void require_type(const Frame& frame, const ArrayType& wanted) const {
    const ArrayType type = array_type(frame.image.view());
    if (type != wanted) {
      throw Error(ErrorKind::unsupported,
                  path_ + ": the image of frame_index " + std::to_string(frame.info.index.value) +
                      " is an array of " + to_text(type) + ", not of " + to_text(wanted));
    }
  }

  static void copy_rows(const Image& image, std::uint8_t* to, std::size_t size) {
    const auto rows = static_cast<std::size_t>(image.height());
    for (std::size_t row = 0; row < rows; ++row) {
      std::memcpy(to + row * (size / rows),
                  image.data() + static_cast<std::ptrdiff_t>(row) * image.stride(), size / rows);
    }
  }

  std::string path_;
  ReaderOptions options_;
  bool writable_;
  std::atomic<bool> closed_ = false;
  OfOneProcess<State> state_;
};

bool is_boolean(const ExtraJson& json) {
  return json.text == "true" || json.text == "false";
}

py::array_t<bool> booleans(const std::vector<ExtraJson>& values) {
  py::array_t<bool> array(static_cast<py::ssize_t>(values.size()));
  std::transform(values.begin(), values.end(), array.mutable_data(),
                 [](const ExtraJson& json) { return json.text == "true"; });
  return array;
}

py::object to_array(const ExtraColumn& column) {
  if (const auto* integers = std::get_if<std::vector<std::int64_t>>(&column.values)) {
    return as_array(std::vector(*integers));
  }
  if (const auto* naturals = std::get_if<std::vector<std::uint64_t>>(&column.values)) {
    return as_array(std::vector(*naturals));
  }
  if (const auto* numbers = std::get_if<std::vector<double>>(&column.values)) {
    return as_array(std::vector(*numbers));
  }
  py::list values;
  if (const auto* texts = std::get_if<std::vector<std::string>>(&column.values)) {
    for (const std::string& text : *texts) {
      values.append(text);
    }
    return values;
  }
  const auto& jsons = std::get<std::vector<ExtraJson>>(column.values);
  if (std::all_of(jsons.begin(), jsons.end(), is_boolean)) {
    return booleans(jsons);
  }
  const py::object parse = py::module_::import("json").attr("loads");
  for (const ExtraJson& json : jsons) {
    values.append(json.text.empty() ? py::object(py::none()) : parse(json.text));
  }
  return values;
}

// Names and values of the columns, and the sample rates.
py::tuple read_extra_columns(const std::string& store, bool ignore_corrupt) {
  const Warnings warnings;
  const ExtraOptions options{ignore_corrupt, warnings.collector()};
  const ExtraData data = without_gil([&] { return read_extra(store, options); });
  warnings.emit();
  std::vector<std::int64_t> index, number;
  std::vector<double> time;
  for (std::size_t i = 0; i < data.size(); ++i) {
    index.push_back(data.frame_index[i].value);
    number.push_back(data.frame_number[i].value);
    time.push_back(data.frame_time[i].seconds);
  }
  py::dict columns;
  columns["frame_index"] = as_array(std::move(index));
  columns["frame_number"] = as_array(std::move(number));
  columns["frame_time"] = as_array(std::move(time));
  for (const ExtraColumn& column : data.columns) {
    columns[py::str(column.name)] = to_array(column);
  }
  return py::make_tuple(columns, data.sample_rates);
}

}  // namespace

void bind_reader(py::module_& module) {
  using namespace py::literals;
  py::class_<SharedReader>(module, "Reader")
      .def(py::init<std::string, const std::string&, bool, int, bool, bool>(), "path"_a,
           "pixel_format"_a, "raw_sensor"_a, "threads"_a, "save_index"_a, "writable"_a)
      .def("close", &SharedReader::close)
      .def("info", &SharedReader::info)
      .def("image_type", &SharedReader::image_type)
      .def("refresh", &SharedReader::refresh)
      .def("find_index", &SharedReader::find_index, "index"_a)
      .def("find_number", &SharedReader::find_number, "number"_a, "nearest"_a)
      .def("find_time", &SharedReader::find_time, "time"_a)
      .def("read_index", &SharedReader::read_index, "index"_a)
      .def("read_number", &SharedReader::read_number, "number"_a, "nearest"_a)
      .def("read_time", &SharedReader::read_time, "time"_a)
      .def("read_many", &SharedReader::read_many, "indices"_a)
      .def("read_into", &SharedReader::read_into, "indices"_a, "target"_a)
      .def("names", &SharedReader::names, "begin"_a, "end"_a)
      .def("keyframes", &SharedReader::keyframes, "begin"_a, "end"_a)
      .def("statistics", &SharedReader::statistics);
  module.def("read_extra", &read_extra_columns, "store"_a, "ignore_corrupt"_a);
}

}  // namespace avstore::python
