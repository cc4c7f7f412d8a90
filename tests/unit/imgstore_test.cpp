// The files of a store together: which of them are chunks, and what the reference reads from its
// own stores.
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "avstore/error.h"
#include "base/files.h"
#include "imgstore/chunk_index.h"
#include "imgstore/metadata.h"
#include "support/catch.h"
#include "support/imgstore_files.h"
#include "support/media_folder.h"
#include "support/outcome.h"

using namespace avstore;            // NOLINT
using namespace avstore::imgstore;  // NOLINT
using namespace avstore::test;      // NOLINT
namespace fs = std::filesystem;

namespace {

// Reads one store and compares it with what the reference reads from it.
void check_golden_store(const fs::path& store, const nlohmann::json& expected) {
  const StoreMetadata metadata = read_metadata(store);
  std::string store_class = expected.at("class_");
  if (store_class == "VideoImgStoreFFMPEG") {
    store_class = "VideoImgStore";
  }
  const auto text = [&expected](const char* key) {
    return expected.contains(key) && expected[key].is_string() ? expected[key].get<std::string>()
                                                               : std::string();
  };
  CHECK(metadata.store_class == store_class);
  CHECK(metadata.format == text("format"));
  CHECK(metadata.encoding == text("encoding"));
  CHECK(metadata.uuid == text("uuid"));
  CHECK(metadata.timezone_local == text("timezone"));
  if (expected.contains("created_utc")) {
    CHECK(metadata.created_utc + "+00:00" == text("created_utc"));
  }
  const auto user = nlohmann::json::parse(user_yaml_to_json(metadata.user_yaml));
  const auto none = nlohmann::json::object();
  CHECK((user.is_null() ? none : user) == expected.value("user_metadata", none));

  // The reference stops at a chunk whose index is lost.
  std::vector<std::int64_t> numbers;
  std::vector<double> times;
  for (const ChunkFile& chunk : find_chunks(store, metadata)) {
    CHECK(fs::exists(store / chunk.data));
    if (!chunk.index) {
      break;
    }
    const ChunkIndex index = read_chunk_index(store / *chunk.index);
    numbers.insert(numbers.end(), index.frame_number.begin(), index.frame_number.end());
    times.insert(times.end(), index.frame_time.begin(), index.frame_time.end());
  }
  CHECK(numbers == expected.at("frame_number").get<std::vector<std::int64_t>>());
  CHECK(times == expected.at("frame_time").get<std::vector<double>>());
}

}  // namespace

TEST_CASE("Chunks are found by their names, in order", "[chunks]") {
  const TemporaryFolder folder;
  const fs::path& root = folder.path();
  const auto touch = [&root](const std::string& name) { std::ofstream(root / name) << 'x'; };
  for (const char* name :
       {"000010.mp4", "000010.npz", "000002.mp4", "000002.yaml", "000002.npz", "000003.mp4",
        "000003.yaml", "1000000.mp4", "0000004.mp4", "00005.mp4", "000006.mkv", "000007.mp4.tmp",
        "x000008.mp4", "99999999999999999999.mp4", "-00001.mp4", "000011.npz"}) {
    touch(name);
  }
  fs::create_directory(root / "000009.mp4");
  const std::vector<ChunkFile> chunks = find_chunks(root, video_metadata());
  REQUIRE(chunks.size() == 4);
  CHECK(chunks[0].chunk == 2);
  CHECK(chunks[0].data == "000002.mp4");
  CHECK(chunks[0].index == fs::path("000002.npz"));
  CHECK(chunks[1].index == fs::path("000003.yaml"));
  CHECK(chunks[2].chunk == 10);
  CHECK(chunks[3].data == "1000000.mp4");
  CHECK_FALSE(chunks[3].index.has_value());

  fs::create_directory(root / "000000");
  fs::create_directory(root / "000001");
  touch("000000/index.yaml");
  const std::vector<ChunkFile> folders = find_chunks(root, directory_metadata());
  REQUIRE(folders.size() == 2);
  CHECK(folders[0].data == "000000");
  CHECK(folders[0].index == fs::path("000000/index.yaml"));
  CHECK_FALSE(folders[1].index.has_value());

  CHECK(chunk_path(video_metadata(), 12) == "000012.mp4");
  CHECK(chunk_index_path(video_metadata(), 1234567) == "1234567.npz");
  CHECK(chunk_extra_path(video_metadata(), 0) == "000000.extra.json");
  CHECK(chunk_path(directory_metadata(), 12) == "000012");
  CHECK(chunk_index_path(directory_metadata(), 12) == "000012/index.npz");
  CHECK(chunk_extra_path(directory_metadata(), 12) == "000012/index.extra.json");
  CHECK(error_of([&] { find_chunks(root / "none", video_metadata()); }).kind() ==
        ErrorKind::not_found);
}

TEST_CASE("Stores of the reference read as it reads them", "[golden]") {
  const char* folder = std::getenv("AVSTORE_GOLDEN");
  if (folder == nullptr) {
    SKIP("AVSTORE_GOLDEN does not name a folder of stores");
  }
  int stores = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!entry.is_directory()) {
      continue;
    }
    fs::path expected = entry.path();
    expected += ".expected.json";
    CAPTURE(entry.path().string());
    check_golden_store(entry.path(), nlohmann::json::parse(base::read_text(expected)));
    ++stores;
  }
  CHECK(stores > 0);
}
