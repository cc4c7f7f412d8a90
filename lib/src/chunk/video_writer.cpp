// Frames as a video file.
//
// Packets are handed to the operating system a keyframe interval at a time: a fragment of MP4, a
// cluster of Matroska. Only then are their frames reported as stored.
//
// Encoders fail. So that a chunk can end at any frame, packets are kept back until those of all
// frames before, in presentation order, are there as well (without B-frames: not at all), and the
// images of frames without a packet are kept for the next encoder in line, if there is one.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <deque>
#include <limits>
#include <utility>

#include "avstore/error.h"
#include "chunk/chunk_writer.h"
#include "media/encoder.h"
#include "media/encoder_line.h"
#include "media/muxer.h"
#include "media/random_access.h"
#include "media/rescale.h"

namespace avstore::chunk {
namespace {

class VideoWriter final : public ChunkWriter {
 public:
  VideoWriter(const std::filesystem::path& file, const media::VideoFormat& format,
              const ChunkWriterOptions& options, media::EncoderLine& line, const ImageView& first)
      : file_(file),
        format_(format),
        options_(options),
        line_(line),
        encoder_(line.open(encoder_time_base(), first)),
        encoder_name_(encoder_->name()),
        muxer_(file, encoder_->parameters(),
               {.muxer = format.muxer,
                .time_base = encoder_time_base(),
                .frame_rate = options.encoder.frame_rate,
                .fragmented = true}),
        access_(encoder_->parameters()),
        delay_(delay_of(*encoder_)),
        keeps_images_(line.has_next()),
        first_(first) {
    first_.planes = {};
    require_fit_clock();
    note_pieces();
  }

  void add(const Image& image, double seconds) override {
    const std::int64_t pts = next_pts(seconds);
    waiting_.emplace_back();
    waiting_.back().encoder_pts = pts;
    if (keeps_images_) {
      waiting_.back().image = image;
    }
    dts_to_come_.push_back(pts);
    encoder_->send(image, pts, false);
    receive_packets();
  }

  void flush_encoded() override {
    if (packets_since_flush_ > 0) {
      store_written();
    }
  }

  void flush() override {
    if (waiting_.empty()) {
      return;
    }
    if (is_encoder_empty()) {
      store_written();
      return;
    }
    drain();
    // An encoder that has been drained takes no more frames. A new one with the same settings
    // writes the same headers, so its packets go on in the same stream. The old one goes first:
    // there may be only so many at a time.
    const auto headers = encoder_->headers();
    encoder_.reset();
    encoder_ = line_.reopen(encoder_time_base(), first_);
    if (encoder_->headers() != headers) {
      fail("writes other headers when it is opened again");
    }
  }

  void finish() override {
    drain();
    finish_file();
  }

  std::vector<Image> end_after_failure() override {
    encoder_.reset();
    kept_back_.clear();
    store_written();
    finish_file();
    std::vector<Image> images;
    if (keeps_images_) {
      for (const Waiting& frame : waiting_) {
        images.push_back(frame.image);
      }
    }
    return images;
  }

  std::vector<StoredFrame> take_stored() override { return std::exchange(stored_, {}); }
  std::vector<Checksum> take_checksums() override { return std::exchange(checksums_, {}); }
  Rational time_base() const override { return muxer_.time_base(); }
  std::string encoder() const override { return encoder_name_; }
  std::int64_t bytes() const override { return muxer_.file().size(); }
  std::uint32_t checksum() const override { return muxer_.file().crc32(); }

 private:
  // A frame on its way through encoder and muxer.
  struct Waiting {
    std::int64_t encoder_pts = 0;
    Image image;                             // until its packet is written, if it is kept
    bool encoded = false;                    // its packet has come
    std::optional<media::SeekPoint> packet;  // as written, once it is
    bool key = false;
  };

  // Ticks a second of real times. Finer ones would overflow MP4's 32 bits over pauses of hours.
  static constexpr std::int64_t kRealTicks = 10'000;
  static constexpr std::int64_t kLongestGap = std::int64_t{24} * 3600 * kRealTicks;

  Rational encoder_time_base() const {
    const Rational rate = options_.encoder.frame_rate;
    return options_.timing == Timing::real ? Rational{1, kRealTicks} : Rational{rate.den, rate.num};
  }

  // A container whose clock is coarser than the frames' spacing would give two frames one PTS, and
  // MP4 counts in 32 bits the ticks of a frame, and those from its DTS to its PTS.
  void require_fit_clock() const {
    if (muxer_.time_base().value() > encoder_time_base().value() &&
        options_.timing == Timing::nominal) {
      throw Error(ErrorKind::invalid_argument,
                  file_.string() + ": this container counts time in steps of " +
                      std::to_string(muxer_.time_base().value()) +
                      " s, too coarse for the frame rate; choose a lower nominal rate or MP4");
    }
    constexpr double kMostTicks = std::numeric_limits<std::int32_t>::max();
    const auto frames = static_cast<double>(std::max<std::int64_t>(1, 2 * delay_));
    if (encoder_time_base().value() / muxer_.time_base().value() * frames > kMostTicks &&
        format_.format.extension == ".mp4") {
      throw Error(ErrorKind::invalid_argument,
                  file_.string() + ": MP4 has no room for frames " +
                      std::to_string(encoder_time_base().value()) +
                      " s apart; choose a higher nominal rate or Matroska");
    }
  }

  std::int64_t next_pts(double seconds) {
    std::int64_t pts = count_++;
    if (options_.timing == Timing::real) {
      // Frames must ascend by at least one tick of the container, whatever their times say.
      const auto step = std::max<std::int64_t>(
          1, static_cast<std::int64_t>(std::ceil(muxer_.time_base().value() * kRealTicks)));
      const double wanted = std::isfinite(seconds) ? seconds * kRealTicks : 0;
      const auto earliest = static_cast<double>(last_pts_ + step);
      const auto latest = static_cast<double>(last_pts_ + kLongestGap);
      pts = count_ == 1 ? 0 : std::llround(std::clamp(wanted, earliest, latest));
    }
    last_pts_ = pts;
    return pts;
  }

  bool is_encoder_empty() const {
    return std::all_of(waiting_.begin(), waiting_.end(),
                       [](const Waiting& frame) { return frame.packet.has_value(); });
  }

  void drain() {
    encoder_->send_end();
    receive_packets();
    if (!is_encoder_empty()) {
      fail("has ended without giving back all frames");
    }
    store_written();
  }

  void finish_file() {
    muxer_.finish();
    note_pieces();
    if (options_.durability == Durability::power) {
      muxer_.file().sync();
    }
    muxer_.file().close();
  }

  void store_written() {
    muxer_.flush();
    if (options_.durability == Durability::power) {
      muxer_.file().sync();
    }
    note_pieces();
    report_stored();
    packets_since_flush_ = 0;
  }

  // Of new pieces frames that are stored already have no part; what is written over keeps its
  // frame.
  void note_pieces() {
    for (const base::CheckedFile::Piece& piece : muxer_.file().take_pieces()) {
      const std::int64_t frame_idx =
          piece_frames_.emplace(piece.offset, first_waiting_).first->second;
      checksums_.push_back({frame_idx, piece.offset, piece.size, piece.crc32});
    }
  }

  void receive_packets() {
    for (media::Packet packet; encoder_->receive(packet); packet = media::Packet()) {
      Waiting& frame = frame_of(packet);
      if (frame.encoded) {
        fail("gave two packets for one frame");
      }
      frame.encoded = true;
      kept_back_.push_back(std::move(packet));
      write_complete_packets();
    }
  }

  // As many packets as come first in presentation order are written together.
  void write_complete_packets() {
    while (static_cast<std::size_t>(complete_ - first_waiting_) < waiting_.size() &&
           waiting_[static_cast<std::size_t>(complete_ - first_waiting_)].encoded) {
      ++complete_;
    }
    const auto received = packets_written_ + static_cast<std::int64_t>(kept_back_.size());
    if (received > complete_) {
      return;
    }
    for (media::Packet& packet : kept_back_) {
      write(packet);
    }
    kept_back_.clear();
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw media::EncoderFailure(file_.string() + ": encoder " + encoder_name_ + " " + what);
  }

  void write(media::Packet& packet) {
    if (packets_since_flush_ > 0 && must_flush_before(packet)) {
      store_written();
    }
    Waiting& frame = frame_of(packet);
    to_muxer_time(packet);
    frame.packet = media::SeekPoint{first_waiting_ + (&frame - &waiting_.front()),
                                    packet.pts().value_or(0), packet.dts(), -1};
    frame.key = access_.is_whole(packet);
    frame.image = Image();
    muxer_.write(packet);
    ++packets_since_flush_;
  }

  // At keyframes, so that a fragment or cluster starts with one; but where these lie far apart, or
  // every frame is one, about twice a second.
  bool must_flush_before(const media::Packet& packet) const {
    const int half_second = media::default_keyframe_interval(options_.encoder.frame_rate);
    const bool long_enough = packets_since_flush_ >= half_second;
    return format_.intra_only ? long_enough
                              : packet.key() || packets_since_flush_ >= 2 * half_second;
  }

  // From the encoder's time base to the muxer's. DTS are the PTS of as many frames before as
  // decoding may run ahead, counted from 0: containers differ in what they do to negative ones, and
  // the index must know what will be read back. The encoder's own DTS would start over after a
  // flush.
  void to_muxer_time(media::Packet& packet) {
    const Rational from = encoder_time_base();
    const Rational to = muxer_.time_base();
    const auto place = [&](std::int64_t t) { return media::rescale(t, from, to); };
    std::int64_t dts = packets_written_;
    if (packets_written_ >= delay_) {
      dts = dts_to_come_.front() + delay_;
      dts_to_come_.pop_front();
    }
    ++packets_written_;
    packet.set_timestamps(place(packet.pts().value_or(0) + delay_), place(dts), duration());
  }

  // Counts only for the last packet before a flush, when the next one is not known yet: its
  // fragment must not reach into the next one, so with real times only one tick is safe.
  std::int64_t duration() const {
    const Rational rate = options_.encoder.frame_rate;
    return options_.timing == Timing::real
               ? 1
               : media::rescale(1, {rate.den, rate.num}, muxer_.time_base());
  }

  // B-frames may have been asked for by an option of the encoder's own.
  std::int64_t delay_of(const media::Encoder& encoder) const {
    const int b_frames = format_.intra_only ? 0 : encoder.b_frames();
    return b_frames == 0 ? 0 : b_frames + 1;
  }

  // By a packet as the encoder gave it: PTS ascend.
  Waiting& frame_of(const media::Packet& packet) {
    const auto found = std::lower_bound(waiting_.begin(), waiting_.end(), packet.pts(),
                                        [](const Waiting& frame, std::optional<std::int64_t> pts) {
                                          return frame.encoder_pts < pts;
                                        });
    if (found == waiting_.end() || found->encoder_pts != packet.pts()) {
      fail("gave a packet for no frame");
    }
    return *found;
  }

  // Frames are reported in presentation order, each once all before it are there.
  void report_stored() {
    while (!waiting_.empty() && waiting_.front().packet) {
      const Waiting& frame = waiting_.front();
      StoredFrame stored;
      stored.pts = frame.packet->pts;
      if (frame.key) {
        stored.seek_point = frame.packet;
      }
      stored_.push_back(stored);
      waiting_.pop_front();
      ++first_waiting_;
    }
  }

  std::filesystem::path file_;
  const media::VideoFormat& format_;
  ChunkWriterOptions options_;
  media::EncoderLine& line_;
  std::optional<media::Encoder> encoder_;  // none once it has failed
  std::string encoder_name_;
  media::Muxer muxer_;
  const media::RandomAccess access_;
  const std::int64_t delay_;  // frames by which decoding runs ahead of showing
  bool keeps_images_;
  ImageView first_;  // without pixels
  std::deque<Waiting> waiting_;
  std::int64_t first_waiting_ = 0;        // frame_idx of waiting_.front()
  std::int64_t complete_ = 0;             // frames of which, and of all before, the packet has come
  std::vector<media::Packet> kept_back_;  // in decode order
  std::vector<StoredFrame> stored_;
  std::vector<Checksum> checksums_;
  std::map<std::int64_t, std::int64_t> piece_frames_;  // frame_idx by offset
  std::int64_t count_ = 0;
  std::int64_t last_pts_ = 0;             // in the encoder's time base
  std::deque<std::int64_t> dts_to_come_;  // PTS of frames, in the encoder's time base
  std::int64_t packets_written_ = 0;
  int packets_since_flush_ = 0;
};

}  // namespace

std::unique_ptr<ChunkWriter> create_video_chunk(const std::filesystem::path& file,
                                                const media::VideoFormat& format,
                                                const ChunkWriterOptions& options,
                                                media::EncoderLine& line, const ImageView& first) {
  return std::make_unique<VideoWriter>(file, format, options, line, first);
}

}  // namespace avstore::chunk
