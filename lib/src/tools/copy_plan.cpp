#include "tools/copy_plan.h"

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "avstore/error.h"
#include "media/random_access.h"
#include "media/scan.h"

namespace avstore::tools {
namespace {

struct SourcePacket {
  std::int64_t tag = 0;  // the PTS that tells it apart
  std::optional<std::int64_t> stated_pts;
  bool discard = false;
  bool can_start = false;
  std::int64_t rank = 0;  // place of its frame in presentation order
  bool has_frame = true;
};

class Planner {
 public:
  Planner(const std::filesystem::path& file, const media::DemuxerOptions& options,
          std::int64_t chunk_size, const std::function<void()>& progress)
      : file_(file),
        options_(options),
        counting_(options.count_packets),
        demuxer_(file.string(), options),
        chunk_size_(chunk_size),
        progress_(progress) {}

  enum class Outcome { planned, hidden_frames, no_timestamps };

  Outcome run() {
    if (!read_packets()) {
      return Outcome::no_timestamps;
    }
    if (packets_.empty()) {
      throw Error(ErrorKind::corrupt, file_.string() + ": has no packets of video");
    }
    if (!hidden_come_first()) {
      return Outcome::hidden_frames;
    }
    if (!rank_packets()) {
      return Outcome::no_timestamps;
    }
    cut_chunks();
    time_packets();
    plan_.count_packets = counting_;
    plan_.truncation = demuxer_.truncation();
    return Outcome::planned;
  }

  CopyPlan take_plan() { return std::move(plan_); }

 private:
  // False if a packet has no PTS.
  bool read_packets() {
    media::RandomAccess access(demuxer_);
    media::Packet packet;
    while (demuxer_.read(packet)) {
      if (!packet.pts()) {
        return false;
      }
      access.take(packet);
      packets_.push_back({*packet.pts(), packet.stated_pts(), packet.discard()});
      progress_();
    }
    const std::vector<bool> can_start = access.starts();
    for (std::size_t i = 0; i < packets_.size(); ++i) {
      packets_[i].can_start = can_start[i];
    }
    // Neither muxers nor decoders take a part of AV1's; other codecs make something of theirs.
    if (!packets_.empty() && demuxer_.ends_with_partial_packet() &&
        demuxer_.stream().codec == "av1") {
      packets_.pop_back();
    }
    // Nothing that is shown needs hidden packets that come after all of it.
    while (!packets_.empty() && packets_.back().discard) {
      packets_.pop_back();
    }
    return true;
  }

  bool hidden_come_first() const {
    std::int64_t last_hidden = std::numeric_limits<std::int64_t>::min();
    std::int64_t first_shown = std::numeric_limits<std::int64_t>::max();
    for (const SourcePacket& packet : packets_) {
      if (packet.discard) {
        last_hidden = std::max(last_hidden, packet.tag);
      } else {
        first_shown = std::min(first_shown, packet.tag);
      }
    }
    return demuxer_.stream().intra_only || last_hidden < first_shown;
  }

  // Tags in the order in which their frames are shown.
  std::vector<std::int64_t> presentation_order() const {
    std::vector<std::int64_t> order;
    if (demuxer_.timestamps_in_decode_order() && !demuxer_.stream().intra_only) {
      // Only decoding tells; tags of packets that give no frame are not in it.
      return media::scan(file_, options_.stream,
                         counting_ ? media::ScanMethod::decode_counting : media::ScanMethod::decode)
          .pts;
    }
    for (const SourcePacket& packet : packets_) {
      order.push_back(packet.tag);
    }
    std::stable_sort(order.begin(), order.end());
    return order;
  }

  // False if two packets have the same PTS.
  bool rank_packets() {
    const std::vector<std::int64_t> order = presentation_order();
    if (order.empty()) {
      throw Error(ErrorKind::corrupt, file_.string() + ": no frame of it can be decoded");
    }
    std::unordered_map<std::int64_t, std::int64_t> rank;
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (!rank.try_emplace(order[i], static_cast<std::int64_t>(i)).second) {
        return false;
      }
    }
    std::int64_t previous = -1;
    for (SourcePacket& packet : packets_) {
      // A packet without a frame of its own (a second field, a hidden frame) stays with the one
      // before it.
      const auto found = rank.find(packet.tag);
      packet.has_frame = found != rank.end();
      packet.rank = packet.has_frame ? found->second : previous;
      previous = packet.rank;
    }
    find_times(order.size());
    return true;
  }

  // Presentation times of the frames, in seconds.
  void find_times(std::size_t frames) {
    const Rational rate = demuxer_.stream().frame_rate;
    const double step = rate.num > 0 ? 1 / rate.value() : 0.04;
    const double tick = demuxer_.stream().time_base.value();
    std::vector<std::optional<double>> stated(frames);
    for (const SourcePacket& packet : packets_) {
      if (packet.has_frame && packet.stated_pts) {
        stated[static_cast<std::size_t>(packet.rank)] =
            static_cast<double>(*packet.stated_pts) * tick;
      }
    }
    if (!demuxer_.counts_packets() && demuxer_.timestamps_in_decode_order()) {
      // The times are those of the frames, but stated in the order of decoding.
      std::vector<std::int64_t> tags;
      for (const SourcePacket& packet : packets_) {
        tags.push_back(packet.tag);
      }
      std::sort(tags.begin(), tags.end());
      for (std::size_t i = 0; i < std::min(frames, tags.size()); ++i) {
        stated[i] = static_cast<double>(tags[i]) * tick;
      }
    }
    for (std::size_t i = 0; i < frames; ++i) {
      times_.push_back(stated[i].value_or(i == 0 ? 0 : times_.back() + step));
    }
  }

  // Whether everything before this packet, in decode order, is also shown before it, and everything
  // after it after: then a chunk can begin here.
  std::vector<bool> possible_cuts() const {
    std::vector<bool> possible(packets_.size(), false);
    std::int64_t later_min = std::numeric_limits<std::int64_t>::max();
    for (std::size_t i = packets_.size(); i-- > 0;) {
      const SourcePacket& packet = packets_[i];
      possible[i] = packet.can_start && packet.has_frame && packet.rank < later_min;
      // What has no frame of its own counts for the packet that it stays with.
      later_min = std::min(later_min, packet.has_frame ? packet.rank : packet.rank + 1);
    }
    std::int64_t earlier_max = std::numeric_limits<std::int64_t>::min();
    for (std::size_t i = 0; i < packets_.size(); ++i) {
      possible[i] = possible[i] && earlier_max < packets_[i].rank;
      earlier_max = std::max(earlier_max, packets_[i].rank);
    }
    return possible;
  }

  void cut_chunks() {
    plan_.packets.resize(packets_.size());
    const std::vector<bool> possible = possible_cuts();
    for (std::size_t i = 0; i < packets_.size(); ++i) {
      plan_.packets[i].source_pts = packets_[i].tag;
      plan_.packets[i].chunk_start_possible = possible[i];
      plan_.packets[i].dropped = packets_[i].discard && demuxer_.stream().intra_only;
    }
    const auto chunk_size = static_cast<std::size_t>(chunk_size_);
    std::size_t begin = 0;
    std::size_t candidate = 0;  // the last possible cut since `begin`
    for (std::size_t i = 1; i < packets_.size(); ++i) {
      // Beyond the size: cut at the last place that kept to it, or else at the first that comes.
      if (i - begin > chunk_size && candidate > begin) {
        begin = candidate;
        cuts_.push_back(begin);
      }
      if (possible[i]) {
        candidate = i;
      }
    }
    if (packets_.size() - begin > chunk_size && candidate > begin) {
      cuts_.push_back(candidate);
    }
    assign_chunks();
  }

  void assign_chunks() {
    std::size_t next_cut = 0;
    std::int64_t chunk = 0;
    for (std::size_t i = 0; i < packets_.size(); ++i) {
      if (next_cut < cuts_.size() && cuts_[next_cut] == i) {
        ++next_cut;
        ++chunk;
      }
      plan_.packets[i].chunk = chunk;
    }
    plan_.chunk_count = chunk + 1;
  }

  void time_packets() {
    cuts_.push_back(packets_.size());
    std::size_t begin = 0;
    for (const std::size_t end : cuts_) {
      time_chunk(begin, end);
      begin = end;
    }
  }

  // Evenly spaced: the frame shown as the i-th gets the PTS i. DTS count packets, and begin so much
  // earlier that none comes after its PTS.
  void time_chunk(std::size_t begin, std::size_t end) {
    std::vector<std::size_t> shown;
    for (std::size_t i = begin; i < end; ++i) {
      if (!plan_.packets[i].dropped) {
        shown.push_back(i);
      }
    }
    std::vector<std::size_t> by_rank = shown;
    std::stable_sort(by_rank.begin(), by_rank.end(), [this](std::size_t a, std::size_t b) {
      return packets_[a].rank < packets_[b].rank;
    });
    std::int64_t hidden = 0;
    for (std::size_t place = 0; place < by_rank.size(); ++place) {
      PlannedPacket& packet = plan_.packets[by_rank[place]];
      packet.pts = static_cast<std::int64_t>(place);
      packet.seconds = seconds(packets_[by_rank[place]]);
      hidden += packets_[by_rank[place]].discard ? 1 : 0;
    }
    std::int64_t delay = 0;
    for (std::size_t place = 0; place < shown.size(); ++place) {
      PlannedPacket& packet = plan_.packets[shown[place]];
      packet.dts = static_cast<std::int64_t>(place);
      delay = std::max(delay, packet.dts - packet.pts);
    }
    const std::int64_t shift = hidden > 0 ? -hidden : delay;
    for (const std::size_t i : shown) {
      plan_.packets[i].pts += shift;
      plan_.packets[i].dts += shift - delay;
    }
    plan_.hides_frames = plan_.hides_frames || hidden > 0;
  }

  double seconds(const SourcePacket& packet) const {
    return times_[static_cast<std::size_t>(std::max<std::int64_t>(packet.rank, 0))];
  }

  std::filesystem::path file_;
  const media::DemuxerOptions& options_;
  bool counting_;
  media::Demuxer demuxer_;
  std::int64_t chunk_size_;
  const std::function<void()>& progress_;
  std::vector<SourcePacket> packets_;
  std::vector<double> times_;      // of the frames, by rank, seconds
  std::vector<std::size_t> cuts_;  // packets that begin a chunk, but for the first
  CopyPlan plan_;
};

}  // namespace

std::optional<CopyPlan> plan_copy(const std::filesystem::path& file,
                                  const media::DemuxerOptions& options, std::int64_t chunk_size,
                                  const std::function<void()>& progress) {
  media::DemuxerOptions attempt = options;
  for (const bool counting : {false, true}) {
    attempt.count_packets = counting;
    Planner planner(file, attempt, chunk_size, progress);
    switch (planner.run()) {
      case Planner::Outcome::planned:
        return planner.take_plan();
      case Planner::Outcome::hidden_frames:
        return std::nullopt;
      case Planner::Outcome::no_timestamps:
        break;
    }
  }
  throw Error(ErrorKind::unsupported,
              file.string() + ": its frames cannot be told apart; import without copying");
}

}  // namespace avstore::tools
