// avstore::Writer.
#include <avstore/error.h>
#include <avstore/writer.h>
#include <pybind11/stl.h>

#include <memory>
#include <mutex>
#include <type_traits>

#include "bindings.h"
#include "calls.h"
#include "options.h"
#include "pixels.h"

namespace avstore::python {
namespace {

namespace py = pybind11;

py::dict to_dict(const Latency& latency) {
  using namespace py::literals;
  return py::dict("median"_a = latency.median, "p99"_a = latency.p99, "max"_a = latency.max);
}

// A writer that threads may share; in a process that was forked nothing of it works.
class SharedWriter {
 public:
  // Of a new store, or of one to go on with.
  SharedWriter(std::string path, const py::dict& given, bool append) : path_(std::move(path)) {
    state_.replace(about(path_, [&] { return make(given, append); }));
    warnings_.emit();
  }

  ~SharedWriter() {
    std::shared_ptr<State> state = state_.here();
    state_.drop();
    const WithoutGil released;  // what waits is encoded
    state.reset();
  }

  bool add(const py::array& array, std::int64_t number, double time) {
    const ArrayImage image = about(path_, [&] { return to_image(array, pixel_format_); });
    return alone([&](Writer& writer) {
      return writer.add(image.view, FrameNumber(number), FrameTime(time));
    });
  }

  void add_extra(const std::string& json) {
    beside([&](Writer& writer) { return writer.add_extra(json), true; });
  }

  void insert_chunk(const std::string& file, const std::vector<std::int64_t>& numbers,
                    const std::vector<double>& times, bool move) {
    if (numbers.size() != times.size()) {
      throw Error(ErrorKind::invalid_argument,
                  path_ + ": there are " + std::to_string(numbers.size()) + " numbers, but " +
                      std::to_string(times.size()) + " times");
    }
    std::vector<FrameNames> names;
    names.reserve(numbers.size());
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      names.push_back({FrameNumber(numbers[i]), FrameTime(times[i])});
    }
    alone([&](Writer& writer) { return writer.insert_chunk(file, names, move), true; });
  }

  void sync() {
    beside([](Writer& writer) { return writer.sync(), true; });
  }

  void close() {
    if (state_.here()) {
      alone([](Writer& writer) { return writer.close(), true; });
    }
  }

  void abandon() {
    beside([](Writer& writer) { return writer.abandon(), true; });  // an add() that waits is to end
    warnings_.emit();
  }

  std::int64_t durable_count() {
    return beside([](Writer& writer) { return writer.durable_count(); });
  }

  // Numbers and times.
  py::tuple dropped() {
    const auto all = beside([](Writer& writer) { return writer.dropped(); });
    py::list numbers, times;
    for (const FrameNames& names : all) {
      numbers.append(names.number.value);
      times.append(names.time.seconds);
    }
    return py::make_tuple(numbers, times);
  }

  py::dict statistics() {
    using namespace py::literals;
    const WriterStatistics all = beside([](Writer& writer) { return writer.statistics(); });
    return py::dict("frames_added"_a = all.frames_added, "frames_dropped"_a = all.frames_dropped,
                    "frames_encoded"_a = all.frames_encoded,
                    "frames_durable"_a = all.frames_durable, "queue_frames"_a = all.queue_frames,
                    "queue_bytes"_a = all.queue_bytes,
                    "encode_latency"_a = to_dict(all.encode_latency),
                    "total_latency"_a = to_dict(all.total_latency),
                    "bytes_written"_a = all.bytes_written, "encoder"_a = all.encoder);
  }

 private:
  struct State {
    explicit State(Writer made) : writer(std::move(made)) {}
    std::mutex mutex;  // of the functions that must not run beside one another
    Writer writer;
  };

  std::shared_ptr<State> make(const py::dict& given, bool append) {
    WriterOptions options = writer_options(given);
    options.on_warning = warnings_.collector();
    if (given.contains("pixel_format")) {
      pixel_format_ = PixelFormat::from_name(given["pixel_format"].cast<std::string>());
    }
    return without_gil([&] {
      return std::make_shared<State>(append ? Writer::append(path_, std::move(options))
                                            : Writer(path_, std::move(options)));
    });
  }

  std::shared_ptr<State> state() const {
    std::shared_ptr<State> here = state_.here();
    if (!here) {
      throw Error(ErrorKind::invalid_argument, path_ + ": the writer belongs to another process");
    }
    return here;
  }

  template <typename Use>
  std::invoke_result_t<Use, Writer&> alone(const Use& what) {
    const std::shared_ptr<State> used = state();
    auto result = without_gil([&] {
      const std::lock_guard lock(used->mutex);
      return what(used->writer);
    });
    warnings_.emit();
    return result;
  }

  // What may run while another thread adds frames.
  template <typename Use>
  std::invoke_result_t<Use, Writer&> beside(const Use& what) {
    const std::shared_ptr<State> used = state();
    return without_gil([&] { return what(used->writer); });
  }

  std::string path_;
  PixelFormat pixel_format_;
  Warnings warnings_;
  OfOneProcess<State> state_;
};

}  // namespace

void bind_writer(py::module_& module) {
  using namespace py::literals;
  py::class_<SharedWriter>(module, "Writer")
      .def(py::init<std::string, const py::dict&, bool>(), "path"_a, "options"_a, "append"_a)
      .def("add", &SharedWriter::add, "image"_a, "number"_a, "time"_a)
      .def("add_extra", &SharedWriter::add_extra, "json"_a)
      .def("insert_chunk", &SharedWriter::insert_chunk, "file"_a, "numbers"_a, "times"_a, "move"_a)
      .def("sync", &SharedWriter::sync)
      .def("close", &SharedWriter::close)
      .def("abandon", &SharedWriter::abandon)
      .def("durable_count", &SharedWriter::durable_count)
      .def("dropped", &SharedWriter::dropped)
      .def("statistics", &SharedWriter::statistics);
}

}  // namespace avstore::python
