// Extra data carried over to another store: as Motif writes them, and of recordings that were
// killed.
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "avstore/extra.h"
#include "avstore/reader.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
#include "imgstore/motif_hdf5.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/extra_store.h"
#include "support/media_folder.h"
#include "support/processes.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;
namespace pixel = avstore::pixel;
using namespace avstore::test;  // NOLINT
using avstore::ExtraData;
using avstore::Reader;
using avstore::Writer;
using Catch::Matchers::ContainsSubstring;

}  // namespace

TEST_CASE("transcode carries Motif's extra data over") {
  if (!avstore::imgstore::has_hdf5()) {
    SKIP("built without HDF5");
  }
  const TemporaryFolder folder;
  const fs::path store = golden_copy("motif_extra_h5", folder.path());
  avstore::TranscodeOptions options;
  options.writer = vienna_options("ffv1/mkv", 7);
  avstore::transcode(store, folder.path() / "new", options);
  const ExtraData before = avstore::read_extra(store);
  const ExtraData after = avstore::read_extra(folder.path() / "new");
  REQUIRE(before.size() > 100);
  CHECK(extra_rows(after, "force") == extra_rows(before, "force"));
  CHECK(extra_rows(after, "sample_delay") == extra_rows(before, "sample_delay"));
  CHECK_THAT(Reader(folder.path() / "new").info().metadata_yaml,
             ContainsSubstring("extra_sample_rates") && ContainsSubstring("daq: 800"));

  write_extra_store(folder.path() / "json", {{5, 1.0}, {6, 2.0}}, 1, vienna_options("png"),
                    Extra::none);
  write_text(folder.path() / "json" / "000000.extra_data.json",
             R"([{"frame_number": 6, "frame_index": 1, "frame_time": 2.0, "sensor_time": 1, )"
             R"("name": "b", "more": [1, NaN]},)"
             R"({"frame_number": 5, "frame_time": 1.0, "sensor_time": 2, "name": "a"},)"
             R"({"frame_number": -1, "frame_index": -1, "frame_time": 0.0}])");
  options.writer = vienna_options("png");
  avstore::transcode(folder.path() / "json", folder.path() / "new-json", options);
  const ExtraData json = avstore::read_extra(folder.path() / "new-json");
  CHECK(extra_rows(json, "name") == std::vector<ExtraRow>{{0, 5, "a"}, {1, 6, "b"}});
  CHECK(extra_rows(json, "more") == std::vector<ExtraRow>{{0, 5, ""}, {1, 6, "[1, NaN]"}});
}

TEST_CASE("extra data of a recording that was killed are found, and carried over") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  const int status = run_child([&]() -> int {
    Writer writer(store, vienna_options("ffv1/mkv", 4));
    for (int i = 0; i < 6; ++i) {
      add(writer, draw(pixel::gray8, i).view, {i, 1.0 * i});
      writer.add_extra("{\"k\": " + std::to_string(i) + "}");
    }
    writer.sync();
    ::_exit(7);
  });
  REQUIRE(status == 7);
  REQUIRE(fs::exists(store / "000000.extra.json"));
  REQUIRE_FALSE(fs::exists(store / "000001.extra.json"));
  const std::vector<std::int64_t> all{0, 1, 2, 3, 4, 5};
  CHECK(extra_numbers(store) == all);
  avstore::TranscodeOptions options;
  options.writer = vienna_options("png");
  avstore::transcode(store, folder.path() / "new", options);
  CHECK(extra_numbers(folder.path() / "new") == all);
}

TEST_CASE("transcode carries records of JSON digit by digit, and tells of times of their own") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_extra_store(store, {{5, 1.0}, {6, 2.0}}, 1, vienna_options("png"), Extra::none);
  write_text(
      store / "000000.extra_data.json",
      R"([{"frame_number": 5, "frame_index": 0, "frame_time": 1.25, "t_ns": 1700000000123456789},)"
      R"( {"frame_number": 6, "frame_index": 1, "frame_time": 2.0, "more": [NaN, 1.50]}])");
  std::vector<std::string> notices;
  avstore::TranscodeOptions options;
  options.writer = vienna_options("png");
  options.notice = [&](const std::string& text) { notices.push_back(text); };
  avstore::transcode(store, folder.path() / "new", options);
  REQUIRE(notices.size() == 1);
  CHECK_THAT(notices[0],
             ContainsSubstring("1 records") && ContainsSubstring("recorded_frame_time"));
  // As Python's json reads it; a member that a record lacks is not there.
  CHECK_THAT(read_text(folder.path() / "new" / "000000" / "index.extra.json"),
             ContainsSubstring("\"t_ns\": 1700000000123456789,") &&
                 ContainsSubstring("\"more\": [NaN, 1.50],") && !ContainsSubstring("null") &&
                 ContainsSubstring("\"recorded_frame_time\": 1.25") &&
                 ContainsSubstring("\"frame_time\": 1.0"));
  // Once more, and nothing is added.
  notices.clear();
  avstore::transcode(folder.path() / "new", folder.path() / "again", options);
  CHECK(notices.empty());
  CHECK(read_text(folder.path() / "again" / "000000" / "index.extra.json") ==
        read_text(folder.path() / "new" / "000000" / "index.extra.json"));
}

TEST_CASE("extra data that are appended to a store of Motif are read, and carried over") {
  if (!avstore::imgstore::has_hdf5()) {
    SKIP("built without HDF5");
  }
  const TemporaryFolder folder;
  const fs::path store = golden_copy("motif_extra_h5", folder.path());
  const ExtraData before = avstore::read_extra(store);
  const std::int64_t frames = Reader(store).frame_count();
  {
    Writer writer = Writer::append(store, {});
    const auto image = Reader(store).read(avstore::FrameIndex(0)).image;
    for (int i = 0; i < 3; ++i) {
      writer.add(image, avstore::FrameNumber(1000 + i), avstore::FrameTime(2e9 + i));
      writer.add_extra(R"({"appended": "yes"})");
    }
    writer.close();
  }
  REQUIRE(Reader(store).frame_count() == frames + 3);
  const ExtraData after = avstore::read_extra(store);
  CHECK(after.size() == before.size() + 3);
  CHECK(after.frame_number.back().value == 1002);
  avstore::TranscodeOptions options;
  options.writer = vienna_options("ffv1/mkv", 7);
  avstore::transcode(store, folder.path() / "new", options);
  CHECK(avstore::read_extra(folder.path() / "new").size() == after.size());
}
