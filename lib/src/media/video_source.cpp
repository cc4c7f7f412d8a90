#include "media/video_source.h"

#include <deque>
#include <set>
#include <utility>

#include "media/decoder.h"

namespace avstore::media {
namespace {

// Presentation times for streams that state times in decode order only: as frames come out in
// presentation order, each takes the earliest time not taken yet.
using EarliestFirst = std::multiset<std::int64_t>;

// Where each packet has its own frame and time, it must be known which of them is lost; threads
// that take a frame each tell that some packets later.
bool tells_losses_apart(const Demuxer& demuxer) {
  return demuxer.stream().intra_only && demuxer.timestamps_in_decode_order();
}

}  // namespace

class VideoSource::Impl {
 public:
  Impl(const std::string& url, const DemuxerOptions& options, int threads, bool low_delay)
      : demuxer_(url, options),
        decoder_(demuxer_,
                 {.threads = threads,
                  .threading = low_delay || tells_losses_apart(demuxer_) ? Threading::slice
                                                                         : Threading::frame}),
        one_each_(low_delay && demuxer_.stream().intra_only) {}

  std::optional<SourceFrame> next() {
    for (;;) {
      std::optional<DecodedFrame> frame = decoder_.receive();
      note_losses(frame.has_value());
      if (frame) {
        SourceFrame made;
        made.image = std::move(frame->image);
        made.seconds = seconds(frame->pts);
        made.damaged = frame->damaged;
        ready_.push_back(std::move(made));
      }
      if (!ready_.empty()) {
        SourceFrame first = std::move(ready_.front());
        ready_.pop_front();
        return first;
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
        waiting_.insert(*packet.pts());
      }
      had_keyframe_ = had_keyframe_ || packet.key();
      sent_ = packet.pts();
      answered_ = false;
      decoder_.send(packet);
    } else {
      decoder_.send_end();
      ended_ = true;
    }
  }

  // Packets of which the decoder made nothing: the one sent last, as a rule.
  void note_losses(bool frame_came) {
    const std::int64_t refused = decoder_.packets_undecodable() - refused_;
    refused_ += refused;
    const bool unanswered = one_each_ && !answered_ && !frame_came && refused == 0;
    for (std::int64_t i = 0; i < refused + (unanswered ? 1 : 0); ++i) {
      note_loss();
    }
    answered_ = true;
  }

  void note_loss() {
    SourceFrame lost;
    lost.undecodable = true;
    if (const auto pts = std::exchange(sent_, std::nullopt)) {
      lost.seconds = static_cast<double>(*pts) * tick();
      forget(*pts);
    }
    if (had_keyframe_) {
      ready_.push_back(std::move(lost));
    }
  }

  // No frame takes that time.
  void forget(std::int64_t pts) {
    const auto place = waiting_.find(pts);
    if (place != waiting_.end()) {
      waiting_.erase(place);
    }
  }

  double seconds(std::optional<std::int64_t> pts) {
    if (demuxer_.timestamps_in_decode_order() && !waiting_.empty()) {
      pts = waiting_.extract(waiting_.begin()).value();
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
  std::deque<SourceFrame> ready_;
  const bool one_each_;               // a frame comes out for each packet, at once
  std::optional<std::int64_t> sent_;  // PTS of the packet sent last
  bool answered_ = true;              // what it gave, if anything, was seen
  std::int64_t refused_ = 0;          // packets that are noted as lost
  bool had_keyframe_ = false;
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
