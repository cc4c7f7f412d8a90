#include "avstore/reader.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <numeric>
#include <thread>
#include <utility>

#include "avstore/error.h"
#include "base/thread.h"
#include "chunk/chunk_reader.h"
#include "chunk/sensor_image.h"
#include "imgstore/chunk_index.h"
#include "imgstore/metadata.h"
#include "media/codec_table.h"
#include "media/convert.h"
#include "store/chunk_pool.h"
#include "store/encoder_runs.h"
#include "store/layout.h"
#include "store/reader_access.h"
#include "store/recording_lock.h"
#include "store/repair_record.h"
#include "store/replaced_store.h"
#include "store/sensor_channels.h"
#include "store/store_index.h"

namespace avstore {
namespace {

namespace fs = std::filesystem;

int core_count() {
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

bool has_open_chunk(const index::Index& index) {
  const auto last =
      index.frame_count() > 0 ? index.chunk(index.at(index.frame_count() - 1).chunk) : std::nullopt;
  return last && last->state == index::ChunkState::open;
}

StoreInfo describe(const fs::path& folder, const imgstore::StoreMetadata& metadata,
                   const index::Index& index) {
  StoreInfo info;
  info.path = folder;
  info.store_class = metadata.store_class;
  info.format = metadata.format;
  info.encoding = metadata.encoding;
  info.encoder = index.information(store::kEncoderEntry).value_or("");
  info.encoders = store::parse_encoder_runs(index.information(store::kEncodersEntry).value_or(""));
  if (info.encoders.empty() && !info.encoder.empty()) {
    info.encoders.push_back({0, info.encoder});
  }
  info.nominal_frame_rate = parse_rational(index.information(store::kFrameRateEntry).value_or(""));
  info.height = static_cast<int>(metadata.imgshape.at(0));
  info.width = static_cast<int>(metadata.imgshape.at(1));
  info.color = imgstore::is_color(metadata);
  info.shape = imgstore::image_shape(metadata);
  info.dtype = metadata.imgdtype;
  info.chunk_size = metadata.chunksize;
  info.chunk_count = index.chunk_count();
  info.frame_count = index.frame_count();
  info.created_utc = metadata.created_utc;
  info.timezone_local = metadata.timezone_local;
  info.uuid = metadata.uuid;
  info.metadata_yaml = metadata.user_yaml;
  const store::Recording recording = store::recording_state(folder).recording;
  info.open_for_writing = recording != store::Recording::no;
  info.recording = recording == store::Recording::yes;
  info.unfinished = recording == store::Recording::left ||
                    (recording == store::Recording::no && has_open_chunk(index));
  info.losses = store::describe_losses(folder, index);
  const index::Extremes extremes = index.extremes();
  info.number_min = FrameNumber(extremes.number_min);
  info.number_max = FrameNumber(extremes.number_max);
  info.time_min = FrameTime(extremes.time_min);
  info.time_max = FrameTime(extremes.time_max);
  return info;
}

// Frames that are cheapest to decode together: all follow from one keyframe. An image stands alone.
struct DecodeRun {
  struct Wanted {
    FrameInfo info;
    std::vector<std::size_t> positions;  // in the caller's list
  };
  std::int64_t start = 0;      // frame_idx of the keyframe
  std::vector<Wanted> frames;  // ascending
};

// Threads that each take a frame of their own have begun on some frames beyond the last one wanted
// when that one comes out. Where many frames lead there it pays.
chunk::Access access_to(const DecodeRun& run, int threads) {
  constexpr std::int64_t kFramesPerThread = 8;
  const std::int64_t frames = run.frames.back().info.frame_idx - run.start + 1;
  return threads > 1 && frames >= kFramesPerThread * threads ? chunk::Access::stretch
                                                             : chunk::Access::random;
}

}  // namespace

PixelFormat usual_pixel_format(const StoreInfo& info) {
  if (info.format == "npy" || info.format == "bpk") {
    return {};
  }
  if (info.dtype == "uint8") {
    return info.color ? pixel::bgr24 : pixel::gray8;
  }
  if (info.dtype == "uint16") {
    return info.color ? PixelFormat::from_name("bgr48le") : pixel::gray16;
  }
  return {};
}

class Reader::Impl {
 public:
  Impl(const fs::path& store, ReaderOptions options)
      : options_(std::move(options)),
        folder_(store::existing_folder(store)),
        metadata_(imgstore::read_metadata(folder_)),
        index_(open_index(), folder_, options_.save_index),
        // The other half decodes on.
        converter_(std::max(1, threads() / 2)) {
    std::for_each(metadata_.doubts.begin(), metadata_.doubts.end(), warn());
    tell_of_links();
    describe_store();
    if (options_.packed && options_.pixel_format.empty()) {
      options_.pixel_format = usual_pixel_format(info_);
    }
    pool_.emplace(index_, metadata_, threads());
  }

  const StoreInfo& info() const { return info_; }
  const imgstore::StoreMetadata& metadata() const { return metadata_; }
  store::SharedIndex& index() { return index_; }

  std::int64_t refresh() {
    const std::int64_t before = info_.frame_count;
    // Whether somebody writes is asked first: the frames of a writer that is gone by then are all
    // seen.
    const bool recording = store::recording_state(folder_).recording == store::Recording::yes;
    index_.refresh();
    describe_store();
    info_.recording = recording;
    if (info_.frame_count != before) {
      pool_->forget_growing();
    }
    return info_.frame_count;
  }

  FrameInfo find(FrameIndex index) const {
    if (index.value < 0 || index.value >= info_.frame_count) {
      throw Error(ErrorKind::end_of_store, folder_.string() + ": no frame_index " +
                                               std::to_string(index.value) + "; the store has " +
                                               std::to_string(info_.frame_count) + " frames");
    }
    return to_info(index_.with([&](const index::Index& db) { return db.at(index.value); }));
  }

  FrameInfo find(FrameNumber number, Match match) const {
    const auto row = index_.with([&](const index::Index& db) {
      return match == Match::exact ? db.find_number(number.value) : db.nearest_number(number.value);
    });
    if (!row) {
      throw Error(ErrorKind::not_found,
                  folder_.string() + (info_.frame_count == 0 ? ": the store has no frames"
                                                             : ": no frame has number " +
                                                                   std::to_string(number.value)));
    }
    return to_info(*row);
  }

  FrameInfo find(FrameTime time) const {
    const auto row =
        index_.with([&](const index::Index& db) { return db.nearest_time(time.seconds); });
    if (!row) {
      throw Error(ErrorKind::not_found, folder_.string() + ": the store has no frames with a time");
    }
    return to_info(*row);
  }

  void for_each_info(IndexRange range, const std::function<bool(const FrameInfo&)>& visit) const {
    range.begin = std::max<std::int64_t>(range.begin, 0);
    range.end = std::min(range.end, info_.frame_count);
    index_.with([&](const index::Index& db) {
      std::int64_t chunk = -1;
      std::shared_ptr<const store::ChunkScan> scan;
      std::vector<index::KeyframeRow> keyframes;
      auto next_key = keyframes.cbegin();
      db.for_each(range, [&](const index::FrameRow& row) {
        if (row.chunk != chunk) {
          chunk = row.chunk;
          scan = index_.kept_scan(chunk);
          keyframes = scan ? scan->keyframes : db.keyframes(chunk);
          next_key = keyframes.cbegin();
        }
        while (next_key != keyframes.cend() && next_key->frame_idx < row.frame_idx) {
          ++next_key;
        }
        const bool key =
            !is_video() || (next_key != keyframes.cend() && next_key->frame_idx == row.frame_idx);
        return visit(to_info(row, scan ? scan->pts_at(row.frame_idx) : row.pts, key));
      });
      return true;
    });
  }

  FrameNameArrays names(IndexRange range) const {
    return index_.with([&](const index::Index& db) { return db.names(range); });
  }

  std::vector<FrameIndex> keyframes(IndexRange range);

  IndexRange prepare(FrameIndex index) {
    const index::ChunkRow row = chunk_row(find(index).chunk);
    try {
      scan_if_new(row.chunk);
    } catch (const Error& error) {
      warn()(error.what());
    }
    return {row.first_frame_index,
            std::min(row.first_frame_index + row.frame_count, info_.frame_count)};
  }

  Frame read(FrameInfo info) {
    const bool follows = last_ && info.index.value == *last_ + 1;
    return read(info, follows ? chunk::Access::sequential : chunk::Access::random);
  }

  std::optional<Frame> next() {
    if (next_ >= info_.frame_count) {
      return std::nullopt;
    }
    const FrameIndex index(next_++);  // also where it cannot be read
    return read(find(index), chunk::Access::sequential);
  }

  void read_many(std::span<const FrameIndex> indices,
                 const std::function<void(std::size_t, Frame)>& visit);

  ReadStatistics statistics() const {
    ReadStatistics all = finished_;
    store::accumulate(all, pool_->statistics());
    return all;
  }

 private:
  store::OpenedIndex open_index() const {
    store::OpenedIndex opened = store::open_index(folder_, metadata_, options_.save_index, warn());
    if (!opened.left_alone.empty()) {
      warn()(opened.left_alone);
    }
    return opened;
  }

  void describe_store() {
    info_ = index_.with(
        [this](const index::Index& index) { return describe(folder_, metadata_, index); });
    if (decodes_sensor() && chunk::knows_encoding(metadata_.encoding)) {
      info_.height = static_cast<int>(chunk::picture_rows(metadata_.encoding, info_.height));
      info_.color = true;
      info_.shape = {info_.height, info_.width, 3};
    }
  }

  int threads() const { return options_.threads > 0 ? options_.threads : core_count(); }

  std::function<void(const std::string&)> warn() const {
    return [this](const std::string& text) {
      if (options_.on_warning) {
        options_.on_warning(text);
      }
    };
  }

  // Labs put chunks on other disks so, and git-annex all files; but who opens a store of others is
  // to know that its video is not of its folder.
  void tell_of_links() const {
    const auto chunks = imgstore::find_chunks_elsewhere(folder_, metadata_);
    if (!chunks.empty()) {
      std::error_code error;
      const fs::path first = folder_ / chunks.front();
      const std::string more =
          chunks.size() > 1 ? ", and " + std::to_string(chunks.size() - 1) + " more chunks do" : "";
      warn()(first.string() + ": is a link that leads out of the store, to " +
             fs::canonical(first, error).string() + more);
    }
  }

  bool is_video() const { return metadata_.is_video(); }

  static FrameInfo to_info(const index::FrameRow& row, std::optional<std::int64_t> pts,
                           bool keyframe) {
    return {FrameIndex(row.frame_index),
            FrameNumber(row.frame_number),
            FrameTime(row.frame_time),
            row.chunk,
            row.frame_idx,
            pts,
            keyframe};
  }

  FrameInfo to_info(const index::FrameRow& row) const {
    if (!is_video()) {
      return to_info(row, std::nullopt, true);
    }
    const auto scan = index_.kept_scan(row.chunk);
    const auto key = index_.keyframe_at_or_before(row.chunk, row.frame_idx);
    return to_info(row, scan ? scan->pts_at(row.frame_idx) : row.pts,
                   key && key->frame_idx == row.frame_idx);
  }

  Frame read(FrameInfo info, chunk::Access access) {
    next_ = info.index.value + 1;
    last_.reset();  // a failed read leaves no place to go on decoding from
    const Image image = pool_->read(info, access);
    last_ = info.index.value;
    return {info, finish(image, converter_)};
  }

  index::ChunkRow chunk_row(std::int64_t chunk) const {
    const auto row = index_.with([chunk](const index::Index& db) { return db.chunk(chunk); });
    if (!row) {
      throw Error(ErrorKind::corrupt,
                  folder_.string() + ": the index lacks chunk " + std::to_string(chunk));
    }
    return *row;
  }

  // Calls `use` with the chunks that hold frames of the range, which lies within the store.
  template <typename Use>
  void for_each_chunk(IndexRange range, const Use& use) {
    for (std::int64_t index = range.begin; index < range.end;) {
      const index::ChunkRow row = chunk_row(find(FrameIndex(index)).chunk);
      use(row);
      index = std::max(index + 1, row.first_frame_index + row.frame_count);
    }
  }

  // See to it that PTS and keyframes of a chunk are known, if it is one of video.
  void scan_if_new(std::int64_t chunk) {
    if (is_video()) {
      const store::IndexedChunk known_from_now_on(index_, chunk);
    }
  }

  bool decodes_sensor() const { return !metadata_.encoding.empty() && !options_.raw_sensor; }

  Image finish(const Image& image, media::Converter& converter) const {
    const Image picture = metadata_.encoding.empty() ? image : from_sensor(image, converter);
    const Image converted =
        options_.pixel_format.empty() ? picture : converter.convert(picture, options_.pixel_format);
    // Decoders go on reading the frames they hand out; image files are decoded anew each time.
    const bool shared = is_video() && converted.data() == image.data();
    return options_.own_pixels && shared ? converter.copy(converted) : converted;
  }

  Image from_sensor(const Image& image, media::Converter& converter) const {
    const Image data = store::stored_channels(image, metadata_, converter);
    return options_.raw_sensor ? data
                               : chunk::decode_sensor(data, metadata_.encoding, folder_.string());
  }

  std::vector<DecodeRun> plan(std::span<const FrameIndex> indices);
  void decode_run(const DecodeRun& run, chunk::Access access, store::ChunkPool& pool,
                  media::Converter& converter, std::mutex& visiting,
                  const std::function<void(std::size_t, Frame)>& visit) const;

  ReaderOptions options_;
  fs::path folder_;
  imgstore::StoreMetadata metadata_;
  store::SharedIndex index_;
  StoreInfo info_;
  media::Converter converter_;
  std::optional<store::ChunkPool> pool_;
  std::int64_t next_ = 0;             // frame_index of what next() reads
  std::optional<std::int64_t> last_;  // frame_index of the frame read last, if that went well
  ReadStatistics finished_;           // of read_many()
};

// Sorted and without repeats, then cut where a keyframe begins: each piece can be decoded on its
// own, and no two decode the same frame. Chunks that were never read before are scanned for it.
std::vector<DecodeRun> Reader::Impl::plan(std::span<const FrameIndex> indices) {
  std::vector<std::size_t> order(indices.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return indices[a] < indices[b]; });
  std::vector<DecodeRun> runs;
  std::pair<std::int64_t, std::int64_t> run_start{-1, -1};  // chunk, and place in it
  for (const std::size_t position : order) {
    if (!runs.empty() && runs.back().frames.back().info.index == indices[position]) {
      runs.back().frames.back().positions.push_back(position);
      continue;
    }
    FrameInfo info = find(indices[position]);
    std::int64_t start = info.frame_idx;
    if (is_video()) {
      if (run_start.first != info.chunk) {
        scan_if_new(info.chunk);
        info = find(indices[position]);  // with what is known only now
      }
      const auto key = index_.keyframe_at_or_before(info.chunk, info.frame_idx);
      start = key ? key->frame_idx : 0;
    }
    if (runs.empty() || run_start != std::pair(info.chunk, start)) {
      runs.push_back({start, {}});
      run_start = {info.chunk, start};
    }
    runs.back().frames.push_back({info, {position}});
  }
  return runs;
}

std::vector<FrameIndex> Reader::Impl::keyframes(IndexRange range) {
  range = {std::max<std::int64_t>(range.begin, 0), std::min(range.end, info_.frame_count)};
  std::vector<FrameIndex> starts;
  const auto keep = [&](std::int64_t index) {
    if (index >= range.begin && index < range.end) {
      starts.emplace_back(index);
    }
  };
  if (!is_video()) {
    for (std::int64_t index = range.begin; index < range.end; ++index) {
      keep(index);
    }
    return starts;
  }
  for_each_chunk(range, [&](const index::ChunkRow& row) {
    scan_if_new(row.chunk);
    for (const index::KeyframeRow& key : index_.keyframes(row.chunk)) {
      keep(row.first_frame_index + key.frame_idx);
    }
  });
  return starts;
}

void Reader::Impl::decode_run(const DecodeRun& run, chunk::Access access, store::ChunkPool& pool,
                              media::Converter& converter, std::mutex& visiting,
                              const std::function<void(std::size_t, Frame)>& visit) const {
  for (const DecodeRun::Wanted& wanted : run.frames) {
    FrameInfo info = wanted.info;
    const Image image = finish(pool.read(info, access), converter);
    const std::lock_guard lock(visiting);
    for (const std::size_t position : wanted.positions) {
      const bool shared = options_.own_pixels && position != wanted.positions.back();
      visit(position, {info, shared ? converter.copy(image) : image});
    }
  }
}

void Reader::Impl::read_many(std::span<const FrameIndex> indices,
                             const std::function<void(std::size_t, Frame)>& visit) {
  const std::vector<DecodeRun> runs = plan(indices);
  const int workers = std::min(threads(), static_cast<int>(runs.size()));
  if (workers == 0) {
    return;
  }
  std::atomic<std::size_t> next_run{0};
  std::mutex visiting;
  std::mutex finishing;
  std::exception_ptr failure;
  const auto keep_failure = [&] {
    next_run = runs.size();
    const std::lock_guard lock(finishing);
    failure = failure ? failure : std::current_exception();
  };
  const auto work = [&] {
    std::optional<store::ChunkPool> pool;
    try {
      const int threads_each = std::max(1, threads() / workers);
      pool.emplace(index_, metadata_, threads_each);
      media::Converter converter(1);
      for (std::size_t i = next_run++; i < runs.size(); i = next_run++) {
        decode_run(runs[i], access_to(runs[i], threads_each), *pool, converter, visiting, visit);
      }
    } catch (...) {
      keep_failure();
    }
    const std::lock_guard lock(finishing);
    if (pool) {
      store::accumulate(finished_, pool->statistics());
    }
  };
  {
    std::vector<std::jthread> joined;
    try {
      for (int i = 0; i < workers; ++i) {
        joined.push_back(base::start_thread(folder_.string(), work));
      }
    } catch (...) {
      keep_failure();
    }
  }
  if (failure) {
    std::rethrow_exception(failure);
  }
}

Reader::Reader(const fs::path& store, ReaderOptions options)
    : impl_(std::make_unique<Impl>(store, std::move(options))) {}
Reader::~Reader() = default;
Reader::Reader(Reader&&) noexcept = default;
Reader& Reader::operator=(Reader&&) noexcept = default;

const StoreInfo& Reader::info() const {
  return impl_->info();
}
store::SharedIndex& store::ReaderAccess::index(Reader& reader) {
  return reader.impl_->index();
}
const imgstore::StoreMetadata& store::ReaderAccess::metadata(const Reader& reader) {
  return reader.impl_->metadata();
}

std::int64_t Reader::frame_count() const {
  return impl_->info().frame_count;
}
std::int64_t Reader::refresh() {
  return impl_->refresh();
}

FrameInfo Reader::find(FrameIndex index) const {
  return impl_->find(index);
}
FrameInfo Reader::find(FrameNumber number, Match match) const {
  return impl_->find(number, match);
}
FrameInfo Reader::find(FrameTime time) const {
  return impl_->find(time);
}

void Reader::for_each_info(IndexRange range,
                           const std::function<bool(const FrameInfo&)>& visit) const {
  impl_->for_each_info(range, visit);
}

std::vector<FrameInfo> Reader::infos(IndexRange range) const {
  std::vector<FrameInfo> all;
  for_each_info(range, [&all](const FrameInfo& info) {
    all.push_back(info);
    return true;
  });
  return all;
}

FrameNameArrays Reader::names(IndexRange range) const {
  return impl_->names(range);
}

IndexRange Reader::prepare(FrameIndex index) {
  return impl_->prepare(index);
}

std::vector<FrameIndex> Reader::keyframes(IndexRange range) {
  return impl_->keyframes(range);
}

Frame Reader::read(FrameIndex index) {
  return impl_->read(find(index));
}
Frame Reader::read(FrameNumber number, Match match) {
  return impl_->read(find(number, match));
}
Frame Reader::read(FrameTime time) {
  return impl_->read(find(time));
}
std::optional<Frame> Reader::next() {
  return impl_->next();
}

std::vector<Frame> Reader::read_many(std::span<const FrameIndex> indices) {
  std::vector<Frame> frames(indices.size());
  read_many(indices,
            [&frames](std::size_t position, Frame frame) { frames[position] = std::move(frame); });
  return frames;
}

void Reader::read_many(std::span<const FrameIndex> indices,
                       const std::function<void(std::size_t, Frame)>& visit) {
  impl_->read_many(indices, visit);
}

ReadStatistics Reader::statistics() const {
  return impl_->statistics();
}

}  // namespace avstore
