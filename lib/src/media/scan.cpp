#include "media/scan.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "avstore/error.h"
#include "media/av.h"
#include "media/damage.h"
#include "media/decoder.h"
#include "media/demuxer.h"
#include "media/pixel_checksum.h"
#include "media/random_access.h"

namespace avstore::media {
namespace {

// A packet as the demuxer gave it, without its bytes.
struct PacketNote {
  std::int64_t pts = 0;
  std::optional<std::int64_t> dts;
  std::int64_t position = -1;
};

DemuxerOptions demuxer_options(std::optional<int> stream, std::optional<std::int64_t> bytes,
                               bool count_packets) {
  DemuxerOptions options;
  options.bytes = bytes;
  options.stream = stream;
  options.count_packets = count_packets;
  return options;
}

class Scanner {
 public:
  Scanner(const std::filesystem::path& file, std::optional<int> stream, ScanMethod method,
          std::optional<std::int64_t> bytes, bool pixel_checksums, bool count_packets,
          const std::function<void(std::int64_t)>& progress)
      : demuxer_options_(demuxer_options(stream, bytes, count_packets)),
        demuxer_(file.string(), demuxer_options_),
        access_(demuxer_),
        decodes_(method != ScanMethod::packets),
        wants_checksums_(pixel_checksums),
        progress_(progress) {}

  // None if that method does not tell: by packets, or by timestamps.
  std::optional<Scan> run() {
    if (!decodes_ && demuxer_.timestamps_in_decode_order() && !demuxer_.stream().intra_only) {
      return std::nullopt;
    }
    if (decodes_) {
      decoder_.emplace(
          demuxer_, DecoderOptions{.threads = 0, .threading = threading_to_find_damage(demuxer_)});
    }
    Packet packet;
    while (demuxer_.read(packet)) {
      if (!packet.pts() || (!decodes_ && packet.discard())) {
        return std::nullopt;
      }
      note(packet);
      if (decodes_) {
        decoder_->send(packet);
        receive();
      }
    }
    if (decodes_) {
      decoder_->send_end();
      receive();
    } else if (!frames_from_packets()) {
      return std::nullopt;
    }
    return finish();
  }

 private:
  void note(const Packet& packet) {
    access_.take(packet);
    packets_.push_back({packet.pts().value(), packet.dts(), packet.position()});
    report(packets_.size());
  }

  void receive() {
    while (const auto frame = decoder_->receive()) {
      if (!frame->pts) {
        throw Error(ErrorKind::unsupported,
                    demuxer_.url() + ": frame " + std::to_string(frames_.size()) +
                        " carries no timestamp; import the file again instead");
      }
      if (frame->damaged) {
        damaged_.push_back(static_cast<std::int64_t>(frames_.size()));
      }
      note_layout(frame->image);
      if (wants_checksums_) {
        checksums_.push_back(pixel_checksum(frame->image.view()));
      }
      frames_.push_back(*frame->pts);
    }
  }

  void note_layout(const Image& image) {
    const std::pair size(image.width(), image.height());
    const PixelFormat format = from_av(without_yuvj(to_av(image.format())));
    if (frames_.empty()) {
      size_ = size;
      format_ = format;
    }
    if (format != format_ && !format_change_) {
      format_change_ = static_cast<std::int64_t>(frames_.size());
    }
    if (size != size_ && !size_change_) {
      size_change_ = static_cast<std::int64_t>(frames_.size());
    }
  }

  void report(std::size_t count) const {
    if (progress_ && count % 100 == 0) {
      progress_(static_cast<std::int64_t>(count));
    }
  }

  // False if two packets have the same PTS, so that they can't be one frame each.
  bool frames_from_packets() {
    frames_.reserve(packets_.size());
    for (const PacketNote& packet : packets_) {
      frames_.push_back(packet.pts);
    }
    std::sort(frames_.begin(), frames_.end());
    return std::adjacent_find(frames_.begin(), frames_.end()) == frames_.end();
  }

  Scan finish() {
    damaged_ = confirm_damage(demuxer_.url(), demuxer_options_, damaged_);
    Scan scan;
    scan.stream = demuxer_.stream().index;
    scan.time_base = demuxer_.counts_packets() ? Rational{0, 1} : demuxer_.stream().time_base;
    scan.packet_count = static_cast<std::int64_t>(packets_.size());
    scan.decoded = decodes_;
    scan.width = size_.first;
    scan.height = size_.second;
    scan.size_change = size_change_;
    scan.pixel_format = format_;
    scan.format_change = format_change_;
    scan.seek_points = find_seek_points();
    scan.pts = std::move(frames_);
    scan.pixel_checksums = std::move(checksums_);
    return scan;
  }

  // Where a packet that can start decoding begins a frame, provided that nothing presented after
  // that frame was decoded before it, and that its PTS is like no other.
  std::vector<SeekPoint> find_seek_points() const {
    std::unordered_map<std::int64_t, std::int64_t> place;  // PTS -> frame_idx; -1: several
    place.reserve(frames_.size());
    for (std::size_t i = 0; i < frames_.size(); ++i) {
      const auto [entry, fresh] = place.try_emplace(frames_[i], static_cast<std::int64_t>(i));
      if (!fresh) {
        entry->second = -1;
      }
    }
    std::vector<SeekPoint> points;
    const std::vector<bool> can_start = access_.starts();
    std::int64_t latest_presented = -1;  // greatest frame_idx among the packets so far
    for (std::size_t i = 0; i < packets_.size(); ++i) {
      const PacketNote& packet = packets_[i];
      const auto found = place.find(packet.pts);
      if (found == place.end() || found->second < 0) {
        continue;
      }
      const std::int64_t frame_idx = found->second;
      if (can_start[i] && latest_presented < frame_idx) {
        points.push_back({frame_idx, packet.pts, packet.dts, packet.position});
      }
      latest_presented = std::max(latest_presented, frame_idx);
    }
    return without_damaged(points);
  }

  // What a decoder makes up for a damaged frame may be taken from before the keyframe, so decoding
  // of such a stretch must start earlier, where all is whole.
  std::vector<SeekPoint> without_damaged(const std::vector<SeekPoint>& points) const {
    std::vector<SeekPoint> whole;
    auto damage = damaged_.begin();
    for (std::size_t i = 0; i < points.size(); ++i) {
      const auto end = i + 1 < points.size() ? points[i + 1].frame_idx
                                             : static_cast<std::int64_t>(frames_.size());
      damage = std::lower_bound(damage, damaged_.end(), points[i].frame_idx);
      if (damage == damaged_.end() || *damage >= end) {
        whole.push_back(points[i]);
      }
    }
    return whole;
  }

  DemuxerOptions demuxer_options_;
  Demuxer demuxer_;
  RandomAccess access_;
  std::optional<Decoder> decoder_;
  bool decodes_;
  bool wants_checksums_;
  const std::function<void(std::int64_t)>& progress_;
  std::vector<PacketNote> packets_;
  std::vector<std::int64_t> frames_;
  std::pair<int, int> size_;  // of the first frame
  std::optional<std::int64_t> size_change_;
  PixelFormat format_;  // of the first frame
  std::optional<std::int64_t> format_change_;
  std::vector<std::uint32_t> checksums_;
  std::vector<std::int64_t> damaged_;  // frame_idx of damaged frames, ascending
};

}  // namespace

Scan scan(const std::filesystem::path& file, std::optional<int> stream, ScanMethod method,
          const std::function<void(std::int64_t)>& progress, std::optional<std::int64_t> bytes,
          bool pixel_checksums) {
  constexpr bool kByTimestamps = false;
  constexpr bool kByCounting = true;
  if (method == ScanMethod::packets) {
    if (auto found =
            Scanner(file, stream, method, bytes, pixel_checksums, kByTimestamps, progress).run()) {
      return std::move(*found);
    }
  }
  if (method != ScanMethod::decode_counting) {
    if (auto found = Scanner(file, stream, ScanMethod::decode, bytes, pixel_checksums,
                             kByTimestamps, progress)
                         .run()) {
      return std::move(*found);
    }
  }
  return Scanner(file, stream, ScanMethod::decode, bytes, pixel_checksums, kByCounting, progress)
      .run()
      .value();
}

}  // namespace avstore::media
