#include "tools/export_plan.h"

#include <algorithm>
#include <cctype>
#include <limits>
#include <string>
#include <unordered_map>

#include "avstore/error.h"
#include "media/random_access.h"
#include "store/layout.h"
#include "store/reader_access.h"

namespace avstore::tools {
namespace {

// The packets of one chunk, as far as they can be cut.
class ChunkCuts {
 public:
  ChunkCuts(Reader& reader, const store::IndexedChunk& chunk) : frame_count_(chunk.frame_count()) {
    media::Demuxer demuxer = open_packets(reader, chunk);
    read(demuxer, places(chunk));
  }

  // One packet a frame, so that packets can be told apart by their frames.
  bool copyable() const { return copyable_; }
  // The frame_idx of each packet, in the order of the file.
  const std::vector<std::int64_t>& order() const { return order_; }

  // Whether frames before and from this one on need nothing of each other.
  bool can_begin_at(std::int64_t frame_idx) const {
    return frame_idx == frame_count_ || std::binary_search(cuts_.begin(), cuts_.end(), frame_idx);
  }
  // Whether what is shown from this frame on can be left out.
  bool can_end_at(std::int64_t frame_idx) const { return delay_ == 0 || can_begin_at(frame_idx); }

  // The first place from there on where copying can begin; frame_count if there is none.
  std::int64_t next_begin(std::int64_t frame_idx) const {
    const auto found = std::lower_bound(cuts_.begin(), cuts_.end(), frame_idx);
    return found == cuts_.end() ? frame_count_ : *found;
  }
  // The last place up to there where copying can end.
  std::int64_t last_end(std::int64_t frame_idx) const {
    if (can_end_at(frame_idx)) {
      return frame_idx;
    }
    const auto after = std::upper_bound(cuts_.begin(), cuts_.end(), frame_idx);
    return after == cuts_.begin() ? 0 : *std::prev(after);
  }

 private:
  static std::unordered_map<std::int64_t, std::int64_t> places(const store::IndexedChunk& chunk) {
    std::unordered_map<std::int64_t, std::int64_t> place;
    for (std::int64_t i = 0; i < chunk.frame_count(); ++i) {
      place.emplace(chunk.pts(i), i);
    }
    return place;
  }

  void read(media::Demuxer& demuxer, const std::unordered_map<std::int64_t, std::int64_t>& place) {
    media::RandomAccess access(demuxer);
    media::Packet packet;
    while (demuxer.read(packet)) {
      const auto found = packet.pts() ? place.find(*packet.pts()) : place.end();
      if (found == place.end() || packet.discard()) {
        copyable_ = false;
        return;
      }
      delay_ = std::max(delay_, static_cast<std::int64_t>(order_.size()) - found->second);
      order_.push_back(found->second);
      access.take(packet);
    }
    copyable_ = static_cast<std::int64_t>(order_.size()) == frame_count_;
    find_cuts(access.starts());
  }

  void find_cuts(const std::vector<bool>& can_start) {
    std::vector<std::int64_t> later_min(order_.size() + 1,
                                        std::numeric_limits<std::int64_t>::max());
    for (std::size_t i = order_.size(); i-- > 0;) {
      later_min[i] = std::min(later_min[i + 1], order_[i]);
    }
    std::int64_t earlier_max = -1;
    for (std::size_t i = 0; i < order_.size(); ++i) {
      if (can_start[i] && earlier_max < order_[i] && order_[i] < later_min[i + 1]) {
        cuts_.push_back(order_[i]);
      }
      earlier_max = std::max(earlier_max, order_[i]);
    }
  }

  std::int64_t frame_count_ = 0;
  std::int64_t delay_ = 0;  // packets by which decoding runs ahead of presentation, at the most
  bool copyable_ = true;
  std::vector<std::int64_t> order_;
  std::vector<std::int64_t> cuts_;  // frame_idx, ascending
};

void add_segment(ExportPlan& plan, const ExportSegment& segment) {
  if (segment.frames.size() <= 0) {
    return;
  }
  // Frames to encode that follow one another are encoded in one go.
  if (!segment.copied && !plan.segments.empty() && !plan.segments.back().copied) {
    plan.segments.back().frames.end = segment.frames.end;
    return;
  }
  plan.segments.push_back(segment);
}

// Frames [begin, end) of a chunk, by frame_idx: copied in the middle, encoded at cut ends.
void plan_chunk(ExportPlan& plan, Reader& reader, const store::IndexedChunk& chunk,
                std::int64_t begin, std::int64_t end) {
  const ChunkCuts cuts(reader, chunk);
  const std::int64_t first = chunk.row().first_frame_index;
  const std::int64_t copy_begin = cuts.copyable() ? std::min(cuts.next_begin(begin), end) : end;
  const std::int64_t copy_end = std::max(copy_begin, cuts.copyable() ? cuts.last_end(end) : end);
  const auto segment = [&](bool copied, std::int64_t from, std::int64_t to) {
    return ExportSegment{copied, {first + from, first + to}, chunk.row().chunk};
  };
  add_segment(plan, segment(false, begin, copy_begin));
  add_segment(plan, segment(true, copy_begin, copy_end));
  add_segment(plan, segment(false, copy_end, end));
  const auto in_own_order = [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t i = from; i < to; ++i) {
      plan.order.push_back(first + i);
    }
  };
  in_own_order(begin, copy_begin);
  for (const std::int64_t i : cuts.order()) {
    if (copy_begin <= i && i < copy_end) {
      plan.order.push_back(first + i);
    }
  }
  in_own_order(copy_end, end);
}

}  // namespace

std::string video_muxer(const std::filesystem::path& file) {
  std::string ending = file.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return ending == ".mp4" ? "mp4" : ending == ".mkv" ? "matroska" : "";
}

media::Demuxer open_packets(Reader& reader, const store::IndexedChunk& chunk) {
  return media::Demuxer((reader.info().path / chunk.row().path).string(), chunk.demuxer_options());
}

ExportPlan encode_all(IndexRange range) {
  ExportPlan plan;
  plan.segments.push_back({false, range, 0});
  for (std::int64_t i = range.begin; i < range.end; ++i) {
    plan.order.push_back(i);
  }
  return plan;
}

ExportPlan plan_export(Reader& reader, IndexRange range) {
  ExportPlan plan;
  if (!store::ReaderAccess::metadata(reader).is_video()) {
    return encode_all(range);
  }
  store::SharedIndex& index = store::ReaderAccess::index(reader);
  for (std::int64_t i = range.begin; i < range.end;) {
    const FrameInfo info = reader.find(FrameIndex(i));
    const store::IndexedChunk chunk(index, info.chunk);
    const std::int64_t first = chunk.row().first_frame_index;
    if (i - first != info.frame_idx || info.frame_idx >= chunk.frame_count()) {
      throw Error(ErrorKind::corrupt, (index.folder() / store::kIndexFile).string() +
                                          ": says that frame " + std::to_string(i) + " is number " +
                                          std::to_string(info.frame_idx) + " of chunk " +
                                          std::to_string(info.chunk) + ", which has " +
                                          std::to_string(chunk.frame_count()) +
                                          " frames from frame " + std::to_string(first) + " on");
    }
    const std::int64_t end = std::min(range.end, first + chunk.frame_count());
    plan_chunk(plan, reader, chunk, info.frame_idx, end - first);
    i = end;
  }
  return plan;
}

}  // namespace avstore::tools
