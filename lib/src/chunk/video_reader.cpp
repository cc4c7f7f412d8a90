// Exact access to the frames of a video file.
//
// The one truth is what a decode from the start of the file gives. The index says which frame has
// which PTS and from which packets decoding can start without changing anything (seek points). To
// read a frame, decoding starts at the last seek point before it. Neither the demuxer's seek nor
// the decoder is trusted: the packet landed on must be the seek point's, its frame must come out,
// and the frame wanted must carry its PTS. If not, an earlier start is taken, in the end the file's
// beginning.
#include <deque>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "avstore/error.h"
#include "chunk/chunk_reader.h"
#include "media/decoder.h"
#include "media/demuxer.h"

namespace avstore::chunk {
namespace {

using media::SeekPoint;
using media::Threading;

// Frames that were decoded only on the way to another one. Going backwards asks for these next, and
// would otherwise decode from the keyframe again for each.
class PassedFrames {
 public:
  // Images are shared, so keeping one costs its memory and no copy.
  void keep(std::int64_t frame_idx, const Image& image) {
    const std::size_t bytes = packed_size(image.view());
    if (bytes > kMaxBytes || !frames_.try_emplace(frame_idx, image).second) {
      return;
    }
    order_.push_back(frame_idx);
    bytes_ += bytes;
    while (bytes_ > kMaxBytes) {
      const auto oldest = frames_.find(order_.front());
      order_.pop_front();
      bytes_ -= packed_size(oldest->second.view());
      frames_.erase(oldest);
    }
  }

  std::optional<Image> find(std::int64_t frame_idx) const {
    const auto found = frames_.find(frame_idx);
    return found == frames_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  // Some forty pictures of 1280x720: more than a usual keyframe interval.
  static constexpr std::size_t kMaxBytes = std::size_t{64} << 20;

  std::unordered_map<std::int64_t, Image> frames_;
  std::deque<std::int64_t> order_;  // of their arrival
  std::size_t bytes_ = 0;
};

class VideoReader final : public ChunkReader {
 public:
  VideoReader(const std::filesystem::path& file, int stream, int threads, const FrameMap& map)
      : file_(file.string()),
        stream_(stream),
        threads_(threads),
        map_(map),
        headers_(frames_in_order() ? Headers::suffice : Headers::unsure) {
    open(headers_);
  }

  Image read(std::int64_t frame_idx, Access access) override {
    if (frame_idx < 0 || frame_idx >= map_.frame_count()) {
      throw Error(ErrorKind::end_of_store,
                  describe(frame_idx) + ": the chunk has " + std::to_string(map_.frame_count()));
    }
    if (auto image = access == Access::anew ? std::nullopt : passed_.find(frame_idx)) {
      return std::move(*image);
    }
    const auto start = map_.seek_point(frame_idx);
    if (can_go_on(frame_idx, start, access)) {
      if (auto image = decode_up_to(frame_idx)) {
        return std::move(*image);
      }
      ++statistics_.seek_recoveries;
    }
    return start_anew(frame_idx, start, access);
  }

  ReadStatistics statistics() const override {
    ReadStatistics all = statistics_;
    all.packets_read += demuxer_->packets_read();
    all.seeks += demuxer_->seeks();
    for (const auto& decoder : {std::cref(slice_decoder_), std::cref(frame_decoder_)}) {
      if (decoder.get()) {
        all.frames_decoded += decoder.get()->frames_decoded();
      }
    }
    return all;
  }

 private:
  std::string describe(std::int64_t frame_idx) const {
    return file_ + ": frame " + std::to_string(frame_idx);
  }

  // Whether the decoder must be told what the file's headers may leave out.
  enum class Headers { suffice, unsure };

  void open(Headers headers) {
    media::DemuxerOptions options;
    options.stream = stream_;
    options.count_packets = map_.pts_are_ordinals();
    options.use_fragment_table = fragment_table_is_right();
    options.in_order = headers == Headers::suffice;
    options.bytes = map_.bytes();
    media::Demuxer opened(file_, options);  // if that fails, the old one stays
    if (demuxer_) {
      statistics_.packets_read += demuxer_->packets_read();
      statistics_.seeks += demuxer_->seeks();
    }
    demuxer_ = std::move(opened);
    headers_ = headers;
    ++statistics_.files_opened;
  }

  // Reordering would show in a delay of the first frame.
  bool frames_in_order() const {
    const auto first = map_.seek_point(0);
    return map_.complete() && first && first->dts == first->pts;
  }

  // Its times are those at which fragments begin if frames follow one another evenly, undelayed.
  bool fragment_table_is_right() const {
    const std::int64_t last = map_.frame_count() - 1;
    if (!frames_in_order() || last <= 0) {
      return false;
    }
    const std::int64_t span = map_.pts(last) - map_.pts(0);
    return span % last == 0 && span / last == map_.pts(1) - map_.pts(0);
  }

  // Whether decoding on from where we are is the cheapest way to the frame.
  bool can_go_on(std::int64_t frame_idx, const std::optional<SeekPoint>& start,
                 Access access) const {
    if (access == Access::anew || !next_ || *next_ > frame_idx) {
      return false;
    }
    if (start && start->frame_idx > *next_) {
      return false;
    }
    // At a keyframe it costs nothing to go over to the decoder that is made for reading on and on.
    const bool change_decoder = access == Access::sequential && decoder_ == &slice_decoder_ &&
                                start && start->frame_idx == frame_idx;
    return !change_decoder;
  }

  Image start_anew(std::int64_t frame_idx, const std::optional<SeekPoint>& start, Access access) {
    const std::int64_t start_idx = start ? start->frame_idx : 0;
    const bool many_follow =
        access == Access::stretch || (access == Access::sequential && start_idx == frame_idx);
    recovers_from_damage_ = access != Access::anew;
    if (access == Access::anew) {
      close_decoders();  // they keep more than frames from before
    }
    use_decoder(many_follow ? Threading::frame : Threading::slice);
    constexpr int kMaxAttempts = 3;
    auto point = start;
    for (int attempt = 0; point && attempt < kMaxAttempts; ++attempt) {
      if (go_to(*point)) {
        if (auto image = decode_up_to(frame_idx)) {
          return std::move(*image);
        }
      }
      ++statistics_.seek_recoveries;
      point = map_.seek_point(point->frame_idx - 1);
    }
    go_to_beginning();
    if (auto image = decode_up_to(frame_idx)) {
      return std::move(*image);
    }
    throw Error(ErrorKind::corrupt, describe(frame_idx) +
                                        ": decoding does not give the frame of PTS " +
                                        std::to_string(map_.pts(frame_idx)) +
                                        "; file and index do not match, see `avstore verify`");
  }

  void use_decoder(Threading threading) {
    auto& chosen = threading == Threading::frame ? frame_decoder_ : slice_decoder_;
    if (!chosen) {
      chosen.emplace(*demuxer_, media::DecoderOptions{.threads = threads_, .threading = threading});
    }
    decoder_ = &chosen;
  }

  void close_decoders() {
    for (auto* decoder : {&slice_decoder_, &frame_decoder_}) {
      if (*decoder) {
        statistics_.frames_decoded += (*decoder)->frames_decoded();
        decoder->reset();
      }
    }
    decoder_ = nullptr;
  }

  media::Decoder& decoder() { return **decoder_; }

  // Position the demuxer so that the seek point's packet is the next one to decode.
  bool go_to(const SeekPoint& point) {
    if (!demuxer_->counts_packets()) {
      if (demuxer_->seek(point.dts.value_or(point.pts)) && skip_to(point)) {
        return start_at(point);
      }
      const auto earlier = map_.seek_point(point.frame_idx - 1);
      if (earlier && demuxer_->seek(earlier->dts.value_or(earlier->pts)) && skip_to(point)) {
        ++statistics_.seek_recoveries;
        return start_at(point);
      }
      ++statistics_.seek_recoveries;
    }
    open(headers_);
    return skip_to(point) && start_at(point);
  }

  bool start_at(const SeekPoint& point) {
    decoder().flush();
    awaited_ = point;
    next_.reset();
    ended_ = false;
    from_beginning_ = false;
    return true;
  }

  // Read packets without decoding up to the seek point's, which is kept for decoding. False if it
  // does not come.
  bool skip_to(const SeekPoint& point) {
    media::Packet packet;
    while (demuxer_->read(packet)) {
      if (packet.pts() == point.pts) {
        pending_ = std::move(packet);
        return true;
      }
      if (packet.dts() && point.dts && *packet.dts() > *point.dts) {
        return false;
      }
    }
    return false;
  }

  // The way that is right by definition.
  void go_to_beginning() {
    open(Headers::unsure);
    close_decoders();
    use_decoder(Threading::slice);
    pending_.reset();
    awaited_.reset();
    next_ = 0;
    ended_ = false;
    from_beginning_ = true;
  }

  // Decode until that frame. None if what comes out is not what the index says; then we are lost.
  std::optional<Image> decode_up_to(std::int64_t frame_idx) {
    while (auto frame = next_frame()) {
      if (awaited_) {
        if (frame->pts != awaited_->pts) {
          continue;  // a picture before the keyframe, whose references are missing
        }
        if (is_suspect(awaited_->frame_idx, frame->damaged)) {
          break;
        }
        next_ = awaited_->frame_idx;
        awaited_.reset();
      } else if (from_beginning_ && frame->damaged) {
        damaged_.insert(*next_);
      }
      const std::int64_t here = (*next_)++;
      if (frame->pts != map_.pts(here)) {
        break;
      }
      if (here == frame_idx) {
        return std::move(frame->image);
      }
      passed_.keep(here, frame->image);
    }
    next_.reset();
    return std::nullopt;
  }

  // Whether a keyframe that came out damaged may have done so because decoding cannot start at it.
  // With threads for frames the decoder's word is not to be taken (media/damage.h).
  bool is_suspect(std::int64_t frame_idx, bool damaged) const {
    return damaged && recovers_from_damage_ && decoder_ == &slice_decoder_ &&
           !damaged_.contains(frame_idx);
  }

  std::optional<media::DecodedFrame> next_frame() {
    for (;;) {
      if (auto frame = decoder().receive()) {
        return frame;
      }
      if (ended_) {
        return std::nullopt;
      }
      feed();
    }
  }

  void feed() {
    if (pending_) {
      decoder().send(*std::exchange(pending_, std::nullopt));
      return;
    }
    media::Packet packet;
    if (demuxer_->read(packet)) {
      decoder().send(packet);
    } else {
      decoder().send_end();
      ended_ = true;
    }
  }

  std::string file_;
  int stream_;
  int threads_;
  const FrameMap& map_;
  Headers headers_;
  std::optional<media::Demuxer> demuxer_;
  std::optional<media::Decoder> slice_decoder_;
  std::optional<media::Decoder> frame_decoder_;
  std::optional<media::Decoder>* decoder_ = nullptr;  // the one in use
  std::optional<media::Packet> pending_;              // read, but not yet given to the decoder
  std::optional<SeekPoint> awaited_;                  // its frame has not come out yet
  PassedFrames passed_;
  std::optional<std::int64_t> next_;  // frame_idx of the frame that comes out next; none: unknown
  bool ended_ = false;                // the decoder has been given all packets
  bool from_beginning_ = false;       // not from a seek point
  bool recovers_from_damage_ = true;
  std::set<std::int64_t> damaged_;  // frame_idx of frames that are so when decoded from there
  ReadStatistics statistics_;       // of demuxers closed since
};

}  // namespace

std::unique_ptr<ChunkReader> open_video_chunk(const std::filesystem::path& file, int stream,
                                              int threads, const FrameMap& map) {
  return std::make_unique<VideoReader>(file, stream, threads, map);
}

}  // namespace avstore::chunk
