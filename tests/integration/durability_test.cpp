// What becomes durable and when; checksums of what was written, and what verify makes of them;
// stores gone on with; whose a store is.
#include <csignal>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "avstore/error.h"
#include "avstore/tools.h"
#include "store/thread_share.h"
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

// zlib's crc32 of every piece and of every chunk, against the database: prints what differs, and
// how much there was.
constexpr const char* kCheckChecksums = R"(
import os, sqlite3, sys, zlib
store = sys.argv[1]
db = sqlite3.connect(os.path.join(store, '.index.sqlite'))
pieces = 0
for chunk, path, size, checksum in db.execute('SELECT chunk, chunk_path, bytes, checksum FROM chunks'):
    place = os.path.join(store, path)
    folder = os.path.isdir(place)
    if folder:
        names = sorted(n for n in os.listdir(place) if not n.startswith('index'))
        whole = b''.join(open(os.path.join(place, n), 'rb').read() for n in names)
    else:
        whole = open(place, 'rb').read()
    if size != len(whole) or checksum != 'crc32:%08x' % zlib.crc32(whole):
        print('chunk', path)
    covered = 0
    for frame, position, bytes, crc in db.execute(
            'SELECT frame_idx, position, bytes, crc32 FROM checksums WHERE chunk = ? ORDER BY frame_idx, position', (chunk,)):
        part = open(os.path.join(place, names[frame]), 'rb').read() if folder else whole[position:position + bytes]
        if len(part) != bytes or zlib.crc32(part) != crc or (not folder and position != covered):
            print('piece', path, frame, position)
        covered += bytes
        pieces += 1
    if covered != len(whole):
        print('only', covered, 'of', path)
print(pieces, 'pieces')
)";

// The frames that a finding says may be wrong: "... frames A to B of the chunk may be wrong".
std::set<std::int64_t> named_frames(const std::string& finding) {
  std::set<std::int64_t> frames;
  const std::size_t at = finding.find("frames ");
  if (at == std::string::npos || finding.find("may be wrong") == std::string::npos) {
    return frames;
  }
  const std::int64_t first = std::stoll(finding.substr(at + 7));
  const std::int64_t last = std::stoll(finding.substr(finding.find(" to ", at) + 4));
  for (std::int64_t frame = first; frame <= last; ++frame) {
    frames.insert(frame);
  }
  return frames;
}

// Waits as long as a test may.
void wait_until_durable(const Writer& writer, std::int64_t count) {
  while (writer.durable_count() < count) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

// The same; meanwhile something is done all the time, at the pace of a slow camera.
void wait_until_durable(const Writer& writer, std::int64_t count,
                        const std::function<void()>& meanwhile) {
  while (writer.durable_count() < count) {
    meanwhile();
    std::this_thread::sleep_for(std::chrono::milliseconds(400));
  }
}

}  // namespace

TEST_CASE("checksums are those of the bytes written") {
  const std::string format =
      GENERATE("avc1/mp4", "h264/mkv", "mjpeg/avi", "ffv1/mkv", "png", "npy", "av1/mp4");
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  WriterOptions options = options_of(format, 25);
  if (is_video(format)) {
    options.encoder.keyframe_interval = 6;
  }
  write_store(store, options, 60);
  const std::string printed = python(kCheckChecksums, store);
  CAPTURE(format, printed);
  CHECK(printed.find("chunk") == std::string::npos);
  CHECK(printed.find("piece ") == std::string::npos);
  CHECK(printed.find("only") == std::string::npos);
  CHECK(std::stoi(printed) >= (is_video(format) ? 6 : 60));
}

TEST_CASE("checksums of inserted and copied chunks, and after the index was made anew") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(folder.path() / "other", options_of("avc1/mp4", 30), 30);
  std::vector<FrameNames> names;
  for (int i = 0; i < 30; ++i) {
    names.push_back({FrameNumber(100 + i), FrameTime(i)});
  }
  {
    Writer writer(store, options_of("avc1/mp4", 30));
    add(writer, 0);
    writer.insert_chunk(folder.path() / "other" / "000000.mp4", names);
    writer.close();
  }
  CHECK(python(kCheckChecksums, store).find(" ") == 1);
  rebuild_index(store, {});
  CHECK(python(kCheckChecksums, store).find(" ") == 1);
  CHECK(verify(store, {true, {}}).findings.empty());
}

TEST_CASE("verify finds any flipped bit, and names the frames that it changes") {
  const std::string format = GENERATE("avc1/mp4", "h264/mkv", "mjpeg/avi", "png");
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  WriterOptions options = options_of(format, 20);
  if (is_video(format)) {
    options.encoder.keyframe_interval = 5;
  }
  write_store(store, options, 40);
  const fs::path file =
      is_video(format) ? chunk_file(store, format, 1) : store / "000001" / "000007.png";
  const std::vector<std::string> whole =
      is_video(format) ? frame_md5s(file) : std::vector<std::string>();
  std::mt19937 random(5);
  for (int i = 0; i < 25; ++i) {
    const std::uintmax_t bit = random() % (8 * fs::file_size(file));
    CAPTURE(format, bit / 8);
    flip_bit(file, bit);
    const VerifyResult found = verify(store, {});
    CAPTURE(found.findings);
    REQUIRE(!found.findings.empty());
    CHECK(found.findings.front().starts_with("000001"));
    if (!is_video(format)) {
      CHECK(found.findings.front() == "000001: frame 7 is not as it was written");
    } else if (const auto named = named_frames(found.findings.front()); !named.empty()) {
      const std::vector<std::string> now = frame_md5s(file);
      for (std::size_t frame = 0; now.size() == whole.size() && frame < now.size(); ++frame) {
        CHECK((now[frame] == whole[frame] || named.contains(static_cast<std::int64_t>(frame))));
      }
    }
    flip_bit(file, bit);
  }
  CHECK(verify(store, {}).findings.empty());
}

TEST_CASE("damage in a chunk that was inserted is told of by its frames") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  const std::string format = GENERATE("avc1/mp4", "h264/mkv");
  WriterOptions options = options_of(format, 30);
  options.encoder.keyframe_interval = 6;
  write_store(folder.path() / "other", options, 30);
  std::vector<FrameNames> names;
  for (int i = 0; i < 30; ++i) {
    names.push_back({FrameNumber(i), FrameTime(i)});
  }
  const fs::path source = chunk_file(folder.path() / "other", format, 0);
  {
    Writer writer(store, options);
    writer.insert_chunk(source, names);
    writer.close();
  }
  const fs::path file = chunk_file(store, format, 0);
  constexpr std::size_t kTouched = 14;
  // size, position
  const std::string packet = probe(file, "-show_entries packet=size,pos").at(kTouched);
  flip_bit(file, 8 * std::stoull(packet.substr(packet.find(',') + 1)));
  const VerifyResult found = verify(store, {});
  CAPTURE(format, found.findings);
  REQUIRE(!found.findings.empty());
  const std::set<std::int64_t> named = named_frames(found.findings.front());
  CHECK(named.size() >= 6);
  CHECK(named.size() < 30);
  CHECK(named.contains(kTouched));
}

TEST_CASE("a file that is cut off is one finding of checksums, with all frames from there on") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  WriterOptions options = options_of("h264/mkv", 40);
  options.encoder.keyframe_interval = 5;
  write_store(store, options, 40);
  const fs::path file = chunk_file(store, "h264/mkv", 0);
  fs::resize_file(file, fs::file_size(file) / 2);
  std::vector<std::string> of_checksums;
  for (const std::string& finding : verify(store, {}).findings) {
    if (finding.find("not as they were written") != std::string::npos) {
      of_checksums.push_back(finding);
    }
  }
  REQUIRE(of_checksums.size() == 1);
  CHECK(named_frames(of_checksums.front()).contains(39));
  CHECK(!named_frames(of_checksums.front()).contains(0));
}

TEST_CASE("images that are gone do not keep verify from finding what else is wrong") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("png", 20), 20);
  fs::remove(store / "000000" / "000003.png");
  fs::remove(store / "000000" / "000004.png");
  flip_bit(store / "000000" / "000011.png", 800);
  const std::vector<std::string> findings = verify(store, {}).findings;
  CAPTURE(findings);
  REQUIRE(findings.size() == 3);
  CHECK(findings[0] == "000000: frames 3 to 4 are not as they were written");
  CHECK(findings[1] == "000000: frame 11 is not as it was written");
  CHECK(findings[2].find("has 18 images") != std::string::npos);
}

TEST_CASE("frames become durable though no others come") {
  const std::string format = GENERATE("avc1/mp4", "hevc/mkv", "mjpeg/avi", "png");
  const TemporaryFolder folder;
  Writer writer(folder.path() / "store", options_of(format, 1000));
  add(writer, 0);
  add(writer, 1);
  writer.add_extra("{\"event\": 1}");
  wait_until_durable(writer, 2);
  add(writer, 2);
  wait_until_durable(writer, 3);
  Reader reader(folder.path() / "store");
  CHECK(reader.info().frame_count == 3);
  writer.close();
  CHECK(wrong_codes(folder.path() / "store").empty());
  CHECK(verify(folder.path() / "store", {true, {}}).findings.empty());
}

// Not a second passes without something to do, as with a camera that is slow, or extra data alone.
TEST_CASE("frames become durable in time while other things come") {
  const TemporaryFolder folder;
  avstore::WriterOptions options = options_of("avc1/mp4", 1000);
  options.encoder.b_frames = 2;
  options.encoder.threads = 8;
  Writer writer(folder.path() / "store", options);
  SECTION("extra data") {
    for (int i = 0; i < 6; ++i) {
      add(writer, i);
    }
    wait_until_durable(writer, 6, [&writer] { writer.add_extra("{\"event\": 1}"); });
  }
  SECTION("one frame after another, at less than the nominal rate") {
    int next = 0;
    const auto add_one = [&] { add(writer, next++); };
    add_one();
    // An encoder with eight threads holds more than these; so many come in four seconds at most.
    wait_until_durable(writer, 1, add_one);
    CHECK(next < 10);
  }
  writer.close();
  CHECK(wrong_codes(folder.path() / "store").empty());
}

TEST_CASE("extra data become durable by themselves") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  Writer(store, options_of("avc1/mp4", 1000)).close();
  const auto records = [&store] {
    return sqlite(store, "SELECT count(*) FROM extra_data").front();
  };
  Writer writer = Writer::append(store, {});
  writer.add_extra("{\"event\": 1}");
  writer.sync();
  CHECK(records() == "1");
  writer.add_extra("{\"event\": 2}");
  while (records() != "2") {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

TEST_CASE("writers of one process share the cores") {
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  const store::ThreadShare first(0);
  CHECK(first.threads() == cores);
  {
    const store::ThreadShare second(0);
    CHECK(first.threads() == std::max(1, cores / 2));
    CHECK(second.threads() == first.threads());
    const store::ThreadShare told(cores);
    CHECK(told.threads() == cores);
    CHECK(first.threads() == 1);
  }
  CHECK(first.threads() == cores);

  const TemporaryFolder folder;
  WriterOptions options = options_of("avc1/mp4", 1000);
  options.encoder.threads = cores;
  Writer closed(folder.path() / "closed", options);
  Writer abandoned(folder.path() / "abandoned", options);
  CHECK(first.threads() == 1);
  add(closed, 0);
  closed.close();
  abandoned.abandon();
  CHECK(first.threads() == cores);
}

// --- Going on with a store ---

TEST_CASE("append goes on with a closed store in a new chunk") {
  const std::string format = GENERATE("avc1/mp4", "h264/mkv", "mjpeg/avi", "png", "npy");
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of(format, 7), 10);
  {
    Writer writer = Writer::append(store, {});
    CHECK(writer.durable_count() == 10);
    for (int i = 10; i < 25; ++i) {
      add(writer, i);
      if (i == 12) {
        writer.add_extra("{\"here\": true}");
      }
    }
    writer.close();
    CHECK(writer.statistics().frames_durable == 25);
  }
  Reader reader(store);
  CHECK(reader.info().frame_count == 25);
  CHECK(reader.info().chunk_count == 5);  // 7 + 3, then 7 + 7 + 1
  CHECK(wrong_codes(store).empty());
  check_names(reader, plain_names(25));
  CHECK(verify(store, {true, {}}).findings.empty());
  CHECK(python(kCheckChecksums, store).find("chunk") == std::string::npos);
  CHECK(sqlite(store, "SELECT frame_index, json FROM extra_data") ==
        std::vector<std::string>{"12|{\"here\": true}"});
}

TEST_CASE("append to stores of nothing, of others, and of other frames") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  CHECK(kind_of_error([&] { Writer::append(store, {}); }) == ErrorKind::not_found);
  { Writer(store, options_of("avc1/mp4", 7)).close(); }
  {
    Writer writer = Writer::append(store, {});
    add(writer, 0);
    writer.close();
  }
  CHECK(Reader(store).info().frame_count == 1);
  {
    Writer writer = Writer::append(store, {});
    const Drawn small = draw(pixel::gray8, 1, 48, 32);
    CHECK(kind_of_error([&] { writer.add(small.view, FrameNumber(1), FrameTime(1)); }) ==
          ErrorKind::invalid_argument);
    add(writer, 1);
    writer.close();
  }
  { const Writer nothing = Writer::append(store, {}); }
  CHECK(Reader(store).info().frame_count == 2);
  CHECK(wrong_codes(store).empty());
  {
    Writer given_up = Writer::append(store, {});
    given_up.abandon();
  }
  // Left in its journal mode for writing, each reader would leave a log beside it.
  CHECK(sqlite(store, "PRAGMA journal_mode").front() == "delete");
  CHECK(Reader(store).info().frame_count == 2);
  CHECK(!fs::exists(store / ".lock"));
}

TEST_CASE("extra data of a chunk that was there stays when a store is gone on with") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  {
    Writer writer(store, options_of("avc1/mp4", 7));
    add(writer, 0);
    writer.add_extra("{\"first\": 1}");
    writer.close();
  }
  const std::string before = read_text(store / "000000.extra.json");
  {
    Writer writer = Writer::append(store, {});
    writer.add_extra("{\"before a frame\": 1}");
    add(writer, 1);
    writer.close();
  }
  CHECK(read_text(store / "000000.extra.json") == before);
  CHECK(read_text(store / "000001.extra.json").find("before a frame") != std::string::npos);
}

// --- Who has a store ---

TEST_CASE("of two writers on one store the second is refused") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  Writer writer(store, options_of("avc1/mp4", 7));
  add(writer, 0);
  writer.sync();
  CHECK(kind_of_error([&] { Writer::append(store, {}); }, "being recorded") == ErrorKind::exists);
  WriterOptions over = options_of("avc1/mp4", 7);
  over.overwrite = true;
  CHECK(kind_of_error([&] { Writer(store, over); }, "being recorded") == ErrorKind::exists);
  CHECK(kind_of_error([&] { repair(store, {}); }, "being recorded") == ErrorKind::exists);
  CHECK(run_child([&] {
          return kind_of_error([&] { Writer::append(store, {}); }) == ErrorKind::exists ? 0 : 1;
        }) == 0);
  add(writer, 1);
  writer.close();
  CHECK(wrong_codes(store).empty());
}

TEST_CASE("a child of a writer's process does not keep its store when that is killed") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  const Signal forked;
  const Signal done;
  const pid_t parent = start_child([&] {
    Writer writer(store, options_of("avc1/mp4", 100));
    add(writer, 0);
    writer.sync();
    const pid_t child = ::fork();
    if (child == 0) {
      forked.send();
      done.wait();
      ::_exit(0);
    }
    return std::raise(SIGSTOP);
  });
  forked.wait();
  CHECK(Reader(store).info().recording);
  REQUIRE(::kill(parent, SIGKILL) == 0);
  REQUIRE(wait_for(parent) == -SIGKILL);
  CHECK(!Reader(store).info().recording);
  CHECK(repair(store, {}).frames == 1);
  done.send();
}

TEST_CASE("a store whose writer was killed is told from one being recorded") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  const int status = run_child([&] {
    Writer writer(store, options_of("avc1/mp4", 100));
    for (int i = 0; i < 5; ++i) {
      add(writer, i);
    }
    writer.sync();
    return std::raise(SIGKILL);
  });
  REQUIRE(status == -SIGKILL);
  {
    Reader reader(store);
    CHECK(!reader.info().recording);
    CHECK(reader.info().unfinished);
    CHECK(reader.info().frame_count == 5);
  }
  CHECK(kind_of_error([&] { Writer::append(store, {}); }, "repair") == ErrorKind::exists);
  const RepairResult planned = repair(store, {true, {}});
  CHECK(planned.steps.size() == 2);
  CHECK(verify(store, {}).repairs == planned.steps);
  CHECK(fs::exists(store / ".lock"));
  CHECK(repair(store, {}).steps == planned.steps);
  CHECK(!Reader(store).info().unfinished);
  {
    Writer writer = Writer::append(store, {});
    add(writer, 5);
    writer.close();
  }
  CHECK(Reader(store).info().frame_count == 6);
  CHECK(wrong_codes(store).empty());
}
