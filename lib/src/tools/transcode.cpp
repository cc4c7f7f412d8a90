// avstore transcode: a store in another format.
#include <algorithm>
#include <string>
#include <utility>

#include "avstore/error.h"
#include "avstore/tools.h"
#include "imgstore/metadata.h"
#include "media/codec_table.h"
#include "store/extra_records.h"
#include "store/store_folder.h"
#include "tools/extra_feed.h"
#include "tools/pixel_input.h"
#include "tools/progress_meter.h"
#include "tools/store_copy.h"

namespace avstore {
namespace {

namespace fs = std::filesystem;

// The frames of `range`, with the extra data that belongs to them.
void copy_frames(Reader& reader, IndexRange range, Writer& writer, const WriterOptions& options,
                 const store::ExtraRecords& extra_data, const TranscodeOptions& transcoding) {
  const fs::path& source = reader.info().path;
  tools::PixelInput input(find_format(options.format), source.string(), transcoding.notice);
  tools::ProgressMeter meter(transcoding.progress, range.size(), source.string());
  media::Converter gray(1);
  const PixelFormat wanted = tools::pixels_to_read(reader.info());
  tools::ExtraFeed extra(extra_data, reader);
  for (std::int64_t i = range.begin; i < range.end; ++i) {
    Frame frame = reader.read(FrameIndex(i));
    if (!wanted.empty()) {
      frame.image = gray.convert(frame.image, wanted);
    }
    writer.add(input.prepare(frame.image), frame.info.number, frame.info.time);
    for (const std::string& record : extra.of(FrameIndex(i))) {
      writer.add_extra(record);
    }
    meter.require();
  }
}

}  // namespace

std::int64_t transcode(const fs::path& source, const fs::path& destination,
                       const TranscodeOptions& options) {
  ReaderOptions reader_options;
  reader_options.on_warning = options.notice;
  reader_options.save_index = options.save_index;
  reader_options.raw_sensor = tools::keeps_sensor_data(options.writer);
  Reader reader(source, reader_options);
  const IndexRange range{std::max<std::int64_t>(options.range.begin, 0),
                         std::min(options.range.end, reader.frame_count())};
  if (range.size() <= 0) {
    throw Error(ErrorKind::invalid_argument, source.string() + ": no frames to transcode");
  }
  const store::ExtraRecords extra = store::read_extra_records(source);
  WriterOptions writer_options = tools::with_identity(options.writer, reader.info());
  writer_options.on_warning = tools::warnings_of(destination, options.notice);
  writer_options.metadata_yaml =
      tools::with_sample_rates(writer_options.metadata_yaml, extra.sample_rates);
  store::make_store(destination, options.writer.overwrite, [&](const fs::path& folder) {
    Writer writer(folder, writer_options);
    try {
      copy_frames(reader, range, writer, writer_options, extra, options);
      writer.close();
    } catch (...) {
      writer.abandon();
      throw;
    }
  });
  return range.size();
}

}  // namespace avstore
