// Renumbering a store, everywhere: as NumPy and sqlite3 see it, as the reference does it, and with
// the process killed at any step.
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <variant>
#include <vector>

#include "avstore/extra.h"
#include "avstore/reader.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
#include "imgstore/chunk_index.h"
#include "imgstore/motif_hdf5.h"
#include "support/catch.h"
#include "support/disk_calls.h"
#include "support/drawn_store.h"
#include "support/extra_store.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/processes.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;
using namespace avstore::test;  // NOLINT
using avstore::ExtraData;
using avstore::FrameIndex;
using avstore::FrameNumber;
using avstore::Reader;
using avstore::ReaderOptions;
using Catch::Matchers::ContainsSubstring;

std::string npz_array(const fs::path& file, const std::string& key) {
  return python(
      "import numpy, sys; print(*numpy.atleast_1d(numpy.load(sys.argv[1])['" + key + "']))", file);
}

const std::vector<std::int64_t> kOld{3, 4, 0, 1, 2, 3, 4};
const std::vector<std::int64_t> kNew{-2, -1, 0, 1, 2, 3, 4};

}  // namespace

TEST_CASE("reindex renumbers the frames before the one with number 0, everywhere") {
  const std::string format = GENERATE("ffv1/mkv", "avc1/mp4", "png");
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_extra_store(store, names_of_late_camera(), 1, vienna_options(format));
  const auto result = avstore::reindex(store, {});
  CHECK(result.frames == 7);
  CHECK(result.zero == FrameIndex(2));
  CHECK(result.renumbered == 2);

  CHECK(numbers(store) == kNew);
  CHECK(extra_numbers(store) == kNew);
  CHECK(query(store / ".index.sqlite", "SELECT group_concat(frame_number) FROM frames") ==
        "-2,-1,0,1,2,3,4\n");
  CHECK(query(store / ".index.sqlite", "SELECT group_concat(frame_number) FROM extra_data") ==
        "-2,-1,0,1,2,3,4\n");
  CHECK(query(store / ".index.sqlite",
              "SELECT CAST(value AS INTEGER) FROM summary WHERE name = 'frame_min'") == "-2\n");
  const bool video = format != "png";
  const fs::path npz = store / (video ? "000000.npz" : "000000/index.npz");
  CHECK(npz_array(npz, "frame_number") == "-2 -1 0\n");
  CHECK(npz_array(npz, "_frame_number_before_reindex") == "3 4 0\n");
  CHECK(npz_array(npz, "frame_time") == "10.0 10.1 10.2\n");
  CHECK(npz_array(npz, "uuid") == Reader(store).info().uuid + "\n");  // what else was there stays
  const fs::path json = store / (video ? "000000.extra.json" : "000000/index.extra.json");
  CHECK(python("import json, sys\n"
               "for r in json.load(open(sys.argv[1])): print(r['frame_number'], "
               "r['_frame_number_before_reindex'], r['k'])",
               json) == "-2 3 0\n-1 4 1\n0 0 2\n");

  Reader reader(store);
  CHECK(code_of(reader.read(FrameNumber(-1)).image.view()) == 2);
  CHECK(avstore::verify(store, {}).findings.empty());
  fs::remove(store / ".index.sqlite");
  CHECK(numbers(store) == kNew);

  // Once more changes nothing.
  const std::string before = read_text(npz);
  CHECK(avstore::reindex(store, {}).renumbered == 0);
  CHECK(read_text(npz) == before);
  for (const auto& entry : fs::directory_iterator(store)) {
    CHECK_THAT(entry.path().filename().string(), !ContainsSubstring("staged"));
  }
}

TEST_CASE("after reindex verify finds a flipped bit as before") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  const std::string format = GENERATE("avc1/mp4", "png");
  write_extra_store(store, names_of_late_camera(), 1, vienna_options(format));
  const std::string checksums =
      "SELECT chunk, frame_idx, position, bytes, crc32 FROM checksums ORDER BY 1, 2, 3";
  const std::string before = query(store / ".index.sqlite", checksums);
  REQUIRE_FALSE(before.empty());
  avstore::reindex(store, {});
  CHECK(query(store / ".index.sqlite", checksums) == before);
}

TEST_CASE("reindex of a store with a chunk that is gone, or lies elsewhere") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_extra_store(store, names_of_late_camera(), 1, vienna_options("png"));
  SECTION("gone") {
    fs::remove_all(store / "000001");
    CHECK(avstore::reindex(store, {}).renumbered == 2);
    CHECK(npz_array(store / "000000/index.npz", "frame_number") == "-2 -1 0\n");
  }
  SECTION("elsewhere") {
    fs::rename(store / "000000", folder.path() / "elsewhere");
    fs::create_directory_symlink(folder.path() / "elsewhere", store / "000000");
    const auto before = tree(folder.path());
    CHECK_THAT(outcome_of([&] { avstore::reindex(store, {}); }),
               ContainsSubstring("is no folder of the store"));
    CHECK(tree(folder.path()) == before);
    CHECK(numbers(store) == kOld);
  }
}

TEST_CASE("a store that is emptied stays empty though renumbering it was cut short") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_extra_store(store, names_of_late_camera(), 1, vienna_options("avc1/mp4"));
  fs::create_directory(store / ".staged");
  fs::copy(store / "000000.npz", store / ".staged/000000.npz");
  fs::copy(store / ".index.sqlite", store / ".staged/.index.sqlite");
  avstore::empty_store(store);
  CHECK(Reader(store).frame_count() == 0);
  CHECK_FALSE(fs::exists(store / ".staged"));
}

// The reference implementation wrote a store, renumbered it, and read it.
TEST_CASE("reindex gives what the reference gives") {
  const char* golden = std::getenv("AVSTORE_GOLDEN");
  if (golden == nullptr || !fs::exists(fs::path(golden) / "reindex_before")) {
    SKIP("AVSTORE_GOLDEN has no reindex_before");
  }
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  fs::copy(fs::path(golden) / "reindex_before", store, fs::copy_options::recursive);
  run("chmod -R u+w " + quoted(store));
  CHECK(avstore::reindex(store, {}).renumbered == 2);
  const fs::path after = fs::path(golden) / "reindex_after";
  for (const char* chunk : {"000000.npz", "000001.npz", "000002.npz"}) {
    for (const char* key : {"frame_number", "frame_time", "_frame_number_before_reindex"}) {
      CHECK(npz_array(store / chunk, key) == npz_array(after / chunk, key));
    }
  }
  const std::string script =
      "import json, sys\n"
      "for r in json.load(open(sys.argv[1])):\n"
      "    r['frame_time'] = round(r['frame_time'], 6)\n"
      "    print(sorted(r.items()))";
  for (const char* file : {"000000.extra.json", "000002.extra.json"}) {
    CHECK(python(script, store / file) == python(script, after / file));
  }
  CHECK(numbers(store) == numbers(after, [] {
          ReaderOptions options;
          options.save_index = false;
          return options;
        }()));
}

TEST_CASE("reindex refuses a store without exactly one frame of number 0") {
  const TemporaryFolder folder;
  write_extra_store(folder.path() / "none", {{1, 0}, {2, 1}}, 1, vienna_options("png"));
  write_extra_store(folder.path() / "two", {{0, 0}, {1, 1}, {0, 2}}, 1, vienna_options("png"));
  CHECK_THAT(error_of([&] { avstore::reindex(folder.path() / "none", {}); }).what(),
             ContainsSubstring("none: 0 frames have number 0"));
  CHECK_THAT(error_of([&] { avstore::reindex(folder.path() / "two", {}); }).what(),
             ContainsSubstring("two: 2 frames have number 0"));
}

TEST_CASE("reindex refuses a store that is being recorded, or may be") {
  const TemporaryFolder folder;
  avstore::Writer writer(folder.path() / "live", vienna_options("png"));
  for (const Name& name : names_of_late_camera()) {
    add(writer, draw(avstore::pixel::gray8, 1).view, name);
  }
  writer.sync();
  CHECK_THAT(error_of([&] { avstore::reindex(folder.path() / "live", {}); }).what(),
             ContainsSubstring("live: is being recorded"));
  // As other programs leave it.
  write_extra_store(folder.path() / "open", names_of_late_camera(), 1, vienna_options("png"));
  write_text(folder.path() / "open" / ".lock", "");
  CHECK_THAT(error_of([&] { avstore::reindex(folder.path() / "open", {}); }).what(),
             ContainsSubstring(".lock: is there, so somebody may be writing"));
  CHECK(numbers(folder.path() / "open") == kOld);
}

TEST_CASE("reindex makes an npz of a YAML index") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_extra_store(store, names_of_late_camera(), 1, vienna_options("png"));
  fs::remove(store / "000000" / "index.npz");
  write_text(store / "000000" / "index.yaml",
             "frame_number: [3, 4, 0]\nframe_time: [10.0, 10.1, 10.2]\n");
  avstore::reindex(store, {});
  CHECK_FALSE(fs::exists(store / "000000" / "index.yaml"));
  CHECK(npz_array(store / "000000" / "index.npz", "_frame_number_before_reindex") == "3 4 0\n");
  fs::remove(store / ".index.sqlite");
  CHECK(numbers(store) == kNew);
}

// The steps. What SQLite writes into a database is its own to guard.
const std::initializer_list<DiskCall> kSteps{DiskCall::write,   DiskCall::fsync,  DiskCall::mkdir,
                                             DiskCall::rename,  DiskCall::remove, DiskCall::unlink,
                                             DiskCall::unlinkat};

// Whatever step it dies at, who opens the store next finds the old numbers everywhere or the new.
TEST_CASE("reindex killed at any step is done or undone") {
  const TemporaryFolder folder;
  const fs::path original = folder.path() / "original";
  write_extra_store(original, names_of_late_camera(), 1, vienna_options("png"));
  int done = 0;
  int undone = 0;
  for (int at = 1;; ++at) {
    const fs::path store = folder.path() / ("killed" + std::to_string(at));
    fs::copy(original, store, fs::copy_options::recursive);
    const int status = run_child([&] {
      DiskCalls calls(store, kSteps);
      calls.exit(at, 42);
      avstore::reindex(store, {});
      return 0;
    });
    INFO("step " << at << ", status " << status);
    REQUIRE((status == 42 || status == 0));

    // Readers that must not write see one or the other as well.
    ReaderOptions no_save;
    no_save.save_index = false;
    const auto seen = numbers(store, no_save);
    REQUIRE((seen == kNew || seen == kOld));
    CHECK(extra_numbers(store) == seen);

    REQUIRE(numbers(store) == seen);
    CHECK(extra_numbers(store) == seen);
    CHECK(query(store / ".index.sqlite", "PRAGMA integrity_check") == "ok\n");
    CHECK(avstore::verify(store, {}).findings.empty());
    CHECK(
        avstore::imgstore::read_chunk_index(store / "000000" / "index.npz").frame_number ==
        (seen == kNew ? std::vector<std::int64_t>{-2, -1, 0} : std::vector<std::int64_t>{3, 4, 0}));
    CHECK_FALSE(fs::exists(store / ".staged"));
    ++(seen == kNew ? done : undone);
    // And the work can be done after all.
    avstore::reindex(store, {});
    CHECK(numbers(store) == kNew);
    CHECK_FALSE(fs::exists(store / ".staged.partial"));
    fs::remove_all(store);
    if (status == 0) {
      break;
    }
  }
  CAPTURE(done, undone);
  CHECK(done >= 8);
  CHECK(undone >= 8);
}

TEST_CASE("a store renumbered shows its HDF5 extra data under the new numbers") {
  if (!avstore::imgstore::has_hdf5()) {
    SKIP("built without HDF5");
  }
  const TemporaryFolder folder;
  const fs::path store = golden_copy("motif_extra_h5", folder.path());
  const ExtraData before = avstore::read_extra(store);
  python(
      "import glob, numpy, sys\n"
      "for file in glob.glob(sys.argv[1] + '/*.npz'):\n"
      "    z = numpy.load(file)\n"
      "    number, time = z['frame_number'], z['frame_time']\n"
      "    numpy.savez(file, frame_number=number - 100, frame_time=time,\n"
      "                _frame_number_before_reindex=number)",
      store);
  const ExtraData after = avstore::read_extra(store);
  REQUIRE(after.size() == before.size());
  REQUIRE(before.size() > 0);
  for (std::size_t i = 0; i < before.size(); ++i) {
    CHECK(after.frame_number[i].value == before.frame_number[i].value - 100);
    const auto& old = after.find("_frame_number_before_reindex")->values;
    CHECK(std::get<std::vector<std::int64_t>>(old)[i] == before.frame_number[i].value);
  }
}

TEST_CASE("records of Motif's JSON are renumbered and not taken for padding") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_extra_store(store, names_of_late_camera(), 1, vienna_options("png"), Extra::none);
  write_text(store / "000000.extra_data.json",
             R"([{"frame_number": 3, "frame_index": 0, "frame_time": 10.0, "volt": 1.5},)"
             R"( {"frame_number": -1, "frame_index": -1, "frame_time": 0, "volt": 0},)"
             R"( {"frame_number": 4, "frame_time": 10.1, "volt": 2.5}])");
  avstore::reindex(store, {});
  const ExtraData extra = avstore::read_extra(store);
  REQUIRE(extra.size() == 2);
  CHECK(std::get<std::vector<double>>(extra.find("volt")->values) ==
        std::vector<double>{2.5, 1.5});  // one does not say its frame_index
  CHECK(extra.frame_number == std::vector<FrameNumber>{FrameNumber(-1), FrameNumber(-2)});
}
