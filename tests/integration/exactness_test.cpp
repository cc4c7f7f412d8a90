// Every frame of every test video, read in any order, is what ffmpeg's linear decode gives there.
#include <algorithm>
#include <array>
#include <numeric>
#include <random>
#include <set>

#include "avstore/error.h"
#include "chunk/chunk_reader.h"
#include "media/demuxer.h"
#include "media/scan.h"
#include "support/catch.h"
#include "support/media_folder.h"
#include "support/sample.h"

namespace {

using avstore::ReadStatistics;
using avstore::chunk::Access;
using avstore::chunk::ChunkReader;
using avstore::media::Scan;
using avstore::media::SeekPoint;
using avstore::test::TestVideo;

class ScanMap final : public avstore::chunk::FrameMap {
 public:
  bool complete() const override { return true; }
  explicit ScanMap(Scan scan) : scan_(std::move(scan)) {}

  std::int64_t frame_count() const override { return static_cast<std::int64_t>(scan_.pts.size()); }
  bool pts_are_ordinals() const override { return scan_.time_base.num == 0; }
  std::int64_t pts(std::int64_t i) const override { return scan_.pts[static_cast<std::size_t>(i)]; }
  std::optional<SeekPoint> seek_point(std::int64_t i) const override {
    std::optional<SeekPoint> last;
    for (const SeekPoint& point : scan_.seek_points) {
      if (point.frame_idx <= i) {
        last = point;
      }
    }
    return last;
  }
  const Scan& scan() const { return scan_; }

 private:
  Scan scan_;
};

// Stretches are some frames in their order, but one stretch follows another in none.
enum class Order { forward, reverse, shuffled, stretches };

std::vector<std::int64_t> indices(std::int64_t count, Order order) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  if (order == Order::reverse) {
    std::reverse(all.begin(), all.end());
  } else if (order == Order::shuffled) {
    std::shuffle(all.begin(), all.end(), std::mt19937(7));
  } else if (order == Order::stretches) {
    constexpr std::int64_t kLength = 17;
    std::stable_sort(all.begin(), all.end(), [](std::int64_t a, std::int64_t b) {
      const auto place = [](std::int64_t i) { return i / kLength * 5 % 7; };
      return place(a) < place(b);
    });
  }
  return all;
}

// The frames whose picture differs from the oracle's.
std::vector<std::int64_t> wrong_frames(ChunkReader& reader, const std::vector<std::string>& oracle,
                                       Order order) {
  std::vector<std::int64_t> wrong;
  for (const std::int64_t i : indices(static_cast<std::int64_t>(oracle.size()), order)) {
    const Access access = order == Order::forward     ? Access::sequential
                          : order == Order::stretches ? Access::stretch
                                                      : Access::random;
    if (avstore::md5(reader.read(i, access).view()) != oracle[static_cast<std::size_t>(i)]) {
      wrong.push_back(i);
    }
  }
  return wrong;
}

// Files in which libavformat's own seeking is known to go astray, because the same DTS or PTS come
// twice: there the reader has to notice, and find another way.
bool demuxer_lands_wrong(const std::string& name) {
  static const std::set<std::string> kNames{"mp4-three-edits.mp4", "mp4-edits-out-of-order.mp4",
                                            "mp4-edits-with-gap.mp4", "ts-concatenated.ts"};
  return kNames.contains(name);
}

ScanMap scan_map(const TestVideo& video) {
  return ScanMap(
      avstore::media::scan(video.path, std::nullopt, avstore::media::ScanMethod::decode));
}

}  // namespace

TEST_CASE("any frame in any order equals a linear decode") {
  constexpr std::array kOrders{Order::forward, Order::reverse, Order::shuffled, Order::stretches};
  const std::vector<TestVideo> videos = avstore::test::test_videos();
  // A sample reads each video in one of the orders.
  const auto count = static_cast<std::int64_t>(videos.size());
  const auto orders = static_cast<std::int64_t>(kOrders.size());
  for (const std::int64_t place : avstore::test::sample("exactness", count * orders, count)) {
    const TestVideo& video = videos.at(static_cast<std::size_t>(place / orders));
    const Order order = kOrders.at(static_cast<std::size_t>(place % orders));
    CAPTURE(video.name, static_cast<int>(order));
    const std::vector<std::string> oracle = avstore::test::read_lines(video.md5_list);
    const ScanMap map(scan_map(video));
    // Files whose picture changes midway are listed up to the change only.
    REQUIRE(map.frame_count() >= static_cast<std::int64_t>(oracle.size()));
    if (!map.scan().size_change && video.name.find("change") == std::string::npos) {
      REQUIRE(map.frame_count() == static_cast<std::int64_t>(oracle.size()));
    }
    const auto reader = avstore::chunk::open_video_chunk(video.path, map.scan().stream, 2, map);
    CHECK(wrong_frames(*reader, oracle, order).empty());
    const ReadStatistics s = reader->statistics();
    INFO("seeks " << s.seeks << " recoveries " << s.seek_recoveries << " opened " << s.files_opened
                  << " decoded " << s.frames_decoded);
    if (!demuxer_lands_wrong(video.name)) {
      CHECK(s.seek_recoveries == 0);
    }
  }
}
