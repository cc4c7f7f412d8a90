#include "tools/video_completion.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "avstore/error.h"
#include "media/decoder.h"
#include "media/demuxer.h"
#include "media/muxer.h"
#include "media/packet.h"

namespace avstore::tools {
namespace {

media::DemuxerOptions first_bytes(std::int64_t bytes) {
  media::DemuxerOptions options;
  options.bytes = bytes;
  return options;
}

bool is_among(const media::Packet& packet, const std::vector<std::int64_t>& sorted_pts) {
  return packet.pts() && std::binary_search(sorted_pts.begin(), sorted_pts.end(), *packet.pts());
}

// Writes packets in decoding order. One lasts until the next; the last as long as the one before.
class NewFile {
 public:
  NewFile(const CompletedVideo& to, const media::Demuxer& from)
      : muxer_(to.file, from.parameters(),
               {.muxer = to.muxer, .time_base = to.time_base, .frame_rate = rate(to, from)}) {}

  void add(media::Packet& packet) {
    write_last(packet.dts());
    last_ = std::exchange(packet, media::Packet());
  }

  void finish() {
    write_last(std::nullopt);
    muxer_.finish();
    muxer_.file().sync();
    muxer_.file().close();
  }

 private:
  static Rational rate(const CompletedVideo& to, const media::Demuxer& from) {
    const Rational stated = from.stream().frame_rate;
    return to.frame_rate.num > 0 ? to.frame_rate
           : stated.num > 0      ? stated
                                 : Rational{to.time_base.den, to.time_base.num};
  }

  void write_last(std::optional<std::int64_t> next_dts) {
    if (!last_) {
      return;
    }
    if (next_dts && last_->dts()) {
      duration_ = std::max<std::int64_t>(1, *next_dts - *last_->dts());
    }
    if (last_->key() && written_ > 0) {
      muxer_.flush();
    }
    last_->set_timestamps(last_->pts(), last_->dts(), duration_);
    muxer_.write(*last_);
    ++written_;
    last_.reset();
  }

  media::Muxer muxer_;
  std::optional<media::Packet> last_;
  std::int64_t duration_ = 1;
  std::int64_t written_ = 0;
};

void copy_packets(const std::filesystem::path& from, std::int64_t bytes, const CompletedVideo& to,
                  std::vector<std::int64_t> wanted) {
  std::sort(wanted.begin(), wanted.end());
  media::Demuxer source(from.string(), first_bytes(bytes));
  NewFile file(to, source);
  std::size_t found = 0;
  media::Packet packet;
  while (found < wanted.size() && source.read(packet)) {
    found += is_among(packet, wanted) ? 1 : 0;
    file.add(packet);
  }
  if (found < wanted.size()) {
    throw Error(ErrorKind::corrupt, from.string() + ": has only " + std::to_string(found) +
                                        " of the " + std::to_string(wanted.size()) +
                                        " frames with rows");
  }
  file.finish();
}

media::Scan scan_new(const CompletedVideo& made, const std::filesystem::path& from,
                     const std::vector<std::int64_t>& pts, bool may_have_more) {
  media::Scan scan = media::scan(made.file, std::nullopt, media::ScanMethod::packets);
  const bool is_long_enough =
      scan.pts.size() == pts.size() || (may_have_more && scan.pts.size() > pts.size());
  if (scan.time_base != made.time_base || !is_long_enough ||
      !std::equal(pts.begin(), pts.end(), scan.pts.begin())) {
    throw Error(ErrorKind::corrupt,
                from.string() + ": cannot be finished with the timestamps that its rows have");
  }
  return scan;
}

using Frames = std::vector<std::int64_t>;  // places in the chunk, ascending

Frames without(const Frames& frames, const Frames& others) {
  Frames rest;
  std::set_difference(frames.begin(), frames.end(), others.begin(), others.end(),
                      std::back_inserter(rest));
  return rest;
}

Frames both(const Frames& frames, const Frames& others) {
  Frames common;
  std::set_intersection(frames.begin(), frames.end(), others.begin(), others.end(),
                        std::back_inserter(common));
  return common;
}

// Finds out of which frames a decoder that is given the packets found makes pictures.
class TrialDecoding {
 public:
  TrialDecoding(const UnfinishedVideo& video, FoundPackets& found) : video_(video), found_(found) {}

  // Leaves out what gives no picture. What is left may decode otherwise then, so this is done until
  // exactly the frames that are there come out, each in its place.
  void run() {
    for (bool is_first = true; !found_.frames().empty(); is_first = false) {
      const Frames there = found_.frames();
      decode();
      const Frames in_place = frames_in_place();
      if (in_place.empty()) {
        found_.leave_out(there);
      } else if (const Frames refused = is_first ? refused_by_muxer() : Frames();
                 !refused.empty()) {
        found_.leave_out(refused);
      } else if (out_ == there) {
        return;
      } else {
        found_.leave_out(to_leave_out(without(there, in_place)));
      }
    }
  }

 private:
  // Muxers look into some packets.
  Frames refused_by_muxer() const {
    const Frames damaged = found_.frames_of_damage();
    media::MuxerTrial muxer(video_.muxer, found_.header()->parameters(), video_.time_base);
    Frames refused;
    found_.for_each([&](const media::Packet& packet, std::int64_t frame) {
      if (std::binary_search(damaged.begin(), damaged.end(), frame) && !muxer.takes(packet)) {
        refused.push_back(frame);
      }
    });
    return refused;
  }

  void decode() {
    out_.clear();
    undecodable_.clear();
    auto decoder = open_decoder();
    if (!decoder) {
      return;
    }
    std::map<std::int64_t, std::int64_t> by_pts;
    const auto receive = [&] {
      while (const auto frame = decoder->receive()) {
        const auto known =
            frame->pts && is_of_store(frame->image) ? by_pts.find(*frame->pts) : by_pts.end();
        out_.push_back(known == by_pts.end() ? -1 : known->second);
      }
    };
    found_.for_each([&](media::Packet& packet, std::int64_t frame) {
      by_pts[packet.pts().value()] = frame;
      const std::int64_t before = decoder->packets_undecodable();
      decoder->send(packet);
      receive();
      if (decoder->packets_undecodable() > before) {
        undecodable_.push_back(frame);
      }
    });
    decoder->send_end();
    receive();
    std::sort(undecodable_.begin(), undecodable_.end());
  }

  // None where the file's header is damaged so that there is none for it.
  std::optional<media::Decoder> open_decoder() const {
    try {
      return media::Decoder(*found_.header(), {.threads = 0, .threading = media::Threading::slice});
    } catch (const Error&) {
      return std::nullopt;
    }
  }

  bool is_of_store(const Image& image) const {
    return video_.width == 0 || (image.width() == video_.width && image.height() == video_.height);
  }

  // Of the frames that the decoder returned.
  Frames frames_in_place() const {
    Frames frames;
    for (const std::int64_t frame : out_) {
      if (frame >= 0 && (frames.empty() || frame > frames.back())) {
        frames.push_back(frame);
      }
    }
    return frames;
  }

  // Damage may cost frames that were decoded before it and not yet out. So what the decoder refuses
  // goes first, then what is damaged itself, and what is whole goes last.
  Frames to_leave_out(const Frames& missing) {
    if (missing.empty()) {
      throw Error(ErrorKind::corrupt, "it decodes to frames that nobody recorded");
    }
    const Frames damaged = found_.frames_of_damage();
    for (const Frames& frames : {both(missing, undecodable_), both(missing, damaged)}) {
      if (!frames.empty()) {
        return frames;
      }
    }
    // The damage next behind them, once.
    const std::int64_t first = missing.front();
    const auto next = std::upper_bound(damaged.begin(), damaged.end(), first);
    if (next != damaged.end() && *next <= first + kMostDelayed && blamed_.insert(first).second) {
      return {*next};
    }
    return missing;
  }

  // Frames that a decoder may hold back.
  static constexpr std::int64_t kMostDelayed = 16;

  const UnfinishedVideo& video_;
  FoundPackets& found_;
  std::vector<std::int64_t> out_;  // as they came; -1 for one that is none of them
  Frames undecodable_;             // whose packets the decoder did not take
  std::set<std::int64_t> blamed_;  // frames for which others were left out
};

}  // namespace

bool has_frames(const std::filesystem::path& file, std::int64_t bytes,
                const std::vector<std::int64_t>& pts) {
  std::vector<std::int64_t> sorted = pts;
  std::sort(sorted.begin(), sorted.end());
  std::size_t found = 0;
  try {
    media::Demuxer source(file.string(), first_bytes(bytes));
    media::Packet packet;
    while (found < sorted.size() && source.read(packet)) {
      found += is_among(packet, sorted) ? 1 : 0;
    }
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::io) {
      throw;
    }
  }
  return found == sorted.size();
}

media::Scan complete_video(const std::filesystem::path& from, std::int64_t bytes,
                           const CompletedVideo& to, const std::vector<std::int64_t>& pts) {
  copy_packets(from, bytes, to, pts);
  return scan_new(to, from, pts, true);
}

std::vector<std::int64_t> readable_frames(const UnfinishedVideo& video) {
  FoundPackets found(video);
  try {
    TrialDecoding(video, found).run();
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::io) {
      throw;
    }
    throw Error(
        ErrorKind::corrupt,
        video.file.string() + ": is damaged so that no file can be made of it: " + error.what());
  }
  return found.frames();
}

media::Scan complete_damaged_video(const UnfinishedVideo& video,
                                   const std::vector<std::int64_t>& frames,
                                   const CompletedVideo& to) {
  FoundPackets found(video);
  found.leave_out(without(found.frames(), frames));
  NewFile file(to, *found.header());
  std::vector<std::int64_t> pts;
  found.for_each([&](media::Packet& packet, std::int64_t /*frame*/) {
    pts.push_back(packet.pts().value());
    file.add(packet);
  });
  file.finish();
  std::sort(pts.begin(), pts.end());
  return scan_new(to, video.file, pts, false);
}

}  // namespace avstore::tools
