#include "fuzz/seed_stores.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "avstore/format.h"
#include "avstore/writer.h"

namespace avstore::fuzz {
namespace {

namespace fs = std::filesystem;

constexpr int kWidth = 64;
constexpr int kHeight = 48;
constexpr int kFrames = 12;
constexpr std::int64_t kChunkSize = 5;
constexpr std::string_view kKilled = "killed-";

WriterOptions options_for(std::string_view kind) {
  const std::map<std::string_view, std::string> formats = {{"mp4", "avc1/mp4"},
                                                           {"mkv", "h264/mkv"},
                                                           {"avi", "mjpeg/avi"},
                                                           {"png", "png"},
                                                           {"npy", "npy"}};
  WriterOptions options;
  options.format = formats.at(kind);
  options.chunk_size = kChunkSize;
  if (find_format(options.format).video) {
    options.encoder.encoder = "software";
    options.encoder.threads = 1;
    options.encoder.keyframe_interval = 2;
  }
  options.created_utc = "2026-11-22T06:28:11";
  options.timezone_local = "Europe/Vienna";
  options.metadata_yaml = "subject: 7";
  return options;
}

// A slope that moves.
void add_frames(Writer& writer) {
  std::vector<std::uint8_t> pixels(std::size_t{kWidth} * kHeight);
  for (int frame = 0; frame < kFrames; ++frame) {
    for (std::size_t i = 0; i < pixels.size(); ++i) {
      pixels[i] = static_cast<std::uint8_t>(3 * (i % kWidth) + i / kWidth + 7 * frame);
    }
    writer.add(packed_view(pixel::gray8, kWidth, kHeight, pixels.data()), FrameNumber(frame - 3),
               FrameTime(1700000000 + 0.04 * frame));
    if (frame % 4 == 1) {
      writer.add_extra(R"({"force": 0.5})");
    }
  }
}

}  // namespace

void make_seed_store(std::string_view name, const fs::path& folder) {
  if (name.starts_with(kKilled)) {
    // The files of a writer that lives, without the lock that it has on one of them.
    const fs::path recorded = folder.string() + ".recorded";
    Writer writer(recorded, options_for(name.substr(kKilled.size())));
    add_frames(writer);
    writer.sync();
    fs::copy(recorded, folder, fs::copy_options::recursive);
    writer.close();
    fs::remove_all(recorded);
  } else if (const fs::path golden = fs::path(AVSTORE_DATA) / "golden" / name;
             fs::is_directory(golden)) {
    fs::copy(golden, folder, fs::copy_options::recursive);
  } else {
    Writer writer(folder, options_for(name));
    add_frames(writer);
    writer.close();
  }
}

}  // namespace avstore::fuzz
