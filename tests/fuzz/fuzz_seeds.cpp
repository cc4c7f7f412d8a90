// Makes index databases for fuzzing to begin with, out of stores.
//
// usage: fuzz_seeds FOLDER STORE...
//
// FOLDER/NAME.sqlite for each store: its frames as its chunks' index files list them, and a few
// keyframes and records of extra data.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include "avstore/error.h"
#include "imgstore/metadata.h"
#include "index/index.h"
#include "store/store_index.h"

namespace {

namespace fs = std::filesystem;
using avstore::index::Index;

void add_keyframes(Index& index, const avstore::index::ChunkRow& row) {
  std::vector<std::int64_t> pts;
  std::vector<avstore::index::KeyframeRow> keyframes;
  for (std::int64_t i = 0; i < row.frame_count; ++i) {
    pts.push_back(512 * i);
    if (i % 5 == 0) {
      keyframes.push_back({row.chunk, i, 512 * i, 512 * i, 1000 * i});
    }
  }
  if (!pts.empty()) {
    index.set_pts(row.first_frame_index, pts, keyframes);
  }
}

void make_seed(const fs::path& store, const fs::path& file) {
  const auto metadata = avstore::imgstore::read_metadata(store);
  Index index = avstore::store::index_from_chunks(store, metadata, [](const std::string&) {});
  for (const auto& row : index.chunks()) {
    add_keyframes(index, row);
    index.append_extra({.frame_index = row.first_frame_index, .json = R"({"force": 0.5})"});
  }
  index.set_information("encoder", "libx264");
  index.close();
  index.save_as(file);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  try {
    for (std::size_t i = 1; i < arguments.size(); ++i) {
      const fs::path store = arguments[i];
      make_seed(store, fs::path(arguments[0]) / (store.filename().string() + ".sqlite"));
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fuzz_seeds: %s\n", error.what());
    return 1;
  }
  return 0;
}
