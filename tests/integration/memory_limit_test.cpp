// Where there is no memory: functions that promise to throw nothing keep that promise, and no
// exception passes through a library that is C.
#include <cstdlib>
#include <filesystem>
#include <new>
#include <string>

#include "imgstore/metadata.h"
#include "index/index.h"
#include "media/gray_jpeg.h"
#include "store/chunk_sequence.h"
#include "store/thread_share.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/image_stores.h"
#include "support/index_rows.h"
#include "support/media_folder.h"
#include "support/memory_limit.h"
#include "support/outcome.h"
#include "support/processes.h"

namespace {

using avstore::store::ChunkSequence;
using avstore::test::MemoryLimit;
using avstore::test::run_child;
using avstore::test::TemporaryFolder;

constexpr int kEnough = 50;
constexpr int kTooLittle = 51;

// `work` with 0, 1, 2 ... allocations left, until it needs no more; each time in a process of its
// own. The numbers for which that process did not end by itself.
template <typename Work>
std::vector<int> fatal(const Work& work) {
  constexpr int kMost = 1000;
  std::vector<int> all;
  int status = kTooLittle;
  for (int left = 0; left < kMost && status != kEnough; ++left) {
    status = run_child([&] { return work(left) == 0 ? kEnough : kTooLittle; });
    if (status != kEnough && status != kTooLittle) {
      all.push_back(left);
    }
  }
  CHECK(status == kEnough);
  return all;
}

}  // namespace

TEST_CASE("a chunk can be abandoned without memory") {
  const auto what_becomes =
      GENERATE(ChunkSequence::Unfinished::put_aside, ChunkSequence::Unfinished::removed);
  avstore::WriterOptions options = avstore::test::options_of("png");
  options.encoder.frame_rate = {25, 1};
  avstore::imgstore::StoreMetadata metadata;
  metadata.store_class = avstore::imgstore::kDirectoryClass;
  metadata.format = "png";
  metadata.chunksize = 10;
  metadata.created_utc = avstore::imgstore::utc_now();
  metadata.timezone_local = "UTC";
  metadata.uuid = avstore::imgstore::new_uuid();
  const auto drawn = avstore::test::draw(avstore::pixel::gray8, 1);
  const avstore::store::ThreadShare threads(1);
  CHECK(fatal([&](int left) {
          const TemporaryFolder folder;
          ChunkSequence chunks(folder.path(), metadata, options, threads,
                               avstore::store::make_index(folder.path(), metadata, options));
          chunks.add(avstore::copy(drawn.view), avstore::FrameNumber(0), avstore::FrameTime(0));
          const MemoryLimit limit(left);
          chunks.abandon_chunk(what_becomes);
          return limit.refused();
        }).empty());
}

TEST_CASE("a gray JPEG without memory is std::bad_alloc") {
  const auto noise = avstore::test::noise(std::size_t{500} * 400);
  const auto view = avstore::packed_view(avstore::pixel::gray8, 500, 400, noise.data());
  CHECK(fatal([&](int left) {
          const MemoryLimit limit(left);
          bool is_made = false;
          try {
            is_made = !avstore::media::encode_gray_jpeg(view, {1, false}, "a.jpg").empty();
          } catch (const std::bad_alloc&) {
          }
          if (is_made != (limit.refused() == 0)) {
            std::abort();
          }
          return limit.refused();
        }).empty());
}

TEST_CASE("an index can be rolled back without memory") {
  CHECK(fatal([&](int left) {
          const TemporaryFolder folder;
          auto index = avstore::index::Index::create(folder.path() / ".index.sqlite");
          avstore::test::append_all(index, avstore::test::plain_rows(3));
          const MemoryLimit limit(left);
          index.rollback();
          return limit.refused();
        }).empty());
}
