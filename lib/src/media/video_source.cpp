#include "media/video_source.h"

#include <deque>
#include <utility>
#include <vector>

#include "media/decode_order_times.h"
#include "media/decoder.h"

namespace avstore::media {
namespace {

// Whether packets need not give a frame of their own, even where nothing is wrong: the second field
// of a picture, a picture that others only refer to, one that cannot be decoded after a cut.
bool has_silent_packets(const StreamInfo& stream) {
  return stream.codec == "h264" || stream.codec == "hevc" || stream.codec == "vp8" ||
         stream.codec == "vp9";
}

}  // namespace

class VideoSource::Impl {
 public:
  Impl(const std::string& url, const DemuxerOptions& options, int threads, bool low_delay)
      : demuxer_(url, options),
        // With threads for frames it does not show which packet is refused, on which times depend.
        decoder_(demuxer_, {.threads = threads,
                            .threading = low_delay || demuxer_.timestamps_in_decode_order()
                                             ? Threading::slice
                                             : Threading::frame}),
        in_decode_order_(demuxer_.timestamps_in_decode_order()),
        silent_packets_(has_silent_packets(demuxer_.stream())),
        one_each_(low_delay && demuxer_.stream().intra_only) {}

  std::optional<SourceFrame> next() {
    for (;;) {
      std::optional<DecodedFrame> frame = decoder_.receive();
      note_losses(frame);
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
      if (!had_keyframe_ && packet.key()) {
        had_keyframe_ = true;
        first_keyframe_ = packet.pts();
      }
      if (in_decode_order_ && packet.pts()) {
        note_silent(times_.send(*packet.pts()));
      }
      sent_ = packet.pts();
      answered_ = false;
      decoder_.send(packet);
    } else {
      decoder_.send_end();
      ended_ = true;
    }
  }

  // Packets of which the decoder made nothing.
  void note_losses(const std::optional<DecodedFrame>& frame) {
    note_refused(frame.has_value());
    if (in_decode_order_ && frame) {
      note_silent(times_.come(frame->pts, frame->may_follow));
    } else if (in_decode_order_ && ended_) {
      note_silent(times_.end());
    }
    answered_ = true;
  }

  // As a rule it is the one sent last.
  void note_refused(bool frame_came) {
    const std::int64_t refused = decoder_.packets_undecodable() - refused_;
    refused_ += refused;
    const bool unanswered = one_each_ && !answered_ && !frame_came && refused == 0;
    for (std::int64_t i = 0; i < refused + (unanswered ? 1 : 0); ++i) {
      const std::optional<std::int64_t> pts = std::exchange(sent_, std::nullopt);
      if (in_decode_order_ && pts) {
        times_.refuse(*pts);
      }
      if (!in_decode_order_ || pts) {  // else it is among those that are left at the end
        note_loss(pts);
      }
    }
  }

  // Without a word of the decoder: which they are shows by the frames that come instead.
  void note_silent(const std::vector<std::int64_t>& lost) {
    for (const std::int64_t time : lost) {
      const bool was_decodable = last_ && first_keyframe_ && time >= *first_keyframe_;
      if (!silent_packets_ && was_decodable) {
        note_loss(time);
      }
    }
  }

  void note_loss(std::optional<std::int64_t> time) {
    SourceFrame lost;
    lost.undecodable = true;
    if (time) {
      lost.seconds = static_cast<double>(*time) * tick();
    }
    if (had_keyframe_) {
      ready_.push_back(std::move(lost));
    }
  }

  double seconds(std::optional<std::int64_t> pts) {
    if (in_decode_order_) {
      if (const auto time = times_.take()) {
        pts = time;
      }
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
  DecodeOrderTimes times_;  // where packets state no others
  std::deque<SourceFrame> ready_;
  std::optional<std::int64_t> sent_;            // PTS of the packet sent last
  std::optional<std::int64_t> first_keyframe_;  // PTS of its packet
  std::optional<double> last_;
  std::int64_t refused_ = 0;    // packets that are noted as lost
  const bool in_decode_order_;  // packets state times in decode order
  const bool silent_packets_;   // a packet without a frame need not be a loss
  const bool one_each_;         // a frame comes out for each packet, at once
  bool answered_ = true;        // what the packet sent last gave, if anything, was seen
  bool had_keyframe_ = false;
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
