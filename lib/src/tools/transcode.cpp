// avstore transcode: a store in another format.
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

void add_records(const std::vector<std::string>& records, Writer& writer) {
  for (const std::string& record : records) {
    writer.add_extra(record);
  }
}

// The frames of `range`, with the extra data that belongs to them.
void copy_frames(Reader& reader, IndexRange range, Writer& writer, const WriterOptions& options,
                 const store::ExtraRecords& extra_data, const TranscodeOptions& transcoding) {
  const fs::path& source = reader.info().path;
  tools::PixelInput input(find_format(options.format), source.string(), transcoding.notice);
  tools::ProgressMeter meter(transcoding.progress, range.size(), source.string());
  media::Converter gray(1);
  const PixelFormat wanted = tools::pixels_to_read(reader.info());
  const tools::ExtraFeed extra(extra_data, reader, transcoding.notice);
  if (range.begin == 0) {
    add_records(extra.of(FrameIndex(-1)), writer);
  }
  for (std::int64_t i = range.begin; i < range.end; ++i) {
    Frame frame = reader.read(FrameIndex(i));
    if (!wanted.empty()) {
      frame.image = gray.convert(frame.image, wanted);
    }
    if (options.encoding.empty()) {
      frame.image = input.prepare(frame.image);
    }
    writer.add(frame.image, frame.info.number, frame.info.time);
    add_records(extra.of(FrameIndex(i)), writer);
    meter.require();
  }
}

}  // namespace

std::int64_t transcode(const fs::path& source, const fs::path& destination,
                       const TranscodeOptions& options) {
  ReaderOptions reader_options;
  reader_options.on_warning = options.notice;
  reader_options.save_index = options.save_index;
  reader_options.raw_sensor = tools::keeps_sensor_data(options.writer, tools::encoding_of(source));
  Reader reader(source, reader_options);
  // A store without frames can be written anew, too.
  const IndexRange range =
      reader.frame_count() == 0 ? IndexRange{0, 0} : tools::frames_in(options.range, reader);
  tools::tell_of_decoding(options.writer, reader.info(), options.notice);
  const store::ExtraRecords extra =
      store::read_extra_records(source, {options.ignore_corrupt_extra, options.notice});
  WriterOptions writer_options =
      tools::taking_all_frames(tools::with_identity(options.writer, reader.info()));
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
