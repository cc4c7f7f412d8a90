// Any bytes as the video file of a chunk: read forward and backward, verified, and its database
// made anew. Byte 0 names the container, byte 1 says how many frames the chunk's index lists; the
// file is all that follows.
#include <array>

#include "avstore/reader.h"
#include "avstore/tools.h"
#include "fuzz/attempt.h"
#include "fuzz/scratch.h"
#include "imgstore/chunk_index.h"
#include "imgstore/metadata.h"

namespace {

namespace fs = std::filesystem;
namespace imgstore = avstore::imgstore;

using avstore::FrameIndex;
using avstore::Reader;
using avstore::fuzz::attempt;

constexpr std::array kExtensions = {".mp4", ".mkv", ".avi", ".ts"};
constexpr std::size_t kMostFrames = 32;

fs::path make_store(const avstore::fuzz::Scratch& scratch, const std::string& extension,
                    std::size_t frames, std::string_view chunk) {
  const fs::path store = scratch.folder("store");
  imgstore::StoreMetadata metadata;
  metadata.store_class = imgstore::kVideoClass;
  metadata.format = "avc1/mp4";  // readers go by the extension
  metadata.extension = extension;
  metadata.imgshape = {48, 64, 3};
  metadata.chunksize = 100;
  imgstore::write_metadata(store, metadata);
  imgstore::ChunkIndex names;
  for (std::size_t i = 0; i < frames; ++i) {
    names.frame_number.push_back(static_cast<std::int64_t>(i));
    names.frame_time.push_back(0.04 * static_cast<double>(i));
  }
  imgstore::write_chunk_index(store / "000000.npz", names, metadata);
  scratch.file("store/000000" + extension, chunk);
  return store;
}

void read(const fs::path& store) {
  avstore::ReaderOptions options;
  options.threads = 1;
  Reader reader(store, options);
  const std::int64_t count = reader.frame_count();
  for (std::int64_t i = 0; i < count; ++i) {
    attempt([&] { reader.next(); });
  }
  for (std::int64_t i = count - 1; i >= 0; i -= 3) {
    attempt([&] { reader.read(FrameIndex(i)); });
  }
  reader.keyframes({0, count});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const avstore::fuzz::Scratch scratch;
  if (size < 2) {
    return 0;
  }
  const auto store =
      make_store(scratch, kExtensions[data[0] % kExtensions.size()], data[1] % (kMostFrames + 1),
                 avstore::fuzz::as_text(data + 2, size - 2));
  attempt([&] { read(store); });
  attempt([&] { avstore::verify(store, {.deep = true, .progress = {}}); });
  attempt([&] { avstore::rebuild_index(store, {}); });
  attempt([&] { avstore::repair(store, {}); });
  return 0;
}
