#include "tools/video_completion.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "avstore/error.h"
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

class Completion {
 public:
  Completion(const std::filesystem::path& from, std::int64_t bytes, const std::filesystem::path& to,
             const std::string& muxer, Rational time_base, const std::vector<std::int64_t>& pts)
      : name_(from.string()),
        wanted_(pts),
        source_(name_, first_bytes(bytes)),
        muxer_(to, source_.parameters(),
               {.muxer = muxer, .time_base = time_base, .frame_rate = rate(time_base)}) {
    std::sort(wanted_.begin(), wanted_.end());
  }

  void run() {
    media::Packet packet;
    while (found_ < wanted_.size() && source_.read(packet)) {
      found_ += is_among(packet, wanted_) ? 1 : 0;
      write_last(packet.dts());
      last_ = std::exchange(packet, media::Packet());
    }
    write_last(std::nullopt);
    if (found_ < wanted_.size()) {
      throw Error(ErrorKind::corrupt, name_ + ": has only " + std::to_string(found_) + " of the " +
                                          std::to_string(wanted_.size()) + " frames with rows");
    }
    muxer_.finish();
    muxer_.file().sync();
    muxer_.file().close();
  }

 private:
  Rational rate(Rational time_base) const {
    const Rational stated = source_.stream().frame_rate;
    return stated.num > 0 ? stated : Rational{time_base.den, time_base.num};
  }

  // A packet lasts until the next one; the last as long as the one before.
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

  std::string name_;
  std::vector<std::int64_t> wanted_;
  media::Demuxer source_;
  media::Muxer muxer_;
  std::optional<media::Packet> last_;
  std::int64_t duration_ = 1;
  std::size_t found_ = 0;
  std::int64_t written_ = 0;
};

void require_same(const media::Scan& scan, const std::filesystem::path& from, Rational time_base,
                  const std::vector<std::int64_t>& pts) {
  const bool same = scan.time_base == time_base && scan.pts.size() >= pts.size() &&
                    std::equal(pts.begin(), pts.end(), scan.pts.begin());
  if (!same) {
    throw Error(ErrorKind::corrupt,
                from.string() + ": cannot be finished with the timestamps that its rows have");
  }
}

}  // namespace

bool has_frames(const std::filesystem::path& file, std::int64_t bytes, Rational time_base,
                const std::vector<std::int64_t>& pts) {
  std::vector<std::int64_t> sorted = pts;
  std::sort(sorted.begin(), sorted.end());
  std::size_t found = 0;
  try {
    media::Demuxer source(file.string(), first_bytes(bytes));
    if (source.stream().time_base != time_base) {
      return false;
    }
    media::Packet packet;
    while (found < sorted.size() && source.read(packet)) {
      found += is_among(packet, sorted) ? 1 : 0;
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::corrupt) {
      throw;
    }
  }
  return found == sorted.size();
}

media::Scan complete_video(const std::filesystem::path& from, std::int64_t bytes,
                           const std::filesystem::path& to, const std::string& muxer,
                           Rational time_base, const std::vector<std::int64_t>& pts) {
  Completion(from, bytes, to, muxer, time_base, pts).run();
  media::Scan scan = media::scan(to, std::nullopt, media::ScanMethod::packets);
  require_same(scan, from, time_base, pts);
  return scan;
}

}  // namespace avstore::tools
