#include "store_access.h"

#include <avstore/error.h>
#include <avstore/tools.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "interrupt.h"
#include "messages.h"
#include "progress_bar.h"

namespace avstore::cli {
namespace {

// `walk` hands the frames of the range, one after another, to what it is called with.
void visit_with_progress(const Reader& reader, IndexRange range,
                         const std::function<void(const VisitWhile&)>& walk,
                         const std::function<void(const FrameInfo&)>& visit) {
  catch_interrupts();
  ProgressBar bar(ProgressBar::Beside::streamed_output);
  std::int64_t done = 0;
  walk([&](const FrameInfo& info) {
    visit(info);
    bar.update(++done, range.size());
    return !interrupted();
  });
  if (interrupted()) {
    throw Interrupted(reader.info().path.string());
  }
}

}  // namespace

ReaderOptions reading(bool no_save) {
  ReaderOptions options;
  options.save_index = !no_save;
  return options;
}

Reader open_store(const std::filesystem::path& store, ReaderOptions options) {
  options.on_warning = say;
  return Reader(store, std::move(options));
}

IndexRange chosen_range(const Reader& reader, const std::optional<RangeText>& range) {
  const std::int64_t count = reader.frame_count();
  const IndexRange chosen = range.value_or(RangeText{}).of(count);
  if (range && chosen.size() == 0) {
    throw no_frame_in(*range, reader.info().path.string(), count);
  }
  return chosen;
}

IndexRange chosen_range(const std::filesystem::path& store, const std::optional<RangeText>& range,
                        bool no_save) {
  return range ? chosen_range(open_store(store, reading(no_save)), range)
               : IndexRange{0, INT64_MAX};
}

std::optional<double> mean_frame_rate(const StoreInfo& info) {
  const double duration = info.time_max.seconds - info.time_min.seconds;
  if (info.frame_count < 2 || !(duration > 0)) {
    return std::nullopt;
  }
  return static_cast<double>(info.frame_count - 1) / duration;
}

void visit_infos(const Reader& reader, IndexRange range,
                 const std::function<void(const FrameInfo&)>& visit) {
  visit_with_progress(
      reader, range, [&](const VisitWhile& each) { reader.for_each_info(range, each); }, visit);
}

void visit_prepared(Reader& reader, IndexRange range, const VisitWhile& visit) {
  for (bool more = true; more && range.begin < range.end;) {
    const std::int64_t chunk_end = reader.prepare(FrameIndex(range.begin)).end;
    // Each step shows a frame, whatever a damaged database says of its chunks.
    const std::int64_t end = std::min(std::max(chunk_end, range.begin + 1), range.end);
    reader.for_each_info({range.begin, end}, [&](const FrameInfo& info) {
      more = visit(info);
      return more;
    });
    range.begin = end;
  }
}

void visit_prepared_with_progress(Reader& reader, IndexRange range,
                                  const std::function<void(const FrameInfo&)>& visit) {
  visit_with_progress(
      reader, range, [&](const VisitWhile& each) { visit_prepared(reader, range, each); }, visit);
}

}  // namespace avstore::cli
