// Damage to a recording that was killed: what could be read before `repair`, by Reader or by
// ffmpeg, can be read after it, under the same number and time, and what `repair` says is what
// happened. `repair --undo` brings every byte back.
//
// Bits are flipped, blocks overwritten and files cut off at places drawn by the seed of
// support/sample.h; a full run takes all places instead.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "avstore/error.h"
#include "avstore/reader.h"
#include "avstore/tools.h"
#include "index/index.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/linear_decode.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/processes.h"
#include "support/programs.h"
#include "support/sample.h"

namespace fs = std::filesystem;
using namespace avstore;
using namespace avstore::test;

namespace {

constexpr int kChunk = 16;
constexpr int kFrames = kChunk + 15;  // the last chunk has 15, in pieces of 6, 6 and 3

std::int64_t number_of(int frame) {
  return 100 + 3 * frame;
}
double time_of(int frame) {
  return 1.7e9 + 0.04 * frame;
}

struct Variant {
  std::string format;
  int b_frames = 0;
  Timing timing = Timing::nominal;
};

std::string name_of(const Variant& variant) {
  return variant.format + (variant.b_frames > 0 ? ", B-frames" : "") +
         (variant.timing == Timing::real ? ", real times" : "");
}

void record_and_die(const fs::path& store, const Variant& variant) {
  const int status = run_child([&] {
    WriterOptions options = options_of(variant.format, kChunk);
    options.timing = variant.timing;
    options.encoder.b_frames = variant.b_frames;
    if (is_video(variant.format)) {
      options.encoder.keyframe_interval = 6;
    }
    Writer writer(store, options);
    for (int i = 0; i < kFrames; ++i) {
      writer.add(draw(pixel::gray8, i).view, FrameNumber(number_of(i)), FrameTime(time_of(i)));
      if (i % 4 == 1) {
        writer.add_extra("{\"of\": " + std::to_string(number_of(i)) + "}");
      }
      if ((i - kChunk) % 6 == 5) {
        writer.sync();
      }
    }
    writer.sync();
    return std::raise(SIGKILL);
  });
  REQUIRE(status == -SIGKILL);
}

// Number to time and the MD5 of the pixels.
using Frames = std::map<std::int64_t, std::pair<double, std::string>>;

Frames readable(const fs::path& store) {
  Frames frames;
  ReaderOptions options;
  options.save_index = false;
  options.threads = 1;
  try {
    Reader reader(store, options);
    for (std::int64_t i = 0; i < reader.frame_count(); ++i) {
      try {
        const Frame frame = reader.read(FrameIndex(i));
        frames[frame.info.number.value] = {frame.info.time.seconds, md5(frame.image.view())};
      } catch (const Error&) {
        // It cannot be read.
      }
    }
  } catch (const Error&) {
    // Nothing can.
  }
  return frames;
}

// Those of `found` that are as in `recorded`.
Frames exact(const Frames& found, const Frames& recorded) {
  Frames same;
  std::set_intersection(found.begin(), found.end(), recorded.begin(), recorded.end(),
                        std::inserter(same, same.end()));
  return same;
}

std::set<std::int64_t> numbers_of(const Frames& frames) {
  std::set<std::int64_t> numbers;
  for (const auto& [number, frame] : frames) {
    numbers.insert(number);
  }
  return numbers;
}

std::set<std::int64_t> numbers_listed(const fs::path& store) {
  std::set<std::int64_t> numbers;
  const Reader reader(store);
  for (const FrameInfo& info : reader.infos({0, reader.frame_count()})) {
    numbers.insert(info.number.value);
  }
  return numbers;
}

// What is in a folder. SQLite's index of its log is no part of what it holds.
std::map<std::string, std::string> contents(const fs::path& store) {
  auto all = tree(store);
  all.erase(".index.sqlite-shm");
  return all;
}

// With times of change.
std::string listing(const fs::path& store) {
  return run("cd " + quoted(store.string()) +
             " && find . -printf '%p %s %T@ %C@\n' | sort && find . -type f | sort | xargs md5sum");
}

// The numbers in the second column of a file of frames dropped.
std::set<std::int64_t> numbers_in_csv(const fs::path& file) {
  std::set<std::int64_t> numbers;
  std::ifstream lines(file);
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    numbers.insert(std::stoll(line.substr(line.find(',') + 1)));
  }
  return numbers;
}

// Extra data are of frames that are there, and say which.
std::int64_t misplaced_extra(const fs::path& store) {
  const auto index = index::Index::open(store / ".index.sqlite");
  std::int64_t misplaced = 0;
  index.for_each_extra([&](const index::ExtraRow& row) {
    const bool is_right = row.frame_index < index.frame_count() &&
                          index.at(row.frame_index).frame_number == row.frame_number &&
                          row.json == "{\"of\": " + std::to_string(row.frame_number) + "}";
    misplaced += is_right ? 0 : 1;
    return true;
  });
  return misplaced;
}

struct Damage {
  enum class Kind { bit, block, cut } kind = Kind::bit;
  std::uintmax_t place = 0;  // bytes
};

std::string name_of(const Damage& damage) {
  const char* const kind = damage.kind == Damage::Kind::bit     ? "bit flipped at "
                           : damage.kind == Damage::Kind::block ? "block overwritten at "
                                                                : "cut off at ";
  return kind + std::to_string(damage.place);
}

void do_damage(const fs::path& file, const Damage& damage, std::mt19937& random) {
  if (damage.kind == Damage::Kind::bit) {
    flip_bit(file, 8 * damage.place + random() % 8);
  } else if (damage.kind == Damage::Kind::cut) {
    fs::resize_file(file, damage.place);
  } else {
    const auto size = std::min<std::uintmax_t>(512, fs::file_size(file) - damage.place);
    std::string bytes(static_cast<std::size_t>(size), '\0');
    if (random() % 2 == 0) {
      std::generate(bytes.begin(), bytes.end(), [&] { return static_cast<char>(random()); });
    }
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(static_cast<std::streamoff>(damage.place));
    stream << bytes;
  }
}

// Of a file of so many bytes.
std::vector<Damage> all_damage(std::uintmax_t size) {
  std::vector<Damage> all;
  for (std::uintmax_t place = 0; place < size; ++place) {
    all.push_back({Damage::Kind::bit, place});
    if (place % 64 == 0) {
      all.push_back({Damage::Kind::block, place});
      all.push_back({Damage::Kind::cut, place});
    }
  }
  return all;
}

// Where the pieces of the last chunk's file meet.
std::vector<Damage> damage_at_borders(const fs::path& store) {
  std::vector<Damage> all;
  const auto index = index::Index::open(store / ".index.sqlite");
  for (const index::ChecksumRow& piece : index.checksums(1)) {
    const auto place = static_cast<std::uintmax_t>(piece.position);
    for (const auto kind : {Damage::Kind::bit, Damage::Kind::block, Damage::Kind::cut}) {
      all.push_back({kind, place});
    }
  }
  return all;
}

std::vector<Damage> drawn(const std::vector<Damage>& all, std::size_t count, std::mt19937& random) {
  std::vector<Damage> some;
  std::sample(all.begin(), all.end(), std::back_inserter(some), count, random);
  return some;
}

// The recorded frames that the oracle decodes unchanged from a damaged file: it continues behind
// the damage.
Frames seen_by_oracle(const fs::path& file, const Frames& recorded) {
  const auto decoded = avstore::test::frame_md5s(file);
  const std::set<std::string> md5s(decoded.begin(), decoded.end());
  Frames frames;
  for (const auto& [number, frame] : recorded) {
    if (md5s.contains(frame.second)) {
      frames[number] = frame;
    }
  }
  return frames;
}

// `before`: the frames that can be read as they were recorded.
void check_repair(const fs::path& store, const Frames& recorded, Frames before) {
  before.merge(exact(readable(store), recorded));
  const auto tree_before = contents(store);
  const std::string listing_before = listing(store);
  const RepairResult planned = repair(store, {true, {}});
  CHECK(listing(store) == listing_before);

  const RepairResult done = repair(store, {});
  CAPTURE(done.steps);
  CHECK(done.steps == planned.steps);
  CHECK(done.is_whole == planned.is_whole);
  CHECK(done.frames == planned.frames);
  CHECK(done.frames_dropped == planned.frames_dropped);

  const Frames after = readable(store);
  Frames lost;
  const Frames still = exact(after, recorded);
  std::set_difference(before.begin(), before.end(), still.begin(), still.end(),
                      std::inserter(lost, lost.end()));
  CHECK(numbers_of(lost) == std::set<std::int64_t>());

  const std::set<std::int64_t> listed = numbers_listed(store);
  CHECK(static_cast<std::int64_t>(listed.size()) == done.frames);
  CHECK(done.frames + done.frames_dropped == kFrames);
  CHECK(misplaced_extra(store) == 0);
  if (done.frames_dropped > 0) {
    std::set<std::int64_t> expected = numbers_of(recorded);
    for (const std::int64_t number : numbers_in_csv(done.put_aside / "000001.dropped.csv")) {
      CHECK(expected.erase(number) == 1);
    }
    CHECK(listed == expected);
    CHECK(done.losses.size() == 1);
  }

  const VerifyResult verified = verify(store, {});
  CAPTURE(verified.findings);
  CHECK(verified.repairs == std::vector<std::string>());
  CHECK(verified.findings.empty() == done.is_whole);
  if (done.is_whole) {
    CHECK(after == recorded);
  }
  CHECK(repair(store, {}).steps == std::vector<std::string>());

  undo_repair(store);
  CHECK(contents(store) == tree_before);
}

// Where the blocks of a Matroska file begin, whose first cluster is not closed or has its size
// told.
std::vector<std::size_t> simple_blocks(const std::string& file) {
  const auto byte = [&file](std::size_t at) { return static_cast<unsigned char>(file.at(at)); };
  const auto read_size = [&](std::size_t& at) {  // as EBML codes it
    int more = 0;
    while ((byte(at) & (0x80U >> more)) == 0) {
      ++more;
    }
    std::uint64_t value = byte(at++) & (0x7FU >> more);
    for (; more > 0; --more) {
      value = value << 8U | byte(at++);
    }
    return value;
  };
  std::vector<std::size_t> blocks;
  for (std::size_t at = file.find("\x1F\x43\xB6\x75"); at < file.size();) {
    const std::size_t begin = at;
    const bool is_cluster = file.compare(at, 4, "\x1F\x43\xB6\x75") == 0;
    at += is_cluster ? 4 : 1;
    const std::uint64_t size = read_size(at);
    if (byte(begin) == 0xA3) {
      blocks.push_back(begin);
    }
    at += is_cluster ? 0 : size;
  }
  return blocks;
}

}  // namespace

TEST_CASE("repair keeps every frame that can be read of a damaged video") {
  const Variant variant =
      GENERATE(Variant{"avc1/mp4"}, Variant{"h264/mkv"}, Variant{"mjpeg/avi"}, Variant{"ffv1/mkv"},
               Variant{"avc1/mp4", 2}, Variant{"h264/mkv", 2}, Variant{"h264/mkv", 0, Timing::real},
               Variant{"hevc/mkv"}, Variant{"hevc/mp4", 2}, Variant{"av1/mkv"});
  const TemporaryFolder folder;
  const fs::path original = folder.path() / "original";
  record_and_die(original, variant);
  const Frames recorded = readable(original);
  REQUIRE(recorded.size() == kFrames);
  const auto file = chunk_file(original, variant.format, 1);
  std::mt19937 random(sample_seed());
  const auto all = all_damage(fs::file_size(file));
  auto some = is_full_run() ? all : drawn(all, 3, random);
  const auto all_borders = damage_at_borders(original);
  const auto borders = is_full_run() ? all_borders : drawn(all_borders, 3, random);
  some.insert(some.end(), borders.begin(), borders.end());
  std::printf("sampled damage: %zu of %zu cases, seed %u\n", some.size(),
              all.size() + all_borders.size(), sample_seed());
  for (const Damage& damage : some) {
    CAPTURE(name_of(variant), name_of(damage), sample_seed());
    const fs::path store = folder.path() / "store";
    fs::copy(original, store, fs::copy_options::recursive);
    const fs::path damaged = chunk_file(store, variant.format, 1);
    do_damage(damaged, damage, random);
    check_repair(store, recorded, seen_by_oracle(damaged, recorded));
    fs::remove_all(store);
  }
}

// Found by reading: of ten frames, all in one piece of the file, repair dropped all ten.
TEST_CASE("a wrong bit in the id of a Matroska block costs the frame in it, and no other") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  constexpr int kTen = 10;
  REQUIRE(run_child([&] {
            Writer writer(store, options_of("h264/mkv", 100));
            for (int i = 0; i < kTen; ++i) {
              writer.add(draw(pixel::gray8, i).view, FrameNumber(number_of(i)),
                         FrameTime(time_of(i)));
            }
            writer.sync();
            return std::raise(SIGKILL);
          }) == -SIGKILL);
  const Frames recorded = readable(store);
  REQUIRE(recorded.size() == kTen);
  const fs::path file = chunk_file(store, "h264/mkv", 0);
  const auto blocks = simple_blocks(read_text(file));
  REQUIRE(blocks.size() == kTen);
  flip_bit(file, 8 * blocks[7]);
  const Frames before = exact(readable(store), recorded);
  CHECK(before.size() == 7);

  const RepairResult done = repair(store, {});
  CAPTURE(done.steps);
  CHECK(done.frames == 9);
  CHECK(done.frames_dropped == 1);
  CHECK_FALSE(done.is_whole);
  CHECK_THAT(done.steps.front(), Catch::Matchers::ContainsSubstring("frame_number 121;"));
  std::set<std::int64_t> others = numbers_of(recorded);
  others.erase(number_of(7));
  CHECK(numbers_listed(store) == others);
  const Frames after = readable(store);
  CHECK(numbers_of(after) == others);
  for (const auto& [number, frame] : before) {
    CHECK(after.at(number) == frame);
  }
  const VerifyResult verified = verify(store, {true, {}});
  CAPTURE(verified.findings);
  REQUIRE_FALSE(verified.findings.empty());
  CHECK_THAT(verified.findings.front(), Catch::Matchers::ContainsSubstring("frame_number 121;"));
  CHECK(Reader(store).info().losses == done.losses);
}

TEST_CASE("repair keeps every image that can be read of a killed recording") {
  const std::string format = GENERATE("png", "jpg", "npy", "bpk", "ppm", "tif");
  const TemporaryFolder folder;
  const fs::path original = folder.path() / "original";
  record_and_die(original, {format});
  const Frames recorded = readable(original);
  REQUIRE(recorded.size() == kFrames);
  std::mt19937 random(sample_seed());
  std::vector<fs::path> images;
  for (const fs::directory_entry& entry : fs::directory_iterator(original / "000001")) {
    images.push_back(entry.path().filename());
  }
  std::sort(images.begin(), images.end());
  REQUIRE(images.size() == kFrames - kChunk);
  // The last ones are dropped if they cannot be read, so half of the damage is theirs.
  for (int i = 0; i < (is_full_run() ? 400 : 4); ++i) {
    const fs::path& image = i % 2 == 0 ? images.back() : images[random() % images.size()];
    const auto all = all_damage(fs::file_size(original / "000001" / image));
    const Damage damage = drawn(all, 1, random).front();
    CAPTURE(format, image, name_of(damage), sample_seed());
    const fs::path store = folder.path() / "store";
    fs::copy(original, store, fs::copy_options::recursive);
    do_damage(store / "000001" / image, damage, random);
    check_repair(store, recorded, {});
    fs::remove_all(store);
  }
}

TEST_CASE("damage to finished chunks costs no frame that could be read") {
  const std::string format = GENERATE("avc1/mp4", "h264/mkv", "mjpeg/avi", "png");
  const TemporaryFolder folder;
  const fs::path original = folder.path() / "original";
  record_and_die(original, {format});
  const Frames recorded = readable(original);
  std::mt19937 random(sample_seed());
  const fs::path files[] = {
      is_video(format) ? chunk_file(original, format, 0) : original / "000000" / "000003.png",
      original / (is_video(format) ? "000000.npz" : "000000/index.npz")};
  for (const fs::path& file : files) {
    const auto all = all_damage(fs::file_size(file));
    for (const Damage& damage : drawn(all, is_full_run() ? 300 : 2, random)) {
      CAPTURE(format, file.filename(), name_of(damage), sample_seed());
      const fs::path store = folder.path() / "store";
      fs::copy(original, store, fs::copy_options::recursive);
      do_damage(store / file.lexically_relative(original), damage, random);
      const Frames before = exact(readable(store), recorded);
      const auto tree_before = contents(store);
      const RepairResult done = repair(store, {});
      CHECK(done.frames_dropped == 0);
      CHECK(exact(readable(store), recorded) == before);
      undo_repair(store);
      CHECK(contents(store) == tree_before);
      fs::remove_all(store);
    }
  }
}
