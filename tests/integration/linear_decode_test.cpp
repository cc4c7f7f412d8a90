// The oracle in support/linear_decode.h says what the ffmpeg and ffprobe programs say.
#include "support/linear_decode.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <filesystem>

#include "support/catch.h"
#include "support/media_folder.h"
#include "support/programs.h"
#include "support/sample.h"

namespace {

using avstore::test::media_file;
using avstore::test::read_lines;

std::string seconds_text(double seconds) {
  return std::isnan(seconds) ? "N/A" : fmt::format("{:.6f}", seconds);
}

// But for the empty ones that ffprobe prints where there is side data.
std::vector<std::string> lines_of(const std::string& video, const std::string& what) {
  auto lines = avstore::test::probe(media_file(video), what);
  std::erase(lines, "");
  return lines;
}

}  // namespace

TEST_CASE("the oracle decodes what the ffmpeg program decodes") {
  const auto videos = avstore::test::test_videos();
  for (const std::int64_t place :
       avstore::test::sample("linear decodes", static_cast<std::int64_t>(videos.size()), 40)) {
    const auto& video = videos[static_cast<std::size_t>(place)];
    CAPTURE(video.name);
    const auto whole = media_file("framemd5-all") / (video.name + ".md5");
    const auto expected = read_lines(std::filesystem::exists(whole) ? whole : video.md5_list);
    CHECK(avstore::test::frame_md5s(video.path) == expected);
  }
}

TEST_CASE("the oracle sees the packets and pictures that the ffprobe program sees") {
  for (const std::string name :
       {"h264-bpyramid-gop12.mp4", "hevc-opengop.ts", "mpeg4-asp-bf1.avi", "vfr-long-gaps.mkv"}) {
    CAPTURE(name);
    const auto packets = avstore::test::packets_of(media_file(name));
    const auto lines = lines_of(name, "-show_entries packet=pts,pts_time,dts_time,flags");
    REQUIRE(packets.size() == lines.size());
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const auto& packet = packets[i];
      const std::string expected =
          fmt::format("{},{},{},{}", packet.pts == INT64_MIN ? "N/A" : std::to_string(packet.pts),
                      seconds_text(packet.pts_seconds), seconds_text(packet.dts_seconds),
                      packet.is_keyframe ? 'K' : '_');
      CHECK(lines[i].starts_with(expected));
    }
    const auto frames = avstore::test::decoded_frames(media_file(name));
    const auto pictures = lines_of(name, "-show_entries frame=pict_type");
    REQUIRE(frames.size() == pictures.size());
    for (std::size_t i = 0; i < pictures.size(); ++i) {
      CHECK(pictures[i].starts_with(frames[i].picture_type));
    }
  }
}
