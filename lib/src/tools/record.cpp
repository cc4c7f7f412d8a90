// avstore record: a live source becomes a store.
#include <chrono>
#include <exception>
#include <optional>
#include <utility>

#include "avstore/error.h"
#include "avstore/tools.h"
#include "media/video_source.h"
#include "tools/pixel_input.h"
#include "tools/progress_meter.h"

namespace avstore {
namespace {

double unix_now() {
  using std::chrono::duration;
  return duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

media::DemuxerOptions demuxer_options(const RecordOptions& options) {
  media::DemuxerOptions made;
  made.stream = options.stream;
  made.input_format = options.input_format;
  made.options = options.input_options;
  return made;
}

class Recording {
 public:
  Recording(const std::string& source, const std::filesystem::path& store,
            const RecordOptions& options)
      : options_(options),
        source_(source, demuxer_options(options), 0, true),
        writer_options_(with_frame_rate(options.writer)),
        input_(find_format(writer_options_.format), source, options.notice),
        meter_(options.progress, options.frames.value_or(0), source),
        writer_(store, writer_options_) {}

  RecordResult run() {
    try {
      while (!enough()) {
        auto frame = source_.next();
        if (!frame) {
          break;
        }
        take(std::move(*frame));
        if (!meter_.advance()) {
          break;
        }
      }
    } catch (...) {
      // What was recorded before the source failed is kept.
      writer_.close();
      throw;
    }
    writer_.close();
    if (frames_ == 0) {
      throw Error(ErrorKind::io, source_.demuxer().url() + ": gave no frame");
    }
    return {frames_, last_time_ - first_time_};
  }

 private:
  WriterOptions with_frame_rate(WriterOptions options) const {
    const Rational rate = source_.demuxer().stream().frame_rate;
    if (options.encoder.frame_rate == WriterOptions().encoder.frame_rate && rate.num > 0) {
      options.encoder.frame_rate = rate;
    }
    return options;
  }

  bool enough() const {
    const bool frames = options_.frames && frames_ >= *options_.frames;
    const bool time =
        options_.duration && frames_ > 0 && unix_now() - first_time_ >= *options_.duration;
    return frames || time;
  }

  void take(media::SourceFrame frame) {
    last_time_ = unix_now();
    if (frames_ == 0) {
      first_time_ = last_time_;
    }
    writer_.add(input_.prepare(frame.image), FrameNumber(options_.first_number + frames_),
                FrameTime(last_time_));
    ++frames_;
  }

  const RecordOptions& options_;
  media::VideoSource source_;
  WriterOptions writer_options_;
  tools::PixelInput input_;
  tools::ProgressMeter meter_;
  Writer writer_;
  std::int64_t frames_ = 0;
  double first_time_ = 0;
  double last_time_ = 0;
};

}  // namespace

RecordResult record(const std::string& source, const std::filesystem::path& store,
                    const RecordOptions& options) {
  return Recording(source, store, options).run();
}

}  // namespace avstore
