// avstore repair: what it finishes, drops, keeps aside and says.
#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "avstore/error.h"
#include "avstore/tools.h"
#include "index/index.h"
#include "store/extra_records.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/linear_decode.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/processes.h"
#include "support/programs.h"

namespace fs = std::filesystem;
using namespace avstore;
using namespace avstore::test;

namespace {

constexpr int kFrames = 40;

// A recording of kFrames frames in groups of five that was killed.
void record_and_die(const fs::path& store, const std::string& format) {
  const int status = run_child([&] {
    WriterOptions options = options_of(format, 100);
    if (is_video(format)) {
      options.encoder.keyframe_interval = 5;
    }
    Writer writer(store, options);
    for (int i = 0; i < kFrames; ++i) {
      add(writer, i);
      if (i % 5 == 4) {
        writer.sync();
      }
    }
    return std::raise(SIGKILL);
  });
  REQUIRE(status == -SIGKILL);
}

// The piece of the chunk's file that begins with this frame.
struct Piece {
  std::int64_t position = 0;
  std::int64_t bytes = 0;
};
Piece piece_of(const fs::path& store, int frame) {
  const std::string where =
      " FROM checksums WHERE frame_idx = " + std::to_string(frame) + " ORDER BY bytes DESC LIMIT 1";
  return {std::stoll(sqlite(store, "SELECT position" + where).front()),
          std::stoll(sqlite(store, "SELECT bytes" + where).front())};
}

// Bytes before those of the first frame.
std::int64_t header_bytes(const fs::path& store) {
  return std::stoll(
      sqlite(store, "SELECT min(position) FROM checksums WHERE position > 0").front());
}

// Whether there are records of frames that have no row.
bool has_extra_ahead(const fs::path& store) {
  const auto index = index::Index::open(store / ".index.sqlite");
  const std::int64_t frames = index.frame_count();
  bool ahead = false;
  index.for_each_extra([&](const index::ExtraRow& row) {
    ahead = row.frame_index >= frames;
    return !ahead;
  });
  return ahead;
}

// Kills this process if there are such records: while nobody can write to the database, else the
// rows of their frames might still come.
void die_if_extra_is_ahead(const fs::path& store) {
  sqlite3* connection = nullptr;
  const int code = sqlite3_open_v2((store / ".index.sqlite").c_str(), &connection,
                                   SQLITE_OPEN_READWRITE, nullptr);
  const std::unique_ptr<sqlite3, int (*)(sqlite3*)> closing(connection, &sqlite3_close);
  if (code == SQLITE_OK &&
      sqlite3_exec(connection, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) == SQLITE_OK &&
      has_extra_ahead(store)) {
    std::raise(SIGKILL);
  }
}

// One of kFrames frames, with the piece of its chunk that begins with frame 20.
struct KilledRecording {
  explicit KilledRecording(const std::string& format)
      : store(folder.path() / "store"), file(chunk_file(store, format, 0)) {
    record_and_die(store, format);
    piece = piece_of(store, 20);
  }

  TemporaryFolder folder;
  fs::path store;
  fs::path file;
  Piece piece;
};

bool any_contains(const std::vector<std::string>& lines, const std::string& text) {
  return std::any_of(lines.begin(), lines.end(), [&text](const std::string& line) {
    return line.find(text) != std::string::npos;
  });
}

// What a repair has put aside of a file with that name. Each has a number before its name.
fs::path kept_of(const RepairResult& result, const std::string& name) {
  for (const fs::directory_entry& kept : fs::directory_iterator(result.put_aside)) {
    const std::string found = kept.path().filename().string();
    if (found.substr(found.find('-') + 1) == name) {
      return kept.path();
    }
  }
  FAIL("nothing is kept of " << name);
  return {};
}

// The numbers of frames whose bar code is another.
std::vector<std::int64_t> wrong_numbers(const fs::path& store) {
  std::vector<std::int64_t> wrong;
  Reader reader(store);
  for (std::int64_t i = 0; i < reader.frame_count(); ++i) {
    const Frame frame = reader.read(FrameIndex(i));
    if (code_of(frame.image.view()) != frame.info.number.value) {
      wrong.push_back(frame.info.number.value);
    }
  }
  return wrong;
}

}  // namespace

// By what marks it: libavformat's muxers put it behind the frames.
TEST_CASE("a chunk that is finished has its container's own index") {
  using namespace std::string_literals;
  const auto [format, mark] = GENERATE(table<std::string, std::string>({
      {"avc1/mp4", "mfra"s},              // the movie fragment random access box
      {"h264/mkv", "\x1C\x53\xBB\x6B"s},  // the element Cues
      {"mjpeg/avi", "idx1"s},
  }));
  CAPTURE(format);
  const KilledRecording killed(format);
  const auto has_index = [&killed, &mark = mark] {
    const std::string bytes = read_text(killed.file);
    return bytes.find(mark, bytes.size() / 2) != std::string::npos;
  };
  CHECK_FALSE(has_index());
  repair(killed.store, {});
  CHECK(has_index());
  CHECK(frame_md5s(killed.file).size() == kFrames);
}

TEST_CASE("extra data and checksums of frames without a row do not pass to others") {
  const std::string format = GENERATE("avc1/mp4", "h264/mkv", "mjpeg/avi", "png");
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  // A slow camera with extra data for each frame, killed as soon as some of it is ahead.
  const int status = run_child([&]() -> int {
    WriterOptions options = options_of(format, 1000);
    if (is_video(format)) {
      options.encoder.keyframe_interval = 1000;
    }
    Writer writer(store, options);
    for (int i = 0;; ++i) {
      add(writer, i);
      writer.add_extra("{\"of\": " + std::to_string(i) + "}");
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      die_if_extra_is_ahead(store);
    }
  });
  REQUIRE(status == -SIGKILL);
  const std::vector<std::string> planned = repair(store, {true, {}}).steps;
  CHECK(any_contains(planned, "extra data, of frames without a row"));
  const RepairResult done = repair(store, {});
  CHECK(done.steps == planned);
  CHECK(done.is_whole);
  CHECK(read_text(done.put_aside / "extra.json").find("\"of\"") != std::string::npos);
  CHECK(!has_extra_ahead(store));
  const auto extra = sqlite(store, "SELECT frame_index, json FROM extra_data");
  CHECK(verify(store, {}).findings.empty());
  const std::int64_t frames = Reader(store).info().frame_count;
  {
    Writer writer = Writer::append(store, {});
    for (int i = 0; i < 60; ++i) {
      add(writer, static_cast<int>(frames) + i);
    }
    writer.close();
  }
  CHECK(sqlite(store, "SELECT frame_index, json FROM extra_data") == extra);
  CHECK(verify(store, {}).findings.empty());
  CHECK(wrong_codes(store).empty());
}

TEST_CASE("what was told before the first frame of a recording that goes on is not lost") {
  const bool killed = GENERATE(true, false);
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  {
    Writer writer(store, options_of("avc1/mp4", 7));
    for (int i = 0; i < 10; ++i) {
      add(writer, i);
      writer.add_extra("{\"of\": " + std::to_string(i) + "}");
    }
    writer.close();
  }
  const auto events = [&] {
    std::vector<std::pair<std::int64_t, std::string>> all;
    for (const auto& record : avstore::store::read_extra_records(store, {}).records) {
      if (record.json.find("begins") != std::string::npos) {
        all.emplace_back(record.frame_index, record.json);
      }
    }
    return all;
  };
  const std::vector<std::pair<std::int64_t, std::string>> told = {{9, "{\"begins\": 1}"},
                                                                  {9, "{\"begins\": 2}"}};
  // Closed or killed with a frame or without.
  for (const int frames : {0, 1}) {
    const int status = run_child([&] {
      Writer writer = Writer::append(store, {});
      writer.add_extra("{\"begins\": " + std::to_string(frames + 1) + "}");
      for (int i = 0; i < frames; ++i) {
        add(writer, 10 + i);
      }
      writer.sync();
      if (killed) {
        return std::raise(SIGKILL);
      }
      writer.close();
      return 0;
    });
    REQUIRE(status == (killed ? -SIGKILL : 0));
    CAPTURE(killed, frames);
    CHECK(events() == std::vector(told.begin(), told.begin() + frames + 1));
    repair(store, {});
    CHECK(events() == std::vector(told.begin(), told.begin() + frames + 1));
    CHECK(repair(store, {}).steps.empty());
  }
  CHECK(avstore::store::read_extra_records(store, {}).records.size() == 12);
  CHECK(read_text(store / "000002.extra.json").find("begins") != std::string::npos);
  CHECK(verify(store, {}).findings.empty());
}

TEST_CASE("damage in the midst of a chunk is told of by repair, and by verify from then on") {
  const KilledRecording recording(GENERATE("avc1/mp4", "h264/mkv", "mjpeg/avi"));
  const fs::path& store = recording.store;
  const fs::path& file = recording.file;
  const Piece& piece = recording.piece;
  // Coded pixels, as far behind the piece's headers as can be.
  flip_bit(file, static_cast<std::uintmax_t>(8 * (piece.position + piece.bytes - 40)));
  CHECK(!verify(store, {}).findings.empty());
  const std::vector<std::string> planned = verify(store, {}).repairs;
  CHECK(any_contains(planned, "are not as they were written"));
  CHECK(repair(store, {}).steps == planned);
  CHECK(Reader(store).info().frame_count == kFrames);
  const std::vector<std::string> findings = verify(store, {}).findings;
  CAPTURE(findings);
  REQUIRE(findings.size() == 1);
  CHECK(findings.front().find("are not as they were written; frames 20 to 24") !=
        std::string::npos);
  CHECK(repair(store, {}).steps.empty());
  CHECK(repair(store, {}).frames == kFrames);
}

TEST_CASE("what is behind a hole in a chunk is kept, and what was in it is remembered") {
  const KilledRecording recording(GENERATE("avc1/mp4", "h264/mkv", "mjpeg/avi"));
  const fs::path& store = recording.store;
  const fs::path& file = recording.file;
  const Piece& piece = recording.piece;
  {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(piece.position);
    stream << std::string(static_cast<std::size_t>(piece.bytes), '\0');
  }
  const std::string damaged = read_text(file);
  const std::vector<std::string> planned = verify(store, {}).repairs;
  CHECK(any_contains(planned, "5 of its 40 frames cannot be read: frame_number 20 to 24;"));
  const RepairResult done = repair(store, {});
  CHECK(done.steps == planned);
  CHECK_FALSE(done.is_whole);
  CHECK(done.frames == kFrames - 5);
  CHECK(done.frames_dropped == 5);
  CHECK(Reader(store).info().frame_count == kFrames - 5);
  CHECK(wrong_numbers(store).empty());
  const std::string first_behind =
      sqlite(store, "SELECT frame_index FROM frames WHERE frame_number = 25").front();
  CHECK(first_behind == "20");
  CHECK(frame_md5s(file).size() == kFrames - 5);
  CHECK(read_text(kept_of(done, file.filename().string())) == damaged);
  CHECK(run_lines("cat " + quoted(done.put_aside / "000000.dropped.csv")).size() == 6);

  // It is remembered by the database, and by one that is made anew without the old.
  const auto is_told = [&store] {
    const std::vector<std::string> findings = verify(store, {true, {}}).findings;
    CAPTURE(findings);
    return findings.size() == 1 && findings == Reader(store).info().losses &&
           any_contains(findings,
                        "frame_number 20 to 24; the file as it was lies in "
                        ".put-aside/repair-1");
  };
  CHECK(is_told());
  fs::remove(store / ".index.sqlite");
  CHECK(Reader(store).frame_count() == kFrames - 5);
  CHECK(is_told());
  CHECK(rebuild_index(store, {}) == kFrames - 5);
  CHECK(is_told());
  CHECK(wrong_numbers(store).empty());
  {
    Writer writer = Writer::append(store, {});
    add(writer, kFrames);
    writer.close();
  }
  CHECK(is_told());
  CHECK(repair(store, {}).losses.size() == 1);
  CHECK(Reader(store).info().frame_count == kFrames - 4);
  CHECK(wrong_numbers(store).empty());
  fs::remove_all(store / ".put-aside");
  CHECK(any_contains(Reader(store).info().losses, "is not kept any more"));
}

TEST_CASE("a damaged end of a chunk is told of like damage elsewhere") {
  const KilledRecording recording(GENERATE("avc1/mp4", "h264/mkv", "mjpeg/avi"));
  const fs::path& store = recording.store;
  const Piece piece = piece_of(store, kFrames - 5);
  flip_bit(recording.file, static_cast<std::uintmax_t>(8 * (piece.position + piece.bytes - 40)));
  const std::vector<std::string> planned = verify(store, {}).repairs;
  CHECK(any_contains(planned, "frames 35 to 39 may be wrong"));
  const RepairResult result = repair(store, {});
  CHECK(result.steps == planned);
  CHECK(!result.is_whole);
  CHECK(result.frames == kFrames);
  CHECK(any_contains(verify(store, {}).findings, "frames 35 to 39"));
}

TEST_CASE(
    "an image that was flipped at the end of a chunk stays, and verify goes on telling of it") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  record_and_die(store, "png");
  flip_bit(store / "000000" / "000039.png", 8 * 60);
  CHECK(repair(store, {}).frames == kFrames);
  CHECK(any_contains(verify(store, {}).findings, "frame 39 is not as it was written"));
}

TEST_CASE("a damaged header is told of by repair, and by verify before and after") {
  const std::string format = GENERATE("avc1/mp4", "h264/mkv", "mjpeg/avi");
  const KilledRecording recording(format);
  const fs::path& store = recording.store;
  const std::int64_t header = header_bytes(store);
  // Where no demuxer looks: MP4's name of the handler, Matroska's of the program, AVI's padding.
  const std::string all = read_text(recording.file);
  const std::size_t place = all.find(format == "avc1/mp4"   ? "VideoHandler"
                                     : format == "h264/mkv" ? "Lavf"
                                                            : "JUNK");
  REQUIRE(static_cast<std::int64_t>(place) < header);
  flip_bit(recording.file, 8 * (place + (format == "mjpeg/avi" ? 12 : 1)));
  CHECK(any_contains(verify(store, {}).findings, "they are the file's header"));
  const std::vector<std::string> planned = verify(store, {}).repairs;
  CHECK(any_contains(planned, "its header is not as it was written"));
  const RepairResult result = repair(store, {});
  CHECK(result.steps == planned);
  CHECK(!result.is_whole);
  CHECK(result.frames == kFrames);
  CHECK(any_contains(verify(store, {}).findings, "they are the file's header"));
  CHECK(wrong_codes(store).empty());
}

TEST_CASE("a chunk without a header is put aside with the names of its frames") {
  const KilledRecording recording(GENERATE("avc1/mp4", "h264/mkv"));
  const fs::path& store = recording.store;
  {
    std::fstream stream(recording.file, std::ios::in | std::ios::out | std::ios::binary);
    stream << std::string(static_cast<std::size_t>(header_bytes(store)), '\0');
  }
  const std::string damaged = read_text(recording.file);
  const std::string name = recording.file.filename().string();
  const std::vector<std::string> planned = verify(store, {}).repairs;
  CHECK(any_contains(planned, "40 of its 40 frames cannot be read: frame_number 0 to 39;"));
  const RepairResult result = repair(store, {});
  CHECK(result.steps == planned);
  CHECK(result.frames == 0);
  CHECK(read_text(kept_of(result, name)) == damaged);
  const auto names = run_lines("cat " + quoted(result.put_aside / "000000.dropped.csv"));
  REQUIRE(names.size() == kFrames + 1);
  CHECK(names[0] == "frame_index,frame_number,frame_time,frame_idx,pts");
  const auto last = plain_names(kFrames).back();
  CHECK_THAT(names.back(), Catch::Matchers::StartsWith("39," + std::to_string(last.number) + ","));
  CHECK(repair(store, {}).steps.empty());
  {
    Writer writer = Writer::append(store, {});
    add(writer, 0);
    writer.close();
  }
  CHECK(wrong_codes(store).empty());
  CHECK(verify(store, {}).findings == result.losses);
}

// Each frame is a JPEG image, which libavformat finds without the container too.
TEST_CASE("frames of an AVI file without a header are read all the same") {
  const KilledRecording recording("mjpeg/avi");
  const fs::path& store = recording.store;
  {
    std::fstream stream(recording.file, std::ios::in | std::ios::out | std::ios::binary);
    stream << std::string(static_cast<std::size_t>(header_bytes(store)), '\0');
  }
  const RepairResult result = repair(store, {});
  CHECK(result.frames == kFrames);
  CHECK_FALSE(result.is_whole);
  CHECK(wrong_codes(store).empty());
  CHECK(any_contains(verify(store, {}).findings, "they are the file's header"));
}

TEST_CASE("a chunk that is gone before it was finished keeps its frames' names") {
  const std::string format = GENERATE("avc1/mp4", "h264/mkv", "mjpeg/avi", "png");
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  record_and_die(store, format);
  const fs::path file = is_video(format) ? chunk_file(store, format, 0) : store / "000000";
  fs::rename(file, folder.path() / "away");
  const std::vector<std::string> planned = verify(store, {}).repairs;
  CHECK(any_contains(planned, "is gone; its 40 frames keep"));
  const RepairResult result = repair(store, {});
  CHECK(result.steps == planned);
  CHECK(!result.is_whole);
  CHECK(result.frames == kFrames);
  CHECK(any_contains(verify(store, {}).findings, "its 40 frames are lost"));
  CHECK(repair(store, {}).steps.empty());
  {
    Writer writer = Writer::append(store, {});
    add(writer, kFrames);
    writer.close();
  }
  CHECK(code_of(Reader(store).read(FrameIndex(kFrames)).image.view()) == kFrames);
  fs::rename(folder.path() / "away", file);
  CHECK(wrong_codes(store).empty());
}

TEST_CASE("a chunk of which there is nothing but an empty row goes") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4", 7), 10);
  {
    auto index = index::Index::open_for_writing(store / ".index.sqlite");
    index::ChunkRow row;
    row.chunk = 2;
    row.path = "000002.mp4";
    row.first_frame_index = 10;
    row.state = index::ChunkState::open;
    index.put_chunk(row);
    index.close();
  }
  const bool has_file = GENERATE(false, true);
  if (has_file) {
    write_text(store / "000002.mp4", "the head of a file");
  }
  CHECK(any_contains(verify(store, {}).repairs, has_file
                                                    ? "000002.mp4: has no row, is put aside"
                                                    : "000002.mp4: has no frame and is not there"));
  CHECK(repair(store, {}).is_whole);
  CHECK(sqlite(store, "SELECT count(*) FROM chunks").front() == "2");
  CHECK(verify(store, {}).findings.empty());
  Writer writer = Writer::append(store, {});
  add(writer, 10);
  writer.close();
  CHECK(wrong_codes(store).empty());
}

TEST_CASE("what has no row is put aside, each time under a name of its own") {
  const std::string format = GENERATE("avc1/mp4", "png");
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  const auto record_and_die = [&](bool again, int first) {
    return run_child([&] {
      Writer writer = again ? Writer::append(store, {}) : Writer(store, options_of(format, 100));
      for (int i = first; i < first + 5; ++i) {
        add(writer, i);
      }
      writer.sync();
      return std::raise(SIGKILL);
    });
  };
  for (int round = 0; round < 2; ++round) {
    REQUIRE(record_and_die(round > 0, 5 * round) == -SIGKILL);
    // As if frames had reached the files, and no row.
    const std::string chunk = "00000" + std::to_string(round);
    if (format == "png") {
      fs::copy_file(store / chunk / "000000.png", store / chunk / "000005.png");
    } else {
      const fs::path file = store / (chunk + ".mp4");
      const std::string all = read_text(file);
      // Half the head of a fragment.
      std::ofstream(file, std::ios::app) << all.substr(all.find("moof") - 4, 30);
    }
    CHECK(wrong_codes(store).empty());
    CHECK(verify(store, {true, {}}).findings.empty());
    fs::create_directory(store / ".put-aside");
    std::ofstream(store / ".put-aside" / "mine") << "x";
    const std::string before = format == "png" ? "" : read_text(store / (chunk + ".mp4"));
    const RepairResult result = repair(store, {});
    CHECK(result.put_aside == store / ".put-aside" / ("repair-" + std::to_string(round + 1)));
    CHECK(verify(store, {true, {}}).findings.empty());
    CHECK(fs::exists(store / ".put-aside" / "mine"));
    if (format == "png") {
      CHECK(read_text(kept_of(result, "000005.png")) == read_text(store / chunk / "000000.png"));
    } else {
      CHECK(read_text(kept_of(result, chunk + ".mp4")) == before);
    }
  }
  CHECK(Reader(store).info().frame_count == 10);
  CHECK(wrong_codes(store).empty());
}

TEST_CASE("repair leaves complete stores, and those of others, as they are") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("h264/mkv", 7), 10);
  const auto before =
      run_lines("cd " + quoted(store.string()) + " && ls -la --time-style=full-iso .");
  CHECK(repair(store, {}).steps.empty());
  CHECK(run_lines("cd " + quoted(store.string()) + " && ls -la --time-style=full-iso .") == before);
  std::ofstream(store / ".lock");
  CHECK(kind_of_error([&] { repair(store, {}); }, "remove it") == ErrorKind::exists);
}

TEST_CASE("repair writes a chunk's index anew where it cannot be read, and keeps what was there") {
  const std::string format = GENERATE("h264/mkv", "png");
  const std::string name = GENERATE(".npz", ".yaml");
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of(format, 7), 23);
  const std::string stem = format == "png" ? "000001/index" : "000001";
  const std::string good = read_text(store / (stem + ".npz"));
  fs::remove(store / (stem + ".npz"));
  write_text(store / (stem + name), "damaged: [");
  const auto planned = repair(store, {true, {}}).steps;
  REQUIRE(planned.size() == 2);
  CHECK_THAT(planned[0], Catch::Matchers::StartsWith(stem + name));
  CHECK(verify(store, {}).repairs == planned);
  CHECK(read_text(store / (stem + name)) == "damaged: [");
  const RepairResult result = repair(store, {});
  CHECK(result.steps == planned);
  CHECK(result.frames == 23);
  CHECK(read_text(kept_of(result, fs::path(stem + name).filename().string())) == "damaged: [");
  CHECK(read_text(store / (stem + ".npz")) == good);
  CHECK(verify(store, {true, {}}).findings.empty());
  CHECK(repair(store, {}).steps.empty());
  fs::remove(store / ".index.sqlite");
  CHECK(wrong_codes(store).empty());
  CHECK(Reader(store).frame_count() == 23);
}

TEST_CASE("repair leaves an index alone that can be read from the YAML file beside it") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("h264/mkv", 7), 7);
  write_text(store / "000000.npz", "garbage");
  write_text(store / "000000.yaml",
             "frame_number: [0, 1, 2, 3, 4, 5, 6]\nframe_time: [0, 1, 2, 3, 4, 5, 6]\n");
  CHECK(repair(store, {true, {}}).steps.empty());
}

TEST_CASE("repair moves nothing out of a folder that is not the store's own") {
  const bool is_open = GENERATE(true, false);
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  record_and_die(store, "png");
  if (!is_open) {
    sqlite(store, "UPDATE chunks SET state = 'closed'");
  }
  const fs::path pictures = folder.path() / "pictures";
  fs::rename(store / "000000", pictures);
  fs::copy_file(pictures / "000000.png", pictures / "000040.png");
  fs::create_directory_symlink(pictures, store / "000000");
  const auto before = tree(pictures);
  CHECK(kind_of_error([&] { repair(store, {}); },
                      is_open ? "no folder of the store's own" : "is no folder of the store") ==
        ErrorKind::corrupt);
  CHECK(tree(pictures) == before);
  CHECK(any_contains(verify(store, {}).repairs, "repair changes nothing"));
  CHECK_FALSE(fs::exists(store / ".put-aside"));
}

TEST_CASE("repair leaves a damaged chunk alone whose rows contradict each other") {
  const KilledRecording recording("h264/mkv");
  const fs::path& store = recording.store;
  flip_bit(recording.file, static_cast<std::uintmax_t>(
                               8 * (recording.piece.position + recording.piece.bytes - 40)));
  sqlite(store, "UPDATE frames SET pts = 40 WHERE frame_index = 7");
  auto before = tree(store);
  CHECK(before[".index.sqlite-wal"].empty());
  CHECK(kind_of_error([&] { repair(store, {}); }, "contradicts itself; repair changes nothing") ==
        ErrorKind::corrupt);
  CHECK(kind_of_error([&] { repair(store, {true, {}}); }) == ErrorKind::corrupt);
  CHECK(any_contains(verify(store, {}).repairs, "contradicts itself; repair changes nothing"));
  auto after = tree(store);
  // SQLite makes both to open the database.
  CHECK(after[".index.sqlite-wal"].empty());
  for (const char* name : {".index.sqlite-shm", ".index.sqlite-wal"}) {
    after.erase(name);
    before.erase(name);
  }
  CHECK(after == before);
}
