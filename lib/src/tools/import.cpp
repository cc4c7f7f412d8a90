// avstore import: a video file becomes a store.
#include <fmt/format.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "avstore/error.h"
#include "avstore/tools.h"
#include "media/video_source.h"
#include "store/store_folder.h"
#include "tools/frame_namer.h"
#include "tools/import_copy.h"
#include "tools/pixel_input.h"
#include "tools/progress_meter.h"
#include "tools/store_copy.h"

namespace avstore {
namespace {

namespace fs = std::filesystem;

media::DemuxerOptions demuxer_options(std::optional<int> stream) {
  media::DemuxerOptions options;
  options.stream = stream;
  return options;
}

void require_file(const fs::path& file) {
  std::error_code error;
  const fs::file_status status = fs::status(file, error);
  if (!fs::exists(status)) {
    throw Error(ErrorKind::not_found, file.string() + ": no such file");
  }
  if (fs::is_directory(status)) {
    throw Error(ErrorKind::invalid_argument,
                file.string() + ": is a folder; give a video file, or `transcode` a store");
  }
  if (!fs::is_regular_file(status) && !fs::is_block_file(status)) {
    throw Error(ErrorKind::invalid_argument,
                file.string() + ": is a pipe or a device, not a file; `record` reads from these");
  }
}

// The nominal rate follows the source unless the caller chose one.
void adopt_frame_rate(WriterOptions& options, Rational source) {
  if (options.encoder.frame_rate.num == 0 && source.num > 0) {
    options.encoder.frame_rate = source;
  }
}

// Frames of which nothing could be made.
class Losses {
 public:
  void note(std::optional<double> seconds) {
    if (++count_ == 1) {
      first_ = seconds;
    }
  }
  void tell(const std::string& file, const std::function<void(const std::string&)>& notice) const {
    if (count_ > 0 && notice) {
      notice(fmt::format("{}: {} frame{} cannot be decoded or {} no picture{} and {} left out",
                         file, count_, count_ == 1 ? "" : "s", count_ == 1 ? "holds" : "hold",
                         first_ ? fmt::format(", the first at {:g} s,", *first_) : "",
                         count_ == 1 ? "is" : "are"));
    }
  }

 private:
  std::int64_t count_ = 0;
  std::optional<double> first_;
};

ImportResult encode_anew(const fs::path& file, const fs::path& store,
                         const ImportOptions& options) {
  media::VideoSource source(file.string(), demuxer_options(options.stream), 0, false);
  const media::StreamInfo& stream = source.demuxer().stream();
  WriterOptions writer_options = tools::taking_all_frames(options.writer);
  adopt_frame_rate(writer_options, stream.frame_rate);
  tools::FrameNamer namer(options, source.demuxer().creation_time(), file.string());
  tools::ProgressMeter meter(options.progress, stream.frame_count, file.string());
  tools::PixelInput input(find_format(writer_options.format), file.string(), options.notice,
                          writer_options.encoding);

  Losses losses;
  Writer writer(store, writer_options);
  try {
    while (auto frame = source.next()) {
      if (frame->undecodable) {
        losses.note(frame->seconds);
        continue;
      }
      const FrameNames names = namer.next(*frame->seconds);
      writer.add(input.prepare(frame->image), names.number, names.time);
      meter.require();
    }
    if (meter.done() == 0) {
      throw Error(ErrorKind::corrupt, file.string() + ": no frame of it can be decoded");
    }
    tools::require_whole(source.truncation(), file.string(), options);
    tools::tell_of_truncation(source.truncation(), file.string(), options);
    losses.tell(file.string(), options.notice);
    namer.require_all_used();
    writer.close();
  } catch (...) {
    writer.abandon();
    throw;
  }
  return {meter.done(), writer_options.format, false};
}

}  // namespace

namespace tools {

void require_whole(const std::string& truncation, const std::string& file,
                   const ImportOptions& options) {
  if (!truncation.empty() && !options.allow_truncated) {
    throw Error(ErrorKind::corrupt,
                file + ": is cut off or damaged: " + truncation +
                    "; to import what there is, allow that (option allow_truncated)");
  }
}

void tell_of_truncation(const std::string& truncation, const std::string& file,
                        const ImportOptions& options) {
  if (!truncation.empty() && options.notice) {
    options.notice(file + ": is cut off or damaged: " + truncation);
  }
}

}  // namespace tools

ImportResult import_file(const fs::path& file, const fs::path& store,
                         const ImportOptions& options) {
  require_file(file);
  if (options.copy && !options.writer.encoding.empty()) {
    throw Error(ErrorKind::invalid_argument,
                file.string() + ": video that is copied is no " + options.writer.encoding +
                    " data; leave the encoding out, or import without the option copy");
  }
  if (options.copy && options.writer.timing == Timing::real) {
    throw Error(ErrorKind::invalid_argument,
                file.string() +
                    ": the timestamps of video that is copied are spaced evenly, not "
                    "real; import without the option copy");
  }
  std::optional<ImportResult> result;
  store::make_store(store, options.writer.overwrite, [&](const fs::path& folder) {
    ImportOptions encoding = options;
    encoding.writer.on_warning = tools::warnings_of(store, options.notice);
    if (options.copy) {
      result = tools::import_copy(file, folder, options);
      encoding.copy = false;
      encoding.writer.format = tools::kLosslessInsteadOfCopy;
    }
    if (!result) {
      result = encode_anew(file, folder, encoding);
    }
  });
  return result.value();
}

SourceInfo probe_source(const fs::path& file, std::optional<int> stream) {
  require_file(file);
  const media::Demuxer demuxer(file.string(), demuxer_options(stream));
  const media::StreamInfo& found = demuxer.stream();
  return {demuxer.container(), found.codec,    found.pixel_format,
          found.width,         found.height,   found.frame_rate,
          found.frame_count,   found.duration, demuxer.creation_time()};
}

}  // namespace avstore
