// Where stores go: what lies there already, what cannot be written, writers that are given up.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "avstore/reader.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/processes.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;

using avstore::FrameIndex;
using avstore::FrameNumber;
using avstore::FrameTime;
using avstore::ImportOptions;
using avstore::Reader;
using avstore::Writer;
using avstore::WriterOptions;
using avstore::test::add;
using avstore::test::code_of;
using avstore::test::import_options;
using avstore::test::in_child;
using avstore::test::kHeight;
using avstore::test::kWidth;
using avstore::test::media_file;
using avstore::test::names_in;
using avstore::test::options_of;
using avstore::test::outcome_of;
using avstore::test::read_text;
using avstore::test::TemporaryFolder;
using avstore::test::tree;
using avstore::test::write_store;
using avstore::test::write_text;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

}  // namespace

TEST_CASE("a store that exists is not overwritten unasked") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  const fs::path source = folder.path() / "source";
  write_store(store, options_of("avc1/mp4"), 10);
  write_store(source, options_of("png"), 3);
  const auto before = tree(folder.path());
  const fs::path file = media_file("h264-no-bframes.mp4");
  avstore::TranscodeOptions transcode;
  transcode.writer = options_of("ffv1/mkv");
  for (const auto& call : std::vector<std::function<void()>>{
           [&] { Writer writer(store, options_of("png")); },
           [&] { avstore::import_file(file, store, import_options(false)); },
           [&] { avstore::import_file(file, store, import_options(true)); },
           [&] { avstore::transcode(source, store, transcode); },
           [&] { avstore::transcode(source, source, transcode); },
           [&] { avstore::import_file(file, store / "", import_options(false)); }}) {
    CHECK_THAT(outcome_of(call),
               StartsWith("exists: ") && ContainsSubstring(folder.path().string()));
    CHECK(tree(folder.path()) == before);
  }
}

TEST_CASE("tools leave no frame out, whatever a full queue is said to do") {
  const TemporaryFolder folder;
  const fs::path source = folder.path() / "source";
  const fs::path made = folder.path() / "made";
  write_store(source, options_of("png"), 60);
  WriterOptions hasty = options_of("avc1/mp4");  // slower than reading PNG
  hasty.queue_frames = 1;
  hasty.when_full = avstore::WhenFull::drop;
  SECTION("transcode") {
    avstore::TranscodeOptions transcode;
    transcode.writer = hasty;
    CHECK(avstore::transcode(source, made, transcode) == 60);
  }
  SECTION("import") {
    ImportOptions import;
    import.writer = hasty;
    CHECK(avstore::import_file(media_file("h264-intra-only.mp4"), made, import).frames == 60);
  }
  SECTION("align") {
    avstore::AlignedWriterOptions aligned;
    aligned.writer = hasty;
    const avstore::Alignment alignment = avstore::align({source, source}, {});
    avstore::write_aligned(alignment, {made, folder.path() / "other"}, aligned);
    CHECK(Reader(folder.path() / "other").frame_count() == 60);
  }
  SECTION("side by side") {
    avstore::AlignedWriterOptions aligned;
    aligned.writer = hasty;
    avstore::write_side_by_side(avstore::align({source, source}, {}), made, aligned);
  }
  CHECK(Reader(made).frame_count() == 60);
}

TEST_CASE("a store is its own source") {
  // The old store has to stay until the new one is whole.
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("png"), 20);
  avstore::TranscodeOptions options;
  options.writer = options_of("ffv1/mkv");
  options.writer.overwrite = true;
  CHECK(avstore::transcode(store, store, options) == 20);
  Reader reader(store);
  CHECK(reader.frame_count() == 20);
  CHECK(reader.info().format == "ffv1/mkv");
  CHECK(code_of(reader.read(FrameIndex(17)).image.view()) == 17);
  CHECK(names_in(folder.path()) == std::vector<std::string>{"store"});
}

TEST_CASE("a chunk that the database knows nothing of is not written over") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  const std::string format = GENERATE("avc1/mp4", "png");
  write_store(store, options_of(format, 5), 15);
  const fs::path chunk = store / (format == "png" ? "000002" : "000002.mp4");
  fs::remove(format == "png" ? chunk / "index.npz" : store / "000002.npz");
  fs::remove(store / ".index.sqlite");
  const auto contents = [&chunk] {
    return fs::is_directory(chunk) ? tree(chunk) : decltype(tree(chunk)){{"", read_text(chunk)}};
  };
  const auto before = contents();
  REQUIRE(Reader(store).frame_count() == 10);
  CHECK_THAT(avstore::verify(store, {}).findings.front(),
             StartsWith(chunk.filename().string()) && ContainsSubstring("is in no row"));
  {
    Writer writer = Writer::append(store, {});
    add(writer, 10);
    writer.close();
  }
  CHECK(contents() == before);
  CHECK(Reader(store).find(FrameIndex(10)).chunk == 3);
}

TEST_CASE("repair leaves video alone whose index is gone") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4", 5), 10);
  for (const char* name : {"000000.npz", "000001.npz", ".index.sqlite"}) {
    fs::remove(store / name);
  }
  const std::string video = read_text(store / "000001.mp4");
  avstore::repair(store, {});
  CHECK(read_text(store / "000001.mp4") == video);
  CHECK_FALSE(avstore::verify(store, {}).findings.empty());
}

TEST_CASE("the numbers of chunks go by chunks, not by other files") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4", 5), 5);
  for (const char* name : {"20240131.txt", "9223372036854775807.txt", "9223372036854775807.mp4"}) {
    write_text(store / name, "mine");
  }
  Writer writer = Writer::append(store, {});
  add(writer, 5);
  writer.close();
  CHECK(fs::exists(store / "000001.mp4"));
  CHECK(Reader(store).find(FrameIndex(5)).chunk == 1);
}

TEST_CASE("nothing is written through links that lead out of a store") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4", 5), 5);
  const fs::path outside = folder.path() / "outside";
  SECTION(".lock") {
    fs::create_symlink(outside, store / ".lock");
    CHECK_THAT(outcome_of([&] { Writer::append(store, {}); }), StartsWith("exists: "));
    CHECK_FALSE(fs::exists(outside));
  }
  SECTION("a store that is to be replaced") {
    const std::string name = GENERATE(".replaced", ".replaced.partial", ".replaced.dropped");
    write_store(outside, options_of("avc1/mp4", 5), 7);
    const auto before = tree(outside);
    fs::create_directory_symlink(outside, store / name);
    const auto mine = read_text(store / "000000.mp4");
    avstore::repair(store, {});
    CHECK(read_text(store / "000000.mp4") == mine);
    WriterOptions options = options_of("png");
    options.overwrite = true;
    write_store(store, options, 3);
    CHECK(Reader(store).frame_count() == 3);
    CHECK(tree(outside) == before);
  }
  SECTION("a chunk") {
    write_text(outside, "precious");
    fs::create_symlink(outside, store / "000001.mp4");
    Writer writer = Writer::append(store, {});
    add(writer, 5);
    writer.close();
    CHECK(read_text(outside) == "precious");
  }
}

TEST_CASE("an empty folder that is there becomes the store") {
  const TemporaryFolder folder;
  fs::create_directory(folder.path() / "a");
  write_store(folder.path() / "a", options_of("png"), 3);
  fs::create_directory(folder.path() / "b");
  avstore::import_file(media_file("h264-intra-only.mp4"), folder.path() / "b" / "",
                       import_options(true));
  CHECK(Reader(folder.path() / "a").frame_count() == 3);
  CHECK(Reader(folder.path() / "b").frame_count() == 60);
  CHECK(names_in(folder.path()) == std::vector<std::string>{"a", "b"});
}

TEST_CASE("a store may be made in the current folder, and in one named with a dot") {
  const TemporaryFolder folder;
  const fs::path here = folder.path() / "here";
  fs::create_directory(here);
  const std::string outcome = in_child([&] {
    fs::current_path(here);
    return outcome_of([&] {
      const fs::path file = media_file("h264-intra-only.mp4");
      avstore::import_file(file, ".", import_options(true));
      avstore::import_file(file, here.parent_path() / "there" / ".", import_options(true));
    });
  });
  CHECK(outcome == "no error");
  CHECK(Reader(here).frame_count() == 60);
  CHECK(Reader(folder.path() / "there").frame_count() == 60);
  CHECK(names_in(folder.path()) == std::vector<std::string>{"here", "there"});
}

TEST_CASE("destinations that cannot be written") {
  const TemporaryFolder folder;
  write_text(folder.path() / "file", "a file");
  write_store(folder.path() / "source", options_of("png"), 3);
  const auto before = tree(folder.path());
  avstore::TranscodeOptions transcode;
  transcode.writer = options_of("ffv1/mkv");
  for (const fs::path& store :
       {fs::path("/proc/x/y"), fs::path("/proc/y"), folder.path() / "file" / "store",
        folder.path() / "no" / "such" / "folder", folder.path() / std::string(300, 'x')}) {
    for (const auto& call : std::vector<std::function<void()>>{
             [&] { write_store(store, options_of("png"), 1); },
             [&] {
               avstore::import_file(media_file("h264-intra-only.mp4"), store,
                                    import_options(false));
             },
             [&] {
               avstore::import_file(media_file("h264-intra-only.mp4"), store, import_options(true));
             },
             [&] { avstore::transcode(folder.path() / "source", store, transcode); }}) {
      const std::string outcome = outcome_of(call);
      CHECK_THAT(outcome, (StartsWith("io: ") || StartsWith("not_found: ")) &&
                              ContainsSubstring(store.string()));
      CHECK(tree(folder.path()) == before);
    }
  }
}

TEST_CASE("a writer that failed does not stand in the way of the next one") {
  // What is wrong shows at the first frame only. Expected: nothing stays behind, or at least
  // `overwrite` takes what does for the store it was to become.
  for (const int way : {0, 1}) {
    DYNAMIC_SECTION((way == 0 ? "wrong option" : "pixels that the format cannot hold")) {
      const TemporaryFolder folder;
      const fs::path store = folder.path() / "store";
      WriterOptions wrong = options_of("avc1/mp4");
      if (way == 0) {
        wrong.encoder.options = {{"crf", "abc"}};
      }
      const std::vector<std::uint8_t> pixels(std::size_t{2} * kWidth * kHeight);
      CHECK(outcome_of([&] {
              Writer writer(store, wrong);
              writer.add(
                  avstore::packed_view(way == 0 ? avstore::pixel::gray8 : avstore::pixel::gray16,
                                       kWidth, kHeight, pixels.data()),
                  FrameNumber(0), FrameTime(0));
              writer.close();
            }) != "no error");
      // Nothing that looks like a store.
      CHECK_THAT(outcome_of([&] { Reader reader(store); }), StartsWith("not_found: "));
      WriterOptions right = options_of("avc1/mp4");
      right.overwrite = true;
      CHECK(outcome_of([&] { write_store(store, right, 9); }) == "no error");
      CHECK(outcome_of([&] { CHECK(Reader(store).frame_count() == 9); }) == "no error");
    }
  }
}

TEST_CASE("a writer that is given up keeps what is durable, and else leaves nothing") {
  for (const std::string format : {"avc1/mp4", "h264/mkv", "mjpeg/avi", "png"}) {
    for (const bool flushed : {false, true}) {
      DYNAMIC_SECTION(format << (flushed ? ", after a flush" : "")) {
        const TemporaryFolder folder;
        const fs::path store = folder.path() / "store";
        Writer writer(store, options_of(format, 1000));
        for (int i = 0; i < 10; ++i) {
          add(writer, i);
        }
        if (flushed) {
          writer.sync();
        }
        const std::int64_t durable = writer.statistics().frames_durable;
        writer.abandon();
        writer.abandon();
        writer.close();
        if (durable == 0) {
          CHECK(names_in(folder.path()).empty());
          continue;
        }
        Reader reader(store);
        CHECK(reader.frame_count() == 10);
        for (int i = 0; i < 10; ++i) {
          CHECK(code_of(reader.read(FrameIndex(i)).image.view()) == i);
        }
        CHECK_FALSE(reader.info().open_for_writing);
      }
    }
  }
}

TEST_CASE("a store that is being recorded is neither replaced nor indexed") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  Writer writer(store, options_of("avc1/mp4"));
  for (int i = 0; i < 10; ++i) {
    add(writer, i);
  }
  writer.sync();
  WriterOptions other = options_of("png");
  other.overwrite = true;
  for (const std::function<void()>& attempt : std::vector<std::function<void()>>{
           [&] { avstore::rebuild_index(store, {}); }, [&] { Writer second(store, other); },
           [&] { avstore::empty_store(store); }}) {
    CHECK_THAT(outcome_of(attempt), StartsWith("exists: ") && ContainsSubstring(store.string()));
  }
  for (int i = 10; i < 20; ++i) {
    add(writer, i);
  }
  writer.close();
  CHECK(Reader(store).frame_count() == 20);
  CHECK(avstore::rebuild_index(store, {}) == 20);
}
