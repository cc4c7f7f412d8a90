// avstore record: a live source becomes a store.
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "avstore/error.h"
#include "avstore/tools.h"
#include "media/video_source.h"
#include "tools/pixel_input.h"
#include "tools/progress_meter.h"
#include "tools/store_copy.h"

namespace avstore {
namespace {

double unix_now() {
  using std::chrono::duration;
  return duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

media::DemuxerOptions demuxer_options(const RecordOptions& options, std::function<bool()> give_up) {
  media::DemuxerOptions made;
  made.stream = options.stream;
  made.input_format = options.input_format;
  made.leads_elsewhere = true;  // as network streams do; whoever records names the source
  made.options = options.input_options;
  made.give_up = std::move(give_up);
  return made;
}

class Recording {
 public:
  Recording(std::string source, const RecordOptions& options)
      : name_(std::move(source)), options_(options) {}

  RecordResult run(const std::filesystem::path& store) {
    auto source = unless_given_up([this] {
      return std::make_unique<media::VideoSource>(
          name_, demuxer_options(options_, [this] { return give_up(); }), 0, true);
    });
    if (source) {
      record(*source, store);
    }
    if (frames_ == 0) {
      throw Interrupted(name_);
    }
    return {frames_, last_time_ - first_time_, std::move(dropped_)};
  }

 private:
  void record(media::VideoSource& source, const std::filesystem::path& store) {
    WriterOptions writer_options = with_frame_rate(source.demuxer().stream().frame_rate);
    writer_options.on_warning = tools::warnings_of(store, options_.notice);
    tools::PixelInput input(find_format(writer_options.format), name_, options_.notice,
                            writer_options.encoding);
    tools::ProgressMeter meter(options_.progress, options_.frames.value_or(0), name_);
    Writer writer(store, writer_options);
    try {
      while (!enough()) {
        const auto frame = unless_given_up([&source] { return source.next(); });
        if (!frame) {
          tell_of_loss(source);
          break;
        }
        take(input.prepare(frame->image), writer);
        if (!meter.advance()) {
          given_up_ = true;
          break;
        }
      }
    } catch (...) {
      end(writer);  // what was recorded before the source failed is kept
      throw;
    }
    end(writer);
    if (frames_ == 0 && !given_up_) {
      throw Error(ErrorKind::io, name_ + ": gave no frame");
    }
  }

  void tell_of_loss(const media::VideoSource& source) const {
    const std::string truncation = given_up_ ? "" : source.truncation();
    if (!truncation.empty() && options_.notice) {
      options_.notice(name_ + ": " + truncation);
    }
  }

  void end(Writer& writer) {
    dropped_ = writer.dropped();
    if (frames_ == 0) {
      writer.abandon();
    } else {
      writer.close();
    }
  }

  WriterOptions with_frame_rate(Rational source) const {
    WriterOptions options = options_.writer;
    if (options.encoder.frame_rate.num == 0 && source.num > 0) {
      options.encoder.frame_rate = source;
    }
    return options;
  }

  // Asked while the source keeps us waiting.
  bool give_up() {
    const auto wanted = options_.frames.value_or(0);
    given_up_ = given_up_ || enough() || (options_.progress && !options_.progress(frames_, wanted));
    return given_up_;
  }

  // A wait for the source that we broke off ourselves is an error to libav, but not to us: then
  // there is no result.
  template <typename Wait>
  auto unless_given_up(const Wait& wait) const -> decltype(wait()) {
    try {
      return wait();
    } catch (const Error&) {
      if (!given_up_) {
        throw;
      }
      return {};
    }
  }

  bool enough() const {
    const bool frames = options_.frames && frames_ >= *options_.frames;
    const bool time =
        options_.duration && frames_ > 0 && unix_now() - first_time_ >= *options_.duration;
    return frames || time;
  }

  void take(const Image& image, Writer& writer) {
    last_time_ = unix_now();
    if (arrived_ == 0) {
      first_time_ = last_time_;
    }
    const FrameNumber number(options_.first_number + arrived_++);
    frames_ += writer.add(image, number, FrameTime(last_time_)) ? 1 : 0;
  }

  std::string name_;
  const RecordOptions& options_;
  bool given_up_ = false;
  std::int64_t arrived_ = 0;
  std::int64_t frames_ = 0;  // of these in the store
  std::vector<FrameNames> dropped_;
  double first_time_ = 0;
  double last_time_ = 0;
};

}  // namespace

RecordResult record(const std::string& source, const std::filesystem::path& store,
                    const RecordOptions& options) {
  return Recording(source, options).run(store);
}

}  // namespace avstore
