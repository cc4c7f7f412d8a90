// avstore transcode: a store in another format.
#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

#include "avstore/error.h"
#include "avstore/tools.h"
#include "imgstore/extra_data.h"
#include "imgstore/metadata.h"
#include "media/codec_table.h"
#include "store/extra_records.h"
#include "store/store_folder.h"
#include "tools/pixel_input.h"
#include "tools/progress_meter.h"

namespace avstore {
namespace {

namespace fs = std::filesystem;

// Arrays hold a sensor's own data as they are; all other formats get the picture in them.
bool keeps_sensor_data(const WriterOptions& options) {
  const std::string& format = find_format(options.format).name;
  return format == "npy" || format == "bpk";
}

WriterOptions with_identity(WriterOptions options, const StoreInfo& source) {
  if (options.metadata_yaml.empty()) {
    options.metadata_yaml = source.metadata_yaml;
  }
  if (options.created_utc.empty()) {
    options.created_utc = source.created_utc;
  }
  if (options.timezone_local.empty()) {
    options.timezone_local = source.timezone_local;
  }
  if (options.encoding.empty() && keeps_sensor_data(options)) {
    options.encoding = source.encoding;
  }
  if (!options.color) {
    options.color = source.color;
  }
  if (options.encoder.frame_rate.num == 0) {
    options.encoder.frame_rate = source.nominal_frame_rate;
  }
  return options;
}

// Gray stores hold colour planes in most video codecs; only the luma counts.
PixelFormat pixels_to_read(const StoreInfo& source) {
  return !source.color && source.dtype == "uint8" ? pixel::gray8 : PixelFormat();
}

// The frames of `range`, with the extra data that belongs to them.
void copy_frames(Reader& reader, IndexRange range, Writer& writer, const WriterOptions& options,
                 const TranscodeOptions& transcoding) {
  const fs::path& source = reader.info().path;
  tools::PixelInput input(find_format(options.format), source.string(), transcoding.notice);
  tools::ProgressMeter meter(transcoding.progress, range.size(), source.string());
  media::Converter gray(1);
  const PixelFormat wanted = pixels_to_read(reader.info());
  std::deque<imgstore::ExtraRecord> extra = store::read_extra_records(source);
  for (std::int64_t i = range.begin; i < range.end; ++i) {
    Frame frame = reader.read(FrameIndex(i));
    if (!wanted.empty()) {
      frame.image = gray.convert(frame.image, wanted);
    }
    writer.add(input.prepare(frame.image), frame.info.number, frame.info.time);
    for (; !extra.empty() && extra.front().frame_index <= i; extra.pop_front()) {
      if (extra.front().frame_index >= range.begin) {
        writer.add_extra(extra.front().json);
      }
    }
    meter.require();
  }
}

}  // namespace

std::int64_t transcode(const fs::path& source, const fs::path& destination,
                       const TranscodeOptions& options) {
  ReaderOptions reader_options;
  reader_options.on_warning = options.notice;
  reader_options.raw_sensor = keeps_sensor_data(options.writer);
  Reader reader(source, reader_options);
  const IndexRange range{std::max<std::int64_t>(options.range.begin, 0),
                         std::min(options.range.end, reader.frame_count())};
  if (range.size() <= 0) {
    throw Error(ErrorKind::invalid_argument, source.string() + ": no frames to transcode");
  }
  const WriterOptions writer_options = with_identity(options.writer, reader.info());
  store::make_store(destination, options.writer.overwrite, [&](const fs::path& folder) {
    Writer writer(folder, writer_options);
    try {
      copy_frames(reader, range, writer, writer_options, options);
      writer.close();
    } catch (...) {
      writer.abandon();
      throw;
    }
  });
  return range.size();
}

}  // namespace avstore
