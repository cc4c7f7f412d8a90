// Any bytes as .index.sqlite: opened and asked all that a reader asks, then written to as a reader
// does that has looked up a chunk's PTS.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "fuzz/attempt.h"
#include "fuzz/scratch.h"
#include "index/index.h"

namespace {

using avstore::fuzz::attempt;
using avstore::index::ChunkRow;
using avstore::index::FrameRow;
using avstore::index::Index;

constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

void look_for_frames(const Index& index) {
  attempt([&] { index.extremes(); });
  for (const std::int64_t number : {kLeast, std::int64_t{0}, std::int64_t{1003}, kMost}) {
    attempt([&] { index.find_number(number); });
    attempt([&] { index.nearest_number(number); });
    attempt([&] { index.nearest_time(static_cast<double>(number)); });
  }
  const std::int64_t count = index.frame_count();
  for (const std::int64_t place : {std::int64_t{0}, count / 2, count - 1, count}) {
    attempt([&] {
      const FrameRow row = index.at(place);
      index.nearest_time(row.frame_time);
      index.find_number(row.frame_number);
      index.keyframe_at_or_before(row.chunk, row.frame_idx);
      index.chunk(row.chunk);
    });
  }
}

void read_all(const Index& index) {
  attempt([&] { index.for_each({0, kMost}, [](const FrameRow&) { return true; }); });
  attempt([&] { index.for_each_extra([](const auto&) { return true; }); });
  attempt([&] { index.all_information(); });
  attempt([&] { index.chunk_count(); });
  attempt([&] { index.integrity_findings(); });
  attempt([&] {
    std::int64_t frames = 0;
    for (const ChunkRow& row : index.chunks()) {
      index.keyframes(row.chunk);
      frames = std::max(frames, row.first_frame_index + row.frame_count);
    }
  });
}

void keep_pts(const std::filesystem::path& file) {
  Index index = Index::open_for_writing(file);
  if (index.frame_count() > 0) {
    const FrameRow row = index.at(0);
    index.set_pts(0, std::vector<std::int64_t>{17}, {});
    index.commit();
    index.truncate(row.frame_idx);
  }
  FrameRow row;
  row.frame_index = index.frame_count();
  row.frame_number = 1;
  row.frame_time = 1;
  index.append(row);
  index.close();
}

// A header that says "write-ahead log" where there is none makes SQLite wait for one; beyond that
// the log is SQLite's business.
std::string without_log(std::string_view bytes) {
  constexpr std::size_t kVersionsAt = 18;
  std::string file(bytes);
  for (std::size_t at = kVersionsAt; at < std::min(kVersionsAt + 2, file.size()); ++at) {
    file[at] = '\1';
  }
  return file;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const avstore::fuzz::Scratch scratch;
  const auto file = scratch.file(".index.sqlite", without_log(avstore::fuzz::as_text(data, size)));
  attempt([&] {
    const Index index = Index::open(file);
    look_for_frames(index);
    read_all(index);
  });
  attempt([&] { keep_pts(file); });
  for (const char* suffix : {"-wal", "-shm", "-journal"}) {
    std::filesystem::remove(file.string() + suffix);
  }
  return 0;
}
