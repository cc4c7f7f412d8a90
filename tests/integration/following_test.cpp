// Reading a store while it is being recorded, by threads and from another process.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "avstore/error.h"
#include "avstore/reader.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/linear_decode.h"
#include "support/media_folder.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;
namespace pixel = avstore::pixel;

using avstore::Frame;
using avstore::FrameIndex;
using avstore::FrameInfo;
using avstore::FrameNumber;
using avstore::Reader;
using avstore::Writer;
using avstore::WriterOptions;
using avstore::test::add;
using avstore::test::chunk_file;
using avstore::test::code_of;
using avstore::test::frame_md5s;
using avstore::test::is_video;
using avstore::test::options_of;
using avstore::test::read_text;
using avstore::test::shuffled_indices;
using avstore::test::sqlite;
using avstore::test::TemporaryFolder;
using avstore::test::write_text;

WriterOptions live_options(const std::string& format, int b_frames = 0) {
  WriterOptions options = options_of(format, 23);
  options.encoder.b_frames = b_frames;
  if (is_video(format)) {
    options.encoder.keyframe_interval = 5;
  }
  return options;
}

bool takes_b_frames(const std::string& format) {
  return format == "avc1/mp4" || format == "h264/mkv";
}

// What a reader found while it followed a recording.
struct Followed {
  std::vector<std::string> md5s;  // by frame_index
  std::int64_t wrong_codes = 0;
  std::int64_t wrong_numbers = 0;
  std::int64_t refreshes_with_news = 0;
  bool fell = false;  // the number of frames did
  std::string failure;

  bool operator==(const Followed&) const = default;
};

// Reads each frame as soon as it is there, one after another, and some older one each time, until
// nobody records any more.
Followed follow(const fs::path& store) {
  Followed found;
  try {
    Reader reader(store);
    bool recording = true;
    while (recording) {
      const std::int64_t before = reader.frame_count();
      const std::int64_t count = reader.refresh();
      recording = reader.info().recording;
      found.fell = found.fell || count < before;
      found.refreshes_with_news += count > before ? 1 : 0;
      while (const auto frame = reader.next()) {
        const std::int64_t index = frame->info.index.value;
        found.md5s.push_back(avstore::md5(frame->image.view()));
        found.wrong_codes += code_of(frame->image.view()) != (index & 255) ? 1 : 0;
        found.wrong_numbers += frame->info.number.value != index ? 1 : 0;
      }
      if (count > 2) {
        const FrameIndex older(count / 2);
        found.wrong_codes +=
            code_of(reader.read(older).image.view()) != (older.value & 255) ? 1 : 0;
        reader.read(FrameIndex(count - 1));  // next() goes on after it
      }
    }
  } catch (const std::exception& error) {
    found.failure = error.what();
  }
  return found;
}

std::vector<std::string> linear_md5s(const fs::path& store, const std::string& format) {
  std::vector<std::string> all;
  for (int chunk = 0; fs::exists(chunk_file(store, format, chunk)); ++chunk) {
    const auto md5s = frame_md5s(chunk_file(store, format, chunk));
    all.insert(all.end(), md5s.begin(), md5s.end());
  }
  return all;
}

void check_followed(const Followed& found, const fs::path& store, const std::string& format,
                    std::size_t frames) {
  CHECK(found.failure == "");  // NOLINT(readability-container-size-empty): shows it
  CHECK(found.md5s.size() == frames);
  CHECK(found.wrong_codes == 0);
  CHECK(found.wrong_numbers == 0);
  CHECK_FALSE(found.fell);
  if (is_video(format)) {
    CHECK((found.md5s == linear_md5s(store, format)));  // too many to show
  }
}

// A process that records as often as it is told to, and says when it has.
class RecordingProcess {
 public:
  RecordingProcess(const fs::path& store, const WriterOptions& options) {
    REQUIRE(::pipe2(orders_.data(), O_CLOEXEC) == 0);
    REQUIRE(::pipe2(answers_.data(), O_CLOEXEC) == 0);
    child_ = ::fork();
    REQUIRE(child_ >= 0);
    if (child_ == 0) {
      ::close(orders_[1]);
      ::_exit(serve(store, options));
    }
    ::close(orders_[0]);
    ::close(answers_[1]);
  }
  ~RecordingProcess() {
    ::close(orders_[1]);
    ::close(answers_[0]);
    int status = 0;
    ::waitpid(child_, &status, 0);
  }
  RecordingProcess(const RecordingProcess&) = delete;
  RecordingProcess& operator=(const RecordingProcess&) = delete;

  // 'f': a frame, 's': make all durable, 'c': close
  void order(char what) const { REQUIRE(::write(orders_[1], &what, 1) == 1); }
  void await(char what) const {
    order(what);
    char done = 0;
    REQUIRE(::read(answers_[0], &done, 1) == 1);
    REQUIRE(done == what);
  }

 private:
  int serve(const fs::path& store, const WriterOptions& options) const {
    try {
      Writer writer(store, options);
      int number = 0;
      for (char order = 0; ::read(orders_[0], &order, 1) == 1;) {
        if (order == 'f') {
          add(writer, number++);
        } else if (order == 's') {
          writer.sync();
        } else {
          writer.close();
        }
        if (order != 'f' && ::write(answers_[1], &order, 1) != 1) {
          return 1;
        }
      }
      return 0;
    } catch (const std::exception&) {
      return 2;
    }
  }

  std::array<int, 2> orders_{};
  std::array<int, 2> answers_{};
  pid_t child_ = -1;
};

}  // namespace

TEST_CASE("refresh sees what another process has made durable, and no more") {
  for (const std::string format : {"avc1/mp4", "h264/mkv", "ffv1/mkv", "mjpeg/avi", "png", "npy"}) {
    for (const int b_frames : {0, 2}) {
      if (b_frames > 0 && !takes_b_frames(format)) {
        continue;
      }
      DYNAMIC_SECTION(format << ", B-frames " << b_frames) {
        const TemporaryFolder folder;
        const auto store = folder.path() / "store";
        const RecordingProcess recorder(store, live_options(format, b_frames));
        recorder.order('f');
        recorder.await('s');
        Reader reader(store);
        CHECK(reader.frame_count() == 1);
        CHECK(reader.info().recording);
        CHECK(code_of(reader.read(FrameIndex(0)).image.view()) == 0);
        // Within a keyframe interval, at its end, at a chunk's end and beyond.
        int recorded = 1;
        for (const int more : {1, 3, 5, 12, 1, 1, 23, 40}) {
          for (int i = 0; i < more; ++i, ++recorded) {
            recorder.order('f');
          }
          recorder.await('s');
          const std::int64_t before = reader.frame_count();
          CHECK(before == recorded - more);
          CHECK(reader.refresh() == recorded);
          CHECK(reader.info().frame_count == recorded);
          CHECK(reader.info().number_max == FrameNumber(recorded - 1));
          CHECK(sqlite(store, "SELECT count(*) FROM frames") ==
                std::vector{std::to_string(recorded)});
          CHECK(reader.next()->info.index == FrameIndex(before));
          for (const FrameIndex index : shuffled_indices(recorded)) {
            CAPTURE(recorded, index.value);
            REQUIRE(code_of(reader.read(index).image.view()) == index.value);
          }
          reader.read(FrameIndex(recorded - 1));
          CHECK_FALSE(reader.next().has_value());
        }
        recorder.await('c');
        CHECK(reader.refresh() == recorded);
        CHECK_FALSE(reader.info().recording);
        CHECK_FALSE(reader.info().open_for_writing);
        std::vector<FrameIndex> all;
        std::vector<std::string> md5s;
        for (int i = 0; i < recorded; ++i) {
          all.emplace_back(i);
        }
        for (const Frame& frame : reader.read_many(all)) {
          md5s.push_back(avstore::md5(frame.image.view()));
        }
        if (is_video(format)) {
          CHECK((md5s == linear_md5s(store, format)));
        }
        CHECK(reader.refresh() == recorded);
      }
    }
  }
}

TEST_CASE("readers that follow a recording get every frame as it will be") {
  constexpr int kFrames = 200;
  for (const std::string format : {"avc1/mp4", "h264/mkv", "mjpeg/avi", "png"}) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      const auto store = folder.path() / "store";
      Writer writer(store, live_options(format));
      add(writer, 0);
      writer.sync();
      std::array<Followed, 2> found;
      std::vector<std::thread> readers;
      for (Followed& followed : found) {
        readers.emplace_back([&followed, &store] { followed = follow(store); });
      }
      for (int i = 1; i < kFrames; ++i) {
        add(writer, i);
      }
      writer.close();
      for (std::thread& reader : readers) {
        reader.join();
      }
      for (const Followed& followed : found) {
        check_followed(followed, store, format, kFrames);
      }
    }
  }
}

TEST_CASE("a process that follows another one's recording gets every frame as it will be") {
  constexpr int kFrames = 300;
  for (const std::string format : {"avc1/mp4", "ffv1/mkv", "mjpeg/avi", "png"}) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      const auto store = folder.path() / "store";
      const RecordingProcess recorder(store, live_options(format));
      recorder.order('f');
      recorder.await('s');
      for (int i = 1; i < kFrames; ++i) {
        recorder.order('f');  // as fast as it can, while we read
      }
      std::thread closing([&recorder] { recorder.await('c'); });
      const Followed found = follow(store);
      closing.join();
      check_followed(found, store, format, kFrames);
    }
  }
}

TEST_CASE("a reader in the midst of reading does not hold up the writer") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  Writer writer(store, live_options("avc1/mp4"));
  for (int i = 0; i < 30; ++i) {
    add(writer, i);
  }
  writer.sync();
  Reader reader(store);
  std::int64_t visited = 0;
  reader.for_each_info({0, 30}, [&](const FrameInfo& info) {
    CHECK(info.index.value == visited++);
    add(writer, static_cast<int>(30 + info.index.value));
    writer.sync();
    return true;
  });
  CHECK(visited == 30);
  CHECK(writer.durable_count() == 60);
  CHECK(reader.frame_count() == 30);
  CHECK(reader.refresh() == 60);
  writer.close();
  CHECK(code_of(reader.read(FrameIndex(59)).image.view()) == 59);
}

TEST_CASE("verify finds nothing wrong in a store that grows meanwhile") {
  const std::string format = GENERATE("avc1/mp4", "h264/mkv", "png");
  const bool deep = GENERATE(false, true);
  const bool ends = GENERATE(false, true);  // the recording does as well
  CAPTURE(format, deep, ends);
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  Writer writer(store, live_options(format));
  int recorded = 0;
  const auto record = [&](int frames) {
    for (int i = 0; i < frames; ++i) {
      add(writer, recorded++);
      writer.add_extra("{\"lick\": true}");
    }
    writer.sync();
  };
  record(30);
  // Called first in the midst of the first chunk: the second is closed before it is looked at.
  avstore::VerifyOptions options;
  options.deep = deep;
  options.progress = [&](std::int64_t /*done*/, std::int64_t /*total*/) {
    if (recorded == 30) {
      record(60);
      if (ends) {
        writer.close();
      }
    }
    return true;
  };
  const auto found = avstore::verify(store, options);
  CHECK(recorded == 90);
  CHECK(found.findings == std::vector<std::string>());
  CHECK(found.repairs == std::vector<std::string>());
  CHECK(found.frames == 30);
  CHECK(found.chunks == 2);
  writer.close();
  CHECK(avstore::verify(store, {true, {}}).findings == std::vector<std::string>());
}

TEST_CASE("verify, time and again beside a recording, finds nothing wrong") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  Writer writer(store, live_options("avc1/mp4"));
  add(writer, 0);
  writer.sync();
  std::atomic<bool> done = false;
  std::thread recording([&] {
    for (int i = 1; i < 150; ++i) {
      add(writer, i);
      writer.sync();
    }
    done = true;
  });
  std::vector<std::string> findings;
  while (!done) {
    try {
      const auto found = avstore::verify(store, {}).findings;
      findings.insert(findings.end(), found.begin(), found.end());
    } catch (const std::exception& error) {
      findings.emplace_back(error.what());
    }
  }
  recording.join();
  CHECK(findings == std::vector<std::string>());
  writer.close();
}

// What has reached a file ends anywhere while it is written and after a kill.
TEST_CASE("what follows the durable frames in a chunk may be cut off at any byte") {
  for (const std::string format : {"avc1/mp4", "h264/mkv", "mjpeg/avi"}) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      const auto store = folder.path() / "store";
      const auto copy = folder.path() / "copy";
      Writer writer(store, live_options(format));
      for (int i = 0; i < 10; ++i) {
        add(writer, i);
      }
      writer.sync();
      fs::copy(store, copy);
      for (int i = 10; i < 15; ++i) {
        add(writer, i);
      }
      writer.sync();
      const fs::path file = chunk_file(copy, format, 0);
      const std::size_t durable = fs::file_size(file);
      const std::string all = read_text(chunk_file(store, format, 0));
      REQUIRE(all.size() > durable + 300);
      std::int64_t wrong = 0;
      for (std::size_t size = durable; size < durable + 300; ++size) {
        CAPTURE(size - durable);
        write_text(file, all.substr(0, size));
        Reader reader(copy);
        REQUIRE(reader.frame_count() == 10);
        for (const int i : {9, 0, 4}) {
          wrong += code_of(reader.read(FrameIndex(i)).image.view()) != i ? 1 : 0;
        }
      }
      CHECK(wrong == 0);
    }
  }
}
