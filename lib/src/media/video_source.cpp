#include "media/video_source.h"

#include <functional>
#include <queue>
#include <vector>

#include "media/decoder.h"

namespace avstore::media {
namespace {

// Presentation times for streams that state times in decode order only: as frames come out in
// presentation order, each takes the earliest time not taken yet.
using EarliestFirst = std::priority_queue<std::int64_t, std::vector<std::int64_t>, std::greater<>>;

}  // namespace

class VideoSource::Impl {
 public:
  Impl(const std::string& url, const DemuxerOptions& options, int threads, bool low_delay)
      : demuxer_(url, options),
        decoder_(demuxer_, {.threads = threads,
                            .threading = low_delay ? Threading::slice : Threading::frame}) {}

  std::optional<SourceFrame> next() {
    for (;;) {
      if (auto frame = decoder_.receive()) {
        return SourceFrame{std::move(frame->image), seconds(frame->pts)};
      }
      if (ended_) {
        return std::nullopt;
      }
      feed();
    }
  }

  const Demuxer& demuxer() const { return demuxer_; }
  std::string truncation() const { return demuxer_.truncation(); }

 private:
  void feed() {
    Packet packet;
    if (demuxer_.read(packet)) {
      if (demuxer_.timestamps_in_decode_order() && packet.pts()) {
        waiting_.push(*packet.pts());
      }
      decoder_.send(packet);
    } else {
      decoder_.send_end();
      ended_ = true;
    }
  }

  double seconds(std::optional<std::int64_t> pts) {
    if (demuxer_.timestamps_in_decode_order() && !waiting_.empty()) {
      pts = waiting_.top();
      waiting_.pop();
    }
    const Rational rate = demuxer_.stream().frame_rate;
    const double step = rate.num > 0 ? 1 / rate.value() : 0.04;
    // A frame without a time follows the one before it.
    last_ = pts ? static_cast<double>(*pts) * tick() : last_ ? *last_ + step : 0;
    return *last_;
  }

  // Elementary streams count frames, not ticks.
  double tick() const {
    const Rational rate = demuxer_.stream().frame_rate;
    if (!demuxer_.counts_packets()) {
      return demuxer_.stream().time_base.value();
    }
    return rate.num > 0 ? 1 / rate.value() : 0.04;
  }

  Demuxer demuxer_;
  Decoder decoder_;
  EarliestFirst waiting_;
  std::optional<double> last_;
  bool ended_ = false;
};

VideoSource::VideoSource(const std::string& url, const DemuxerOptions& options, int threads,
                         bool low_delay)
    : impl_(std::make_unique<Impl>(url, options, threads, low_delay)) {}
VideoSource::~VideoSource() = default;

std::optional<SourceFrame> VideoSource::next() {
  return impl_->next();
}
const Demuxer& VideoSource::demuxer() const {
  return impl_->demuxer();
}
std::string VideoSource::truncation() const {
  return impl_->truncation();
}

}  // namespace avstore::media
