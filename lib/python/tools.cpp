// Work on whole stores.
#include <avstore/text.h>
#include <avstore/tools.h>
#include <pybind11/stl.h>

#include <optional>

#include "bindings.h"
#include "calls.h"
#include "options.h"

namespace avstore::python {
namespace {

namespace py = pybind11;

using Range = std::pair<std::int64_t, std::int64_t>;

IndexRange to_range(const Range& range) {
  return {range.first, range.second};
}

// Runs `call`, which is given the supervision's Progress and a Notice.
template <typename Call>
auto supervised(const py::object& progress, const Call& call) {
  Supervision supervision(progress);
  const Warnings warnings;
  auto result = supervision.run([&] { return call(supervision.progress(), warnings.collector()); });
  warnings.emit();
  return result;
}

py::tuple import_video(const std::string& file, const std::string& store, const py::dict& given,
                       bool copy, std::optional<int> stream, std::optional<double> start_time,
                       std::int64_t first_number, std::int64_t number_step, bool allow_truncated,
                       const py::object& progress) {
  ImportOptions options;
  options.writer = writer_options(given);
  options.copy = copy;
  options.stream = stream;
  options.start_time = start_time;
  options.first_number = first_number;
  options.number_step = number_step;
  options.allow_truncated = allow_truncated;
  const ImportResult result = supervised(progress, [&](Progress told, Notice notice) {
    options.progress = std::move(told);
    options.notice = std::move(notice);
    return import_file(file, store, options);
  });
  return py::make_tuple(result.frames, result.format, result.copied);
}

std::int64_t transcode_store(const std::string& source, const std::string& destination,
                             const py::dict& given, const Range& range, bool save_index,
                             bool ignore_corrupt_extra, const py::object& progress) {
  TranscodeOptions options;
  options.writer = writer_options(given);
  options.range = to_range(range);
  options.save_index = save_index;
  options.ignore_corrupt_extra = ignore_corrupt_extra;
  return supervised(progress, [&](Progress told, Notice notice) {
    options.progress = std::move(told);
    options.notice = std::move(notice);
    return transcode(source, destination, options);
  });
}

py::tuple export_store(const std::string& store, const std::string& file, const py::dict& given,
                       const std::string& timing, const Range& range, bool overwrite,
                       bool save_index, const py::object& progress) {
  ExportOptions options;
  options.encoder = encoder_options(given);
  options.timing = timing_from_text(timing);
  options.range = to_range(range);
  options.overwrite = overwrite;
  options.save_index = save_index;
  const ExportResult result = supervised(progress, [&](Progress told, Notice notice) {
    options.progress = std::move(told);
    options.notice = std::move(notice);
    return export_video(store, file, options);
  });
  return py::make_tuple(result.frames, result.frames_encoded);
}

py::tuple verify_store(const std::string& store, bool deep, const py::object& progress) {
  VerifyOptions options;
  options.deep = deep;
  const VerifyResult result = supervised(progress, [&](Progress told, const Notice& /*notice*/) {
    options.progress = std::move(told);
    return verify(store, options);
  });
  return py::make_tuple(result.frames, result.chunks, to_list(result.findings),
                        to_list(result.repairs));
}

py::tuple repair_store(const std::string& store, bool dry_run) {
  RepairOptions options;
  options.dry_run = dry_run;
  const RepairResult result = supervised(py::none(), [&](const Progress& /*told*/, Notice notice) {
    options.notice = std::move(notice);
    return repair(store, options);
  });
  return py::make_tuple(result.frames, to_list(result.steps), to_str(result.put_aside.string()),
                        result.is_whole, result.frames_dropped, to_list(result.losses));
}

py::tuple undo_repair_of(const std::string& store) {
  const UndoResult result = supervised(
      py::none(),
      [&](const Progress& /*told*/, const Notice& /*notice*/) { return undo_repair(store); });
  return py::make_tuple(result.frames, to_list(result.steps));
}

std::int64_t rebuild(const std::string& store) {
  return supervised(py::none(), [&](const Progress& /*told*/, const Notice& notice) {
    return rebuild_index(store, notice);
  });
}

py::tuple reindex_store(const std::string& store, bool ignore_corrupt_extra,
                        const py::object& progress) {
  ReindexOptions options;
  options.ignore_corrupt_extra = ignore_corrupt_extra;
  const ReindexResult result = supervised(progress, [&](Progress told, Notice notice) {
    options.progress = std::move(told);
    options.notice = std::move(notice);
    return reindex(store, options);
  });
  return py::make_tuple(result.frames, result.zero.value, result.renumbered);
}

void empty(const std::string& store) {
  const WithoutGil released;
  empty_store(store);
}

}  // namespace

void bind_tools(py::module_& module) {
  using namespace py::literals;
  module.def("import_video", &import_video, "file"_a, "store"_a, "options"_a, "copy"_a, "stream"_a,
             "start_time"_a, "first_number"_a, "number_step"_a, "allow_truncated"_a, "progress"_a);
  module.def("transcode", &transcode_store, "source"_a, "destination"_a, "options"_a, "range"_a,
             "save_index"_a, "ignore_corrupt_extra"_a, "progress"_a);
  module.def("export", &export_store, "store"_a, "file"_a, "options"_a, "timing"_a, "range"_a,
             "overwrite"_a, "save_index"_a, "progress"_a);
  module.def("verify", &verify_store, "store"_a, "deep"_a, "progress"_a);
  module.def("repair", &repair_store, "store"_a, "dry_run"_a);
  module.def("undo_repair", &undo_repair_of, "store"_a);
  module.def("rebuild_index", &rebuild, "store"_a);
  module.def("reindex", &reindex_store, "store"_a, "ignore_corrupt_extra"_a, "progress"_a);
  module.def("empty", &empty, "store"_a);
}

}  // namespace avstore::python
