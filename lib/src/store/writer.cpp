#include "avstore/writer.h"

#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <future>
#include <mutex>
#include <numeric>
#include <thread>
#include <utility>
#include <variant>

#include "avstore/error.h"
#include "base/files.h"
#include "chunk/sensor_image.h"
#include "imgstore/extra_data.h"
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

namespace avstore {
namespace {

using Clock = std::chrono::steady_clock;

struct FrameItem {
  Image image;
  FrameNumber number;
  FrameTime time;
  std::size_t bytes = 0;
  Clock::time_point added;
};
struct ExtraItem {
  std::string json;
  std::size_t bytes = 0;
};
struct SyncItem {};
struct NothingCame {};
struct InsertItem {
  std::filesystem::path file;
  imgstore::ChunkIndex names;
  bool move = false;
  std::shared_ptr<std::promise<void>> done;
};
using Item = std::variant<FrameItem, ExtraItem, SyncItem, InsertItem, NothingCame>;

constexpr Rational kUsualFrameRate{25, 1};

// The names of more dropped frames than that are not kept.
constexpr std::size_t kMostDropped = 10000;

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
      : options_(std::move(options)), threads_(options_.encoder.threads), folder_(path) {
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
        threads_(options_.encoder.threads),
        folder_(store::existing_folder(path)) {
    {
      // Whoever changes the store as a whole keeps others out so.
      const base::FileLock lock(folder_);
      store::require_closed(folder_);
      recording_.emplace(folder_);
    }
    try {
      store::ClosedStore store = store::open_closed_store(folder_, options_.on_warning);
      options_ = store::options_of(store, std::move(options_));
      store::require_valid(options_);
      if (options_.encoder.frame_rate.num == 0) {
        options_.encoder.frame_rate = kUsualFrameRate;
      }
      metadata_ = std::move(store.metadata);
      added_ = store.index.frame_count();
      statistics_.frames_encoded = added_;
      statistics_.frames_durable = added_;
      for (const index::ChunkRow& row : store.index.chunks()) {
        statistics_.bytes_written += row.bytes;
      }
      appended_to_.emplace(waiting_for_lock(std::move(store.index)));
    } catch (...) {
      recording_->remove();
      throw;
    }
    appends_ = true;
    start();
  }

  ~Impl() {
    try {
      close();
    } catch (const std::exception&) {
      // Documented: close() is the way to learn of errors.
    }
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  // `make_image` is called once there is room for the frame.
  bool add(const ImageView& view, const std::function<Image()>& make_image, FrameNumber number,
           FrameTime time) {
    const Clock::time_point begin = Clock::now();
    rules_->check(view, added_);
    const std::size_t bytes = packed_size(view);
    if (!reserve(bytes, {number, time})) {
      return false;
    }
    try {
      put({make_image(), number, time, bytes, begin});
    } catch (...) {
      const std::lock_guard lock(mutex_);
      release(bytes);
      throw;
    }
    return true;
  }

  bool add_shared(Image image, FrameNumber number, FrameTime time) {
    const ImageView view = image.view();
    return add(
        view, [&image] { return std::move(image); }, number, time);
  }

  bool add_copy(const ImageView& view, FrameNumber number, FrameTime time) {
    return add(
        view, [&] { return pool_.copy(view); }, number, time);
  }

  void insert_chunk(const std::filesystem::path& file, std::span<const FrameNames> names,
                    bool move) {
    InsertItem item{file, {}, move, std::make_shared<std::promise<void>>()};
    for (const FrameNames& name : names) {
      item.names.frame_number.push_back(name.number.value);
      item.names.frame_time.push_back(name.time.seconds);
    }
    std::future<void> done = item.done->get_future();
    {
      const std::lock_guard lock(mutex_);
      require_open();
      throw_failure();
      queue_.emplace_back(std::move(item));
      work_.notify_one();
    }
    try {
      done.get();
    } catch (const std::future_error&) {
      // Nobody is left to do it.
      const std::lock_guard lock(mutex_);
      throw_failure();
      throw_given_up();
    }
    const std::lock_guard lock(mutex_);
    added_ += static_cast<std::int64_t>(names.size());
  }

  void add_extra(const std::string& json) {
    ExtraItem extra = extra_item(json);
    std::unique_lock lock(mutex_);
    require_open();
    throw_failure();
    // A warning may lead here on the very thread that makes room.
    const bool may_wait = std::this_thread::get_id() != worker_id_;
    if (may_wait && options_.when_full == WhenFull::fail &&
        !has_room_for_extra(extra.bytes, options_.queue_bytes)) {
      throw Error(ErrorKind::io,
                  folder_.string() + ": extra data come too fast: the queue is full");
    }
    // Its place is behind the newest frame, so it goes there before it waits: else frames that
    // other threads add meanwhile would come between.
    const std::int64_t mine = queue_extra(std::move(extra));
    if (may_wait) {
      room_.wait(lock, [&] { return extra_let_in_ >= mine || failure_ || closed_; });
    }
    throw_failure();
    if (abandoned_) {
      throw_closed();
    }
  }

  bool try_add_extra(const std::string& json) {
    ExtraItem extra = extra_item(json);
    const std::lock_guard lock(mutex_);
    require_open();
    throw_failure();
    if (!extra_outside_.empty() || !has_room_for_extra(extra.bytes, options_.queue_bytes / 2)) {
      return false;
    }
    queue_extra(std::move(extra));
    return true;
  }

  void sync() {
    std::unique_lock lock(mutex_);
    require_open();
    throw_failure();
    queue_.emplace_back(SyncItem{});
    const std::int64_t mine = ++syncs_wanted_;
    work_.notify_one();
    synced_.wait(lock, [&] { return syncs_done_ >= mine || failure_ || abandoned_; });
    throw_failure();
    if (syncs_done_ < mine) {
      throw_given_up();
    }
  }

  void close() {
    {
      const std::lock_guard lock(mutex_);
      if (closed_) {
        return;
      }
      begin_to_close();
    }
    end_worker();
  }

  void abandon() noexcept {
    given_up_ = true;
    {
      const std::lock_guard lock(mutex_);
      if (closed_) {
        return;
      }
      abandoned_ = true;
      begin_to_close();
      synced_.notify_all();
    }
    try {
      end_worker();
    } catch (const std::exception&) {
      // Whoever abandons a store has a reason that matters more.
    }
  }

  const std::filesystem::path& path() const { return folder_; }

  WriterStatistics statistics() const {
    const std::lock_guard lock(mutex_);
    WriterStatistics all = statistics_;
    all.frames_added = added_;
    all.frames_dropped = dropped_count_;
    all.queue_frames = queued_frames_;
    all.queue_bytes = std::accumulate(extra_outside_.begin(), extra_outside_.end(), queued_bytes_);
    all.encode_latency = encode_latency_.percentiles();
    all.total_latency = total_latency_.percentiles();
    return all;
  }

  std::int64_t durable_count() const {
    const std::lock_guard lock(mutex_);
    return statistics_.frames_durable;
  }

  std::vector<FrameNames> dropped() const {
    const std::lock_guard lock(mutex_);
    return dropped_;
  }

 private:
  void start() {
    rules_.emplace(folder_, options_, metadata_, decoded_);
    under_way_.emplace(keyframe_interval(options_.encoder));
    const std::lock_guard lock(mutex_);
    worker_ = std::thread([this] { work(); });
    worker_id_ = worker_.get_id();
  }

  void begin_to_close() {
    closed_ = true;
    work_.notify_one();
    room_.notify_all();
  }

  void end_worker() {
    worker_.join();
    release_folder();
    throw_failure();
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

  // What failed or was abandoned before its first frame was durable is no store.
  void release_folder() {
    const bool is_none = (failure_ || abandoned_) && statistics_.frames_durable == 0 && !appends_;
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

  // Make room in the queue for a frame. False if it is dropped.
  bool reserve(std::size_t bytes, const FrameNames& names) {
    std::unique_lock lock(mutex_);
    require_open();
    if (options_.when_full == WhenFull::block) {
      room_.wait(lock, [&] { return has_room(bytes) || failure_ || closed_; });
      require_open();  // closed by another thread meanwhile
    }
    throw_failure();
    if (!has_room(bytes)) {
      if (options_.when_full == WhenFull::fail) {
        throw Error(ErrorKind::io, folder_.string() + ": frame " + std::to_string(added_) +
                                       " comes too fast: the queue is full, " +
                                       std::to_string(queued_frames_) + " frames wait");
      }
      ++dropped_count_;
      if (dropped_.size() < kMostDropped) {
        dropped_.push_back(names);
      }
      return false;
    }
    ++queued_frames_;
    queued_bytes_ += bytes;
    return true;
  }

  void put(FrameItem frame) {
    const std::lock_guard lock(mutex_);
    require_open();
    throw_failure();
    queue_.emplace_back(std::move(frame));
    ++added_;
    work_.notify_one();
  }

  void release(std::size_t bytes) {
    --queued_frames_;
    queued_bytes_ -= bytes;
    room_.notify_all();
  }

  bool has_room(std::size_t bytes) const {
    return queued_frames_ == 0 || (queued_frames_ < options_.queue_frames &&
                                   queued_bytes_ + bytes <= options_.queue_bytes);
  }

  static ExtraItem extra_item(const std::string& json) {
    ExtraItem extra{imgstore::normalize_extra_json(json)};
    extra.bytes = sizeof(Item) + extra.json.size();
    return extra;
  }

  // Frames do not take this room away: else a queue that they fill would keep extra data waiting
  // for longer than they wait themselves.
  bool has_room_for_extra(std::size_t bytes, std::size_t most) const {
    return queued_extra_bytes_ == 0 || queued_extra_bytes_ + bytes <= most;
  }

  // What extra_let_in_ must have come to for there to be room for it.
  std::int64_t queue_extra(ExtraItem extra) {
    extra_outside_.push_back(extra.bytes);
    queue_.emplace_back(std::move(extra));
    work_.notify_one();
    const std::int64_t mine = extra_let_in_ + static_cast<std::int64_t>(extra_outside_.size());
    let_extra_in();
    return mine;
  }

  // One after another, so that a large record is not kept waiting by small ones.
  void let_extra_in() {
    while (!extra_outside_.empty() &&
           has_room_for_extra(extra_outside_.front(), options_.queue_bytes)) {
      queued_extra_bytes_ += extra_outside_.front();
      queued_bytes_ += extra_outside_.front();
      extra_outside_.pop_front();
      ++extra_let_in_;
    }
  }

  void require_open() const {
    if (closed_) {
      throw_closed();
    }
  }

  [[noreturn]] void throw_closed() const {
    throw Error(ErrorKind::invalid_argument, folder_.string() + ": the writer is closed");
  }

  void throw_failure() const {
    if (failure_) {
      std::rethrow_exception(failure_);
    }
  }

  [[noreturn]] void throw_given_up() const {
    throw Error(ErrorKind::invalid_argument, folder_.string() + ": the writer was given up");
  }

  // --- The writer's own thread ---

  void work() {
    push_nobody_aside();
    try {
      while (auto item = next_item()) {
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
    if (under_way_->must_store_all() && is_queue_empty()) {
      make_durable();
    } else if (under_way_->must_store_extra()) {
      chunks_->store_extra();
      under_way_->note_extra_durable();
    }
  }

  bool is_queue_empty() const {
    const std::lock_guard lock(mutex_);
    return queue_.empty();
  }

  // What is due is stored after each item.
  void handle(const NothingCame& /*unused*/) {}

  void make_durable() {
    if (chunks_) {
      chunks_->sync();
      under_way_->note_extra_durable();
    }
  }

  // Waits for the next item; none when the writer closes and all is done, or is given up.
  std::optional<Item> next_item() {
    std::unique_lock lock(mutex_);
    const auto is_due = [this] { return !queue_.empty() || closed_; };
    if (const auto due = under_way_->next_due()) {
      if (!work_.wait_until(lock, *due, is_due)) {
        return NothingCame{};
      }
    } else {
      work_.wait(lock, is_due);
    }
    if (queue_.empty() || abandoned_) {
      return std::nullopt;
    }
    Item item = std::move(queue_.front());
    queue_.pop_front();
    return item;
  }

  void handle(FrameItem& frame) {
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
    const std::lock_guard lock(mutex_);
    encode_latency_.note(Clock::now() - begin);
    release(frame.bytes);
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
      chunks_.emplace(folder_, metadata_, options_, threads_,
                      appended_to_
                          ? *std::exchange(appended_to_, std::nullopt)
                          : waiting_for_lock(store::make_index(folder_, metadata_, options_)));
    }
    return *chunks_;
  }

  void handle(const InsertItem& item) {
    std::optional<store::ChunkSequence::Insertion> insertion;
    try {
      insertion = chunks().check_insertion(item.file, item.names, item.move);
    } catch (const Error&) {
      item.done->set_exception(std::current_exception());  // no harm was done to the store
      return;
    }
    try {
      chunks_->insert(*insertion);
    } catch (const Error&) {
      item.done->set_exception(std::current_exception());
      throw;
    }
    // Whoever waits for it reads this: frames that are added now must be as those that came.
    metadata_.imgshape = chunks_->metadata().imgshape;
    metadata_.imgdtype = chunks_->metadata().imgdtype;
    publish();
    item.done->set_value();
  }

  void handle(const ExtraItem& extra) {
    chunks().add_extra(extra.json);
    under_way_->take_extra();
    const std::lock_guard lock(mutex_);
    // It was let in: the first always is.
    queued_extra_bytes_ -= extra.bytes;
    queued_bytes_ -= extra.bytes;
    let_extra_in();
    room_.notify_all();
  }

  void handle(const SyncItem& /*sync*/) {
    make_durable();
    publish();  // whoever waits will look at what is durable
    const std::lock_guard lock(mutex_);
    ++syncs_done_;
    synced_.notify_all();
  }

  void publish() {
    if (!chunks_) {
      return;
    }
    if (replaced_ && chunks_->frames_durable() > 0) {
      replaced_->drop();  // the disk may be slow, and add() waits for the lock below
    }
    const std::lock_guard lock(mutex_);
    statistics_.frames_encoded = chunks_->frames_encoded();
    statistics_.frames_durable = chunks_->frames_durable();
    statistics_.bytes_written = chunks_->bytes_written();
    statistics_.encoder = chunks_->encoder();
    const Clock::time_point now = Clock::now();
    while (const auto added = under_way_->pop_durable(statistics_.frames_durable)) {
      total_latency_.note(now - *added);
    }
  }

  bool is_abandoned() const {
    const std::lock_guard lock(mutex_);
    return abandoned_;
  }

  void end() {
    if (is_abandoned()) {
      throw_queue_away();
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
      const bool is_kept = !is_abandoned() && (appends_ || chunks_->frames_durable() > 0);
      chunks_->abandon_chunk(is_kept ? store::ChunkSequence::Unfinished::put_aside
                                     : store::ChunkSequence::Unfinished::removed);
    }
    failure = with_path(std::move(failure));
    {
      const std::lock_guard lock(mutex_);
      if (!abandoned_) {
        failure_ = std::move(failure);
      }
      room_.notify_all();
      synced_.notify_all();
    }
    throw_queue_away();
  }

  // Nothing comes into it any more. Whoever waits for what is in it is let go.
  void throw_queue_away() {
    std::deque<Item> rest;
    {
      const std::lock_guard lock(mutex_);
      rest.swap(queue_);
    }
    // Here, without the lock: callers' functions let go of pixels, and may wait for somebody who
    // asks this writer something.
  }

  WriterOptions options_;
  std::atomic<bool> given_up_ = false;  // nothing is waited for any more
  bool told_of_lock_ = false;           // used by the worker only
  bool decoded_ = false;  // frames are decoded from their encoding before they are written
  store::ThreadShare threads_;
  std::filesystem::path folder_;
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

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable work_;
  std::condition_variable room_;
  std::condition_variable synced_;
  std::deque<Item> queue_;
  std::size_t queued_frames_ = 0;       // with the one being encoded
  std::size_t queued_bytes_ = 0;        // of extra data too
  std::size_t queued_extra_bytes_ = 0;  // of these alone
  // Bytes of each record in the queue that does not count there yet: whoever told it waits until it
  // does. They are the last ones.
  std::deque<std::size_t> extra_outside_;
  std::int64_t extra_let_in_ = 0;  // records that counted ever
  std::int64_t added_ = 0;
  std::int64_t syncs_wanted_ = 0;
  std::int64_t syncs_done_ = 0;
  bool closed_ = false;
  bool abandoned_ = false;
  std::exception_ptr failure_;
  std::int64_t dropped_count_ = 0;
  std::vector<FrameNames> dropped_;  // the first of them
  store::LatencyMeter encode_latency_;
  store::LatencyMeter total_latency_;
  WriterStatistics statistics_;  // as the worker sees it

  std::thread::id worker_id_;
  std::thread worker_;
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
