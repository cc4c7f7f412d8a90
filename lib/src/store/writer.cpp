#include "avstore/writer.h"

#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <variant>

#include "avstore/error.h"
#include "base/files.h"
#include "base/thread.h"
#include "chunk/sensor_image.h"
#include "imgstore/metadata.h"
#include "media/codec_table.h"
#include "media/encoder.h"
#include "store/chunk_sequence.h"
#include "store/closed_store.h"
#include "store/frame_pool.h"
#include "store/frame_rules.h"
#include "store/frames_under_way.h"
#include "store/latency_meter.h"
#include "store/layout.h"
#include "store/recording_lock.h"
#include "store/replaced_store.h"
#include "store/store_folder.h"
#include "store/thread_share.h"
#include "store/writer_options.h"
#include "store/writer_queue.h"

namespace avstore {
namespace {

using Clock = std::chrono::steady_clock;
using store::WriterQueue;

constexpr Rational kUsualFrameRate{25, 1};

// Frames are to become durable in a second: a longer wait for the index database is told of.
constexpr std::chrono::seconds kQuietWait{1};

// In time, as far as the nominal frame rate tells.
Clock::duration keyframe_interval(const EncoderOptions& encoder) {
  const int frames = encoder.keyframe_interval > 0
                         ? encoder.keyframe_interval
                         : media::default_keyframe_interval(encoder.frame_rate);
  const double seconds = frames * static_cast<double>(encoder.frame_rate.den) /
                         static_cast<double>(encoder.frame_rate.num);
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

// Whoever adds frames often serves a camera too, and must not be pushed aside whenever a thread
// that encodes wakes up: threads of this class wait for their turn, and get as much time in all.
// Those that this one starts inherit it.
void push_nobody_aside() {
  const sched_param same{};
  static_cast<void>(::sched_setscheduler(0, SCHED_BATCH, &same));
}

imgstore::StoreMetadata initial_metadata(const WriterOptions& options) {
  const Format& format = find_format(options.format);
  imgstore::StoreMetadata metadata;
  metadata.store_class = format.video ? imgstore::kVideoClass : imgstore::kDirectoryClass;
  metadata.format = format.name;
  metadata.extension = format.video ? format.extension : "";
  metadata.chunksize =
      options.chunk_size > 0 ? options.chunk_size : store::default_chunk_size(format.video);
  metadata.encoding = options.encoding;
  metadata.created_utc = options.created_utc.empty() ? imgstore::utc_now() : options.created_utc;
  metadata.timezone_local =
      options.timezone_local.empty() ? imgstore::local_timezone_name() : options.timezone_local;
  metadata.uuid = imgstore::new_uuid();
  metadata.user_yaml = imgstore::normalize_user_yaml(options.metadata_yaml);
  return metadata;
}

}  // namespace

class Writer::Impl {
 public:
  Impl(const std::filesystem::path& path, WriterOptions options)
      : options_(std::move(options)),
        threads_(std::in_place, options_.encoder.threads),
        folder_(path) {
    decoded_ = media::decodes_sensor_data(options_.format);
    options_.format = find_format(options_.format).name;
    store::require_valid(options_);
    require_known_encoding();
    if (options_.encoder.frame_rate.num == 0) {
      options_.encoder.frame_rate = kUsualFrameRate;
    }
    metadata_ = initial_metadata(options_);
    if (decoded_) {
      metadata_.encoding.clear();
    }
    make_way();
    start();
  }

  // Goes on with a closed store.
  struct Append {};
  Impl(const std::filesystem::path& path, WriterOptions options, Append /*tag*/)
      : options_(std::move(options)),
        threads_(std::in_place, options_.encoder.threads),
        folder_(store::existing_folder(path)) {
    store::require_closed(folder_);
    store::require_index_in_store(folder_, options_.on_warning);
    {
      // Whoever changes the store as a whole keeps others out so.
      const base::FileLock lock(folder_);
      store::require_closed(folder_);
      recording_.emplace(folder_);
    }
    try {
      store::ClosedStore store = store::open_closed_store(folder_);
      options_ = store::options_of(store, std::move(options_));
      store::require_valid(options_);
      if (options_.encoder.frame_rate.num == 0) {
        options_.encoder.frame_rate = kUsualFrameRate;
      }
      metadata_ = std::move(store.metadata);
      statistics_.frames_encoded = store.index.frame_count();
      statistics_.frames_durable = store.index.frame_count();
      queue_.begin_at(store.index.frame_count());
      for (const index::ChunkRow& row : store.index.chunks()) {
        statistics_.bytes_written += row.bytes;
      }
      if (options_.durability == Durability::power) {
        store::sync_store(folder_);  // its frames count as durable from the first on
      }
      appended_to_.emplace(waiting_for_lock(std::move(store.index)));
    } catch (...) {
      recording_->remove();
      throw;
    }
    appends_ = true;
    start();
  }

  bool has_failed() const { return queue_.has_failed(); }

  ~Impl() {
    try {
      close();
    } catch (...) {
      // Documented: close() is the way to learn of errors.
    }
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  bool add_shared(Image image, FrameNumber number, FrameTime time) {
    const ImageView view = image.view();
    return add(view, [&image] { return std::move(image); }, {number, time});
  }

  bool add_copy(const ImageView& view, FrameNumber number, FrameTime time) {
    return add(view, [&] { return pool_.copy(view); }, {number, time});
  }

  void insert_chunk(const std::filesystem::path& file, std::span<const FrameNames> names,
                    bool move) {
    imgstore::ChunkIndex chunk;
    for (const FrameNames& name : names) {
      chunk.frame_number.push_back(name.number.value);
      chunk.frame_time.push_back(name.time.seconds);
    }
    queue_.insert(file, std::move(chunk), move);
  }

  void add_extra(const std::string& json) {
    // A warning may lead here on the very thread that makes room.
    queue_.add_extra(json, std::this_thread::get_id() != worker_id_);
  }

  bool try_add_extra(const std::string& json) { return queue_.try_add_extra(json); }

  void sync() { queue_.sync(); }

  void close() {
    if (queue_.close()) {
      end_worker();
    }
  }

  void abandon() noexcept {
    given_up_ = true;
    if (!queue_.abandon()) {
      return;
    }
    try {
      end_worker();
    } catch (...) {
      // Whoever abandons a store has a reason that matters more.
    }
  }

  const std::filesystem::path& path() const { return folder_; }

  WriterStatistics statistics() const {
    WriterStatistics all;
    {
      const std::lock_guard lock(statistics_mutex_);
      all = statistics_;
      all.encode_latency = encode_latency_.percentiles();
      all.total_latency = total_latency_.percentiles();
    }
    // After that, so that there are no more frames durable than were added.
    const WriterQueue::Account account = queue_.account();
    all.frames_added = account.frames_added;
    all.frames_dropped = account.frames_dropped;
    all.queue_frames = account.frames;
    all.queue_bytes = account.bytes;
    return all;
  }

  std::int64_t durable_count() const {
    const std::lock_guard lock(statistics_mutex_);
    return statistics_.frames_durable;
  }

  std::vector<FrameNames> dropped() const { return queue_.dropped(); }

 private:
  bool add(const ImageView& view, const std::function<Image()>& make_image,
           const FrameNames& names) {
    rules_->check(view, queue_.frames_added());
    return queue_.add_frame(packed_size(view), names, make_image);
  }

  void start() {
    try {
      rules_.emplace(folder_, options_, metadata_, decoded_);
      under_way_.emplace(keyframe_interval(options_.encoder));
      worker_ = base::start_thread(folder_.string(), [this] { work(); });
      worker_id_ = worker_.get_id();
    } catch (...) {
      take_back_start();
      throw;
    }
  }

  void take_back_start() {
    queue_.abandon();
    release_folder();
  }

  void end_worker() {
    worker_.join();
    threads_.reset();  // for the others
    release_folder();
    queue_.throw_failure();
  }

  void make_way() {
    store::require_free(folder_, options_.overwrite);
    const bool made = store::make_folder(folder_);
    try {
      recording_.emplace(folder_);
      replaced_.emplace(folder_);
    } catch (...) {
      if (recording_) {
        recording_->remove();
      }
      std::error_code stays;
      if (made) {
        std::filesystem::remove(folder_, stays);
      }
      throw;
    }
  }

  // The database of a store to which nothing was added, where end() did not come to it.
  void close_appended_to() {
    try {
      if (appended_to_) {
        appended_to_->close();
      }
    } catch (const Error&) {
      // What brought us here is the one to report, and an empty log that stays harms nobody.
    }
  }

  // What failed or was abandoned before its first frame was durable is no store.
  void release_folder() {
    close_appended_to();
    const bool is_none =
        (queue_.has_failed() || queue_.is_abandoned()) && durable_count() == 0 && !appends_ &&
        recording_->is_in_place();  // else it is no more our folder that has this name
    if (is_none) {
      store::remove_store_files(folder_);
      replaced_->bring_back();
    } else if (replaced_) {
      replaced_->drop();
    }
    replaced_.reset();  // killed before it is done, what stays is found by the lock
    recording_->remove();
    recording_.reset();
    if (is_none) {
      std::error_code stays;
      std::filesystem::remove(folder_, stays);  // if nothing else is in it
    }
  }

  void require_known_encoding() const {
    const std::string& encoding = options_.encoding;
    if (decoded_ && encoding.empty()) {
      throw Error(ErrorKind::invalid_argument,
                  folder_.string() + ": the format needs the encoding of the frames");
    }
    const bool known = decoded_ ? chunk::knows_encoding(encoding) : chunk::is_encoding(encoding);
    if (!encoding.empty() && !known) {
      throw Error(ErrorKind::unsupported,
                  folder_.string() + ": encoding " + encoding + " is not known");
    }
  }

  // --- The writer's own thread ---

  void work() {
    push_nobody_aside();
    try {
      while (auto item = queue_.next(under_way_->next_due())) {
        std::visit([this](auto& what) { handle(what); }, *item);
        store_if_due();
        publish();
      }
      end();
    } catch (...) {
      fail(std::current_exception());
    }
  }

  void store_if_due() {
    if (under_way_->must_store()) {
      chunks_->store_encoded();
      under_way_->note_stored();
      publish();
    }
    // A writer that cannot keep up would only fall back further.
    if (under_way_->must_store_all() && queue_.is_empty()) {
      make_durable();
    } else if (under_way_->must_store_extra()) {
      chunks_->store_extra();
      under_way_->note_extra_durable();
    }
  }

  // What is due is stored after each item.
  void handle(const WriterQueue::NothingCame& /*unused*/) {}

  void make_durable() {
    if (chunks_) {
      chunks_->sync();
      under_way_->note_extra_durable();
    }
  }

  void handle(WriterQueue::Frame& frame) {
    // First as many as come while the encoder starts, which competes for memory too; then enough
    // for all the frames that the queue holds and the one being encoded.
    pool_.make_ready(options_.queue_frames + 1, chunks_ ? 4 : 16);
    if (!options_.encoding.empty()) {
      frame.image = chunk::as_sensor_data(frame.image, options_.encoding, folder_.string());
    }
    if (decoded_) {
      frame.image = chunk::decode_sensor(frame.image, options_.encoding, folder_.string());
    }
    const Clock::time_point begin = Clock::now();
    chunks().add(frame.image, frame.number, frame.time);
    frame.image = Image();
    under_way_->take(chunks_->frames_encoded(), frame.added);
    {
      const std::lock_guard lock(statistics_mutex_);
      encode_latency_.note(Clock::now() - begin);
    }
    queue_.note_done(frame);
  }

  // Other programs may keep the database to themselves for any time (a query in a shell, a process
  // that was stopped). Nothing is wrong with the data then, so frames wait in the queue meanwhile.
  index::Index waiting_for_lock(index::Index index) {
    index.wait_for_lock({[this](std::chrono::milliseconds waited) { return waits_on(waited); },
                         [this](std::chrono::milliseconds waited) { note_lock(waited); }});
    return index;
  }

  bool waits_on(std::chrono::milliseconds waited) {
    if (waited >= kQuietWait && !told_of_lock_ && !given_up_) {
      told_of_lock_ = true;
      warn("another program has the index database locked; frames wait until it is free");
    }
    return !given_up_;
  }

  void note_lock(std::chrono::milliseconds waited) {
    if (std::exchange(told_of_lock_, false)) {
      warn("the index database is free again after " +
           std::to_string(std::chrono::duration_cast<std::chrono::seconds>(waited).count()) +
           " s; the recording goes on");
    }
  }

  void warn(const std::string& text) const {
    if (options_.on_warning) {
      options_.on_warning(text);
    }
  }

  store::ChunkSequence& chunks() {
    if (!chunks_) {
      chunks_.emplace(folder_, metadata_, options_, *threads_,
                      appended_to_
                          ? *std::exchange(appended_to_, std::nullopt)
                          : waiting_for_lock(store::make_index(folder_, metadata_, options_)));
    }
    return *chunks_;
  }

  void handle(const WriterQueue::Insertion& item) {
    std::optional<store::ChunkSequence::Insertion> insertion;
    std::exception_ptr refused;
    try {
      insertion = chunks().check_insertion(item.file, item.names, item.move);
    } catch (const Error&) {
      refused = std::current_exception();
    }
    if (refused) {
      item.done->set_value(std::move(refused));  // no harm was done to the store
      return;
    }
    try {
      chunks_->insert(*insertion);
    } catch (const Error&) {
      item.done->set_value(std::current_exception());
      throw;
    }
    // Whoever waits for it reads this: frames that are added now must be as those that came.
    metadata_.imgshape = chunks_->metadata().imgshape;
    metadata_.imgdtype = chunks_->metadata().imgdtype;
    publish();
    item.done->set_value(nullptr);
  }

  void handle(const WriterQueue::Extra& extra) {
    chunks().add_extra(extra.json);
    under_way_->take_extra();
    queue_.note_done(extra);
  }

  void handle(const WriterQueue::Sync& sync) {
    make_durable();
    publish();  // whoever waits will look at what is durable
    queue_.note_done(sync);
  }

  void publish() {
    if (!chunks_) {
      return;
    }
    if (replaced_ && chunks_->frames_durable() > 0) {
      replaced_->drop();  // the disk may be slow, and statistics() waits for the lock below
    }
    const std::lock_guard lock(statistics_mutex_);
    statistics_.frames_encoded = chunks_->frames_encoded();
    statistics_.frames_durable = chunks_->frames_durable();
    statistics_.bytes_written = chunks_->bytes_written();
    statistics_.encoder = chunks_->encoder();
    const Clock::time_point now = Clock::now();
    while (const auto added = under_way_->pop_durable(statistics_.frames_durable)) {
      total_latency_.note(now - *added);
    }
  }

  void end() {
    if (queue_.is_abandoned()) {
      queue_.throw_away();
      if (chunks_) {
        chunks_->abandon_chunk(store::ChunkSequence::Unfinished::removed);
      }
    } else if (chunks_) {
      chunks_->close();
      publish();
    } else if (appended_to_) {
      appended_to_->close();
    } else {
      chunks().close();  // a store without frames
    }
  }

  // What an encoder or a converter says names no file.
  std::exception_ptr with_path(std::exception_ptr failure) const {
    try {
      std::rethrow_exception(failure);
    } catch (const Error& error) {
      const std::string what = error.what();
      if (what.find(folder_.string()) == std::string::npos) {
        return std::make_exception_ptr(
            Error(error.kind(), folder_.string() + ": " + what, error.system_error()));
      }
    } catch (...) {
      return failure;
    }
    return failure;
  }

  void fail(std::exception_ptr failure) {
    given_up_ = true;  // what is left to do waits for nobody
    publish();         // a chunk may have become durable before what failed
    if (chunks_) {
      // Without a frame there will be no store to put anything aside in; and what is given up is
      // not wanted.
      const bool is_kept = !queue_.is_abandoned() && (appends_ || chunks_->frames_durable() > 0);
      chunks_->abandon_chunk(is_kept ? store::ChunkSequence::Unfinished::put_aside
                                     : store::ChunkSequence::Unfinished::removed);
    }
    queue_.fail(with_path(std::move(failure)));
    queue_.throw_away();
  }

  WriterOptions options_;
  std::atomic<bool> given_up_ = false;  // nothing is waited for any more
  bool told_of_lock_ = false;           // used by the worker only
  bool decoded_ = false;  // frames are decoded from their encoding before they are written
  std::optional<store::ThreadShare> threads_;  // until the worker has ended
  std::filesystem::path folder_;
  WriterQueue queue_{folder_, options_};
  std::optional<store::RecordingLock> recording_;
  std::optional<store::ReplacedStore> replaced_;  // none if it is gone on with one that is there
  imgstore::StoreMetadata metadata_;
  bool appends_ = false;                     // to a store that was there
  std::optional<index::Index> appended_to_;  // until there are chunks
  std::optional<store::FrameRules> rules_;
  std::optional<store::ChunkSequence> chunks_;  // used by the worker only
  store::FramePool pool_;
  // Used by the worker only, set before it starts: the frame rate is known by then.
  std::optional<store::FramesUnderWay> under_way_;

  mutable std::mutex statistics_mutex_;  // guards what follows
  store::LatencyMeter encode_latency_;
  store::LatencyMeter total_latency_;
  WriterStatistics statistics_;  // as the worker sees it

  std::thread::id worker_id_;
  std::jthread worker_;
};

Writer::Writer(const std::filesystem::path& store, WriterOptions options)
    : impl_(std::make_unique<Impl>(store, std::move(options))) {}
Writer::Writer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Writer::~Writer() = default;
Writer::Writer(Writer&&) noexcept = default;
Writer& Writer::operator=(Writer&&) noexcept = default;

Writer Writer::append(const std::filesystem::path& store, WriterOptions options) {
  return Writer(std::make_unique<Impl>(store, std::move(options), Impl::Append()));
}

bool Writer::add(const ImageView& image, FrameNumber number, FrameTime time) {
  return impl_->add_copy(image, number, time);
}
bool Writer::add(Image image, FrameNumber number, FrameTime time) {
  return impl_->add_shared(std::move(image), number, time);
}
void Writer::insert_chunk(const std::filesystem::path& file, std::span<const FrameNames> names,
                          bool move) {
  impl_->insert_chunk(file, names, move);
}
void Writer::add_extra(const std::string& json) {
  impl_->add_extra(json);
}
bool Writer::try_add_extra(const std::string& json) {
  return impl_->try_add_extra(json);
}
void Writer::sync() {
  impl_->sync();
}
std::int64_t Writer::durable_count() const {
  return impl_->durable_count();
}
std::vector<FrameNames> Writer::dropped() const {
  return impl_->dropped();
}
bool Writer::has_failed() const {
  return impl_->has_failed();
}
void Writer::close() {
  impl_->close();
}
void Writer::abandon() noexcept {
  impl_->abandon();
}
std::filesystem::path Writer::path() const {
  return impl_->path();
}
WriterStatistics Writer::statistics() const {
  return impl_->statistics();
}

}  // namespace avstore
