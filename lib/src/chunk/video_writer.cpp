// Frames as a video file.
//
// Packets are handed to the operating system a keyframe interval at a time: a fragment of MP4, a
// cluster of Matroska. Only then are their frames reported as stored.
#include <cmath>
#include <deque>
#include <map>
#include <utility>

#include "avstore/error.h"
#include "chunk/chunk_writer.h"
#include "media/encoder.h"
#include "media/muxer.h"
#include "media/rescale.h"

namespace avstore::chunk {
namespace {

class VideoWriter final : public ChunkWriter {
 public:
  VideoWriter(const std::filesystem::path& file, const media::VideoFormat& format,
              const ChunkWriterOptions& options, const ImageView& first)
      : file_(file),
        format_(format),
        options_(options),
        encoder_(media::open_first_encoder(format, options.encoder, encoder_time_base(), first)),
        muxer_(file, encoder_.parameters(),
               {.muxer = format.muxer,
                .time_base = encoder_time_base(),
                .frame_rate = options.encoder.frame_rate,
                .fragmented = true}),
        // Should the first encoder in line fail later, chunks must not mix two.
        first_(first) {
    options_.encoder.encoder = encoder_.name();
    first_.planes = {};
    require_fine_clock();
  }

  void add(const Image& image, double seconds) override {
    const std::int64_t pts = next_pts(seconds);
    waiting_.push_back({pts, std::nullopt, false});
    encoder_.send(image, pts, false);
    write_packets();
  }

  void flush() override {
    if (waiting_.empty()) {
      return;
    }
    drain();
    // An encoder that has been drained takes no more frames. A new one with the same settings
    // writes the same headers, so its packets go on in the same stream.
    encoder_ =
        media::Encoder(format_, encoder_.name(), options_.encoder, encoder_time_base(), first_);
  }

  void finish() override {
    drain();
    muxer_.finish();
  }

  std::vector<StoredFrame> take_stored() override { return std::exchange(stored_, {}); }
  Rational time_base() const override { return muxer_.time_base(); }
  std::string encoder() const override { return encoder_.name(); }
  std::int64_t bytes() const override {
    std::error_code error;
    const auto size = std::filesystem::file_size(file_, error);
    return error ? 0 : static_cast<std::int64_t>(size);
  }

 private:
  // A frame on its way through encoder and muxer.
  struct Waiting {
    std::int64_t encoder_pts = 0;
    std::optional<media::SeekPoint> packet;  // as written, once it is
    bool key = false;
  };

  static constexpr std::int64_t kMicroseconds = 1'000'000;

  Rational encoder_time_base() const {
    const Rational rate = options_.encoder.frame_rate;
    return options_.timing == Timing::real ? Rational{1, kMicroseconds}
                                           : Rational{rate.den, rate.num};
  }

  // A container whose clock is coarser than the frames' spacing would give two frames one PTS.
  void require_fine_clock() const {
    if (muxer_.time_base().value() > encoder_time_base().value() &&
        options_.timing == Timing::nominal) {
      throw Error(ErrorKind::invalid_argument,
                  file_.string() + ": this container counts time in steps of " +
                      std::to_string(muxer_.time_base().value()) +
                      " s, too coarse for the frame rate; choose a lower nominal rate or MP4");
    }
  }

  std::int64_t next_pts(double seconds) {
    std::int64_t pts = count_++;
    if (options_.timing == Timing::real) {
      // Frames must ascend by at least one tick of the container, whatever their times say.
      const auto step =
          static_cast<std::int64_t>(std::ceil(muxer_.time_base().value() * kMicroseconds));
      const auto wanted = std::llround(seconds * kMicroseconds);
      pts = count_ == 1
                ? 0
                : std::max<std::int64_t>(wanted, last_pts_ + std::max(step, std::int64_t{1}));
    }
    last_pts_ = pts;
    return pts;
  }

  void drain() {
    encoder_.send_end();
    write_packets();
    muxer_.flush();
    report_stored();
  }

  void write_packets() {
    media::Packet packet;
    while (encoder_.receive(packet)) {
      write(packet);
    }
  }

  void write(media::Packet& packet) {
    if (packets_since_flush_ > 0 && must_flush_before(packet)) {
      muxer_.flush();
      report_stored();
      packets_since_flush_ = 0;
    }
    const std::int64_t encoder_pts = packet.pts().value_or(0);
    to_muxer_time(packet);
    note(encoder_pts, packet);
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

  // From the encoder's time base to the muxer's. The first packet's DTS becomes 0: containers
  // differ in what they do to negative ones, and the index must know what will be read back.
  void to_muxer_time(media::Packet& packet) {
    const Rational from = encoder_.time_base();
    const Rational to = muxer_.time_base();
    if (!offset_) {
      offset_ = -std::min<std::int64_t>(0, packet.dts().value_or(0));
    }
    const auto place = [&](std::int64_t t) { return media::rescale(t + *offset_, from, to); };
    const std::int64_t pts = place(packet.pts().value_or(0));
    std::int64_t dts = place(packet.dts().value_or(packet.pts().value_or(0)));
    if (last_dts_ && dts <= *last_dts_) {
      dts = *last_dts_ + 1;  // after a flush, the new encoder's first packets run ahead again
    }
    last_dts_ = dts;
    const Rational rate = options_.encoder.frame_rate;
    packet.set_timestamps(std::max(pts, dts), dts, media::rescale(1, {rate.den, rate.num}, to));
  }

  void note(std::int64_t encoder_pts, const media::Packet& packet) {
    for (Waiting& frame : waiting_) {
      if (frame.encoder_pts == encoder_pts) {
        frame.packet = media::SeekPoint{first_waiting_ + (&frame - &waiting_.front()),
                                        packet.pts().value_or(0), packet.dts(), -1};
        frame.key = packet.key();
        return;
      }
    }
    throw Error(ErrorKind::io,
                file_.string() + ": encoder " + encoder_.name() + " gave a packet for no frame");
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
  media::Encoder encoder_;
  media::Muxer muxer_;
  ImageView first_;  // without pixels
  std::deque<Waiting> waiting_;
  std::int64_t first_waiting_ = 0;  // frame_idx of waiting_.front()
  std::vector<StoredFrame> stored_;
  std::int64_t count_ = 0;
  std::int64_t last_pts_ = 0;  // in the encoder's time base
  std::optional<std::int64_t> offset_;
  std::optional<std::int64_t> last_dts_;
  int packets_since_flush_ = 0;
};

}  // namespace

std::unique_ptr<ChunkWriter> create_video_chunk(const std::filesystem::path& file,
                                                const media::VideoFormat& format,
                                                const ChunkWriterOptions& options,
                                                const ImageView& first) {
  return std::make_unique<VideoWriter>(file, format, options, first);
}

}  // namespace avstore::chunk
