// Video files that become chunks of a store as they are.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "avstore/error.h"
#include "avstore/image.h"
#include "avstore/reader.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;
namespace pixel = avstore::pixel;

using avstore::ErrorKind;
using avstore::Frame;
using avstore::FrameIndex;
using avstore::FrameNumber;
using avstore::FrameTime;
using avstore::Reader;
using avstore::Writer;
using avstore::WriterOptions;
using avstore::test::add;
using avstore::test::error_of;
using avstore::test::options_of;
using avstore::test::python;
using avstore::test::TemporaryFolder;
using Catch::Matchers::ContainsSubstring;

std::vector<avstore::FrameNames> names_from(std::int64_t first, int count) {
  std::vector<avstore::FrameNames> names;
  for (int i = 0; i < count; ++i) {
    names.push_back({FrameNumber(first + 2 * i), FrameTime(1000 + static_cast<double>(i))});
  }
  return names;
}

}  // namespace

TEST_CASE("a video file becomes a chunk between others") {
  for (const bool move : {false, true}) {
    for (const std::string name : {"h264-bframes-gop250.mp4", "mp4-faststart.mp4"}) {
      DYNAMIC_SECTION(name << (move ? ", moved" : "")) {
        const TemporaryFolder folder;
        const auto store = folder.path() / "store";
        const auto file = folder.path() / "file.mp4";
        fs::copy_file(avstore::test::media_folder() / name, file);
        const auto md5s =
            avstore::test::read_lines(avstore::test::media_folder() / "framemd5" / (name + ".md5"));
        const int count = static_cast<int>(md5s.size());
        const avstore::SourceInfo source = avstore::probe_source(file);
        const std::vector<std::uint8_t> gray(
            static_cast<std::size_t>(source.width) * static_cast<std::size_t>(source.height), 99);
        const auto view =
            avstore::packed_view(pixel::gray8, source.width, source.height, gray.data());
        WriterOptions options = options_of("avc1/mp4", 5);
        options.color = true;
        Writer writer(store, options);
        for (int i = 0; i < 7; ++i) {
          writer.add(view, FrameNumber(i), FrameTime(i));
        }
        writer.insert_chunk(file, names_from(5000, count), move);
        CHECK(fs::exists(file) != move);
        CHECK(writer.statistics().frames_durable == 7 + count);
        writer.add_extra(R"({"after": "the inserted"})");
        writer.add(view, FrameNumber(9000), FrameTime(9000));
        writer.close();

        Reader reader(store);
        REQUIRE(reader.frame_count() == 8 + count);
        CHECK(reader.info().chunk_count == 4);
        for (int i = count - 1; i >= 0; i -= 7) {
          const Frame frame = reader.read(FrameNumber(5000 + 2 * i));
          CHECK(frame.info.index.value == 7 + i);
          CHECK(frame.info.time.seconds == 1000 + i);
          CHECK(avstore::md5(frame.image.view()) == md5s[static_cast<std::size_t>(i)]);
        }
        CHECK(reader.read(FrameNumber(9000)).info.index.value == 7 + count);
        CHECK(avstore::verify(store, {.deep = true, .progress = {}}).findings.empty());
        // The reference looks into the npz of each chunk.
        CHECK(python("import sys, numpy as n; print(len(n.load(sys.argv[1])['frame_number']))",
                     store / "000002.npz") == std::to_string(count) + "\n");
      }
    }
  }
}

TEST_CASE("a store of nothing but a file") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  const fs::path file = avstore::test::media_folder() / "h264-bframes-gop250.mp4";
  const auto md5s = avstore::test::read_lines(avstore::test::media_folder() /
                                              "framemd5/h264-bframes-gop250.mp4.md5");
  Writer writer(store, options_of("avc1/mp4", 5));
  writer.insert_chunk(file, names_from(0, static_cast<int>(md5s.size())));
  writer.close();
  Reader reader(store);
  CHECK(reader.info().width == avstore::probe_source(file).width);
  CHECK(reader.info().color);
  CHECK(avstore::md5(reader.read(FrameIndex(11)).image.view()) == md5s[11]);
}

TEST_CASE("frames that are not as those of a file that came first are refused") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  const fs::path file = avstore::test::media_folder() / "h264-bframes-gop250.mp4";
  const avstore::SourceInfo source = avstore::probe_source(file);
  const auto md5s = avstore::test::read_lines(avstore::test::media_folder() /
                                              "framemd5/h264-bframes-gop250.mp4.md5");
  const int count = static_cast<int>(md5s.size());
  Writer writer(store, options_of("avc1/mp4", 5));
  writer.insert_chunk(file, names_from(0, count));
  const auto add_frame = [&](int width, int height, int number) {
    const std::vector<std::uint8_t> pixels(
        static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3, 99);
    writer.add(avstore::packed_view(pixel::bgr24, width, height, pixels.data()),
               FrameNumber(number), FrameTime(number));
  };
  const auto error = error_of([&] { add_frame(source.width * 2, source.height, 5000); });
  CHECK(error.kind() == ErrorKind::invalid_argument);
  CHECK_THAT(error.what(), ContainsSubstring(store.string()));
  add_frame(source.width, source.height, 5001);
  writer.close();
  Reader reader(store);
  REQUIRE(reader.frame_count() == count + 1);
  CHECK(reader.read(FrameNumber(5001)).image.view().width == source.width);
}

TEST_CASE("files that do not fit are refused, and the store goes on") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  const fs::path media = avstore::test::media_folder();
  Writer writer(store, options_of("avc1/mp4", 5));
  const std::vector<std::uint8_t> gray(96 * 64, 99);
  const auto view = avstore::packed_view(pixel::gray8, 96, 64, gray.data());
  writer.add(view, FrameNumber(0), FrameTime(0));
  const auto refused = [&](const fs::path& file, int names, ErrorKind kind) {
    CAPTURE(file);
    const auto error = error_of([&] { writer.insert_chunk(file, names_from(0, names)); });
    CHECK(error.kind() == kind);
    CHECK_THAT(error.what(), ContainsSubstring(file.string()));
  };
  refused(media / "h264-bframes-gop250.mp4", 3, ErrorKind::invalid_argument);
  refused(media / "h264-bframes-gop250.mp4", 60, ErrorKind::invalid_argument);  // another size
  refused(media / "h264-bframes16.mkv", 60, ErrorKind::invalid_argument);
  refused(media / "bad/text.mp4", 1, ErrorKind::corrupt);
  refused(media / "bad/no-such-file.mp4", 1, ErrorKind::not_found);
  writer.add(view, FrameNumber(1), FrameTime(1));
  writer.close();
  CHECK(Reader(store).frame_count() == 2);
}

TEST_CASE("a writer that only refused a file leaves an empty store") {
  const TemporaryFolder folder;
  Writer writer(folder.path() / "store", options_of("avc1/mp4", 5));
  CHECK_THROWS(writer.insert_chunk(avstore::test::media_folder() / "bad/text.mp4", {}));
  writer.close();
  CHECK(Reader(folder.path() / "store").frame_count() == 0);
}
