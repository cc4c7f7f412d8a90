#include "tools/camera.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "avstore/error.h"
#include "avstore/text.h"
#include "base/thread.h"
#include "tools/store_copy.h"

namespace avstore::tools {
namespace {

// A source that is lost is sought again after this long, then twice as long each time, up to most.
constexpr double kFirstWait = 0.25;
constexpr double kLongestWait = 10;

// Before a stream is open libavformat looks at some seconds of it, and does not tell what came.
constexpr double kLookingAtStream = 5;

double unix_now() {
  using std::chrono::duration;
  return duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Whatever becomes of the machine's clock meanwhile.
double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Of a moment not far from `now`, as no clock that counts from the machine's or the stream's start
// gives.
bool is_unix_time(double seconds, double now) {
  constexpr double kDay = 24 * 3600.0;
  return std::abs(seconds - now) < kDay;
}

// Seconds: a clock that goes back by more has started over, as that of MPEG-TS does after 26.5
// hours. No reordering and no correction is as large.
constexpr double kStartedOver = 600;

// The store gets a record of lost frames at least after so many.
constexpr std::size_t kMostInRecord = 1000;

// More gaps than that are not kept here: a source may come and go for weeks.
constexpr std::size_t kMostGaps = 10000;

}  // namespace

void StartLine::arrive() {
  const std::lock_guard lock(mutex_);
  if (missing_ > 0 && --missing_ == 0) {
    begin_ = std::min(begin_, Clock::now());
  }
  complete_.notify_all();
}

void StartLine::give_up() {
  const std::lock_guard lock(mutex_);
  missing_ = 0;
  complete_.notify_all();
}

void StartLine::wait() {
  std::unique_lock lock(mutex_);
  complete_.wait_until(lock, begin_, [this] { return missing_ == 0; });
}

StartLine::Clock::time_point StartLine::begin() const {
  const std::lock_guard lock(mutex_);
  return begin_;
}

Camera::Camera(CameraOptions options, const RigTerms& terms, StartLine& start)
    : options_(std::move(options)),
      terms_(terms),
      name_(source_name(options_)),
      on_network_(is_on_network(options_)),
      start_(start) {
  thread_ = base::start_thread(name_, [this] { run(); });
}

Camera::~Camera() {
  stop(RecordEnd::stopped);
  finish();
}

void Camera::stop(RecordEnd why) {
  const std::lock_guard lock(mutex_);
  if (!end_) {
    end_ = why;
    stopping_.notify_all();
  }
}

bool Camera::ended() const {
  const std::lock_guard lock(mutex_);
  return state_ == CameraState::ended;
}

CameraStatus Camera::status() const {
  const std::lock_guard lock(mutex_);
  CameraStatus status;
  status.camera = options_.name;
  status.store = options_.store;
  status.state = state_;
  status.trouble = trouble_;
  status.frames_arrived = arrived_;
  status.frames_undecodable = undecodable_count_;
  status.frames_damaged = damaged_count_;
  status.gaps = gap_count_;
  status.queue_limit = options_.writer.queue_frames;
  status.frames_before = frames_before_;
  if (writer_) {
    status.writer = writer_->statistics();
    status.writer.frames_added -= frames_before_;
    status.writer.frames_encoded -= frames_before_;
    status.writer.frames_durable -= frames_before_;
    status.writer.bytes_written -= bytes_before_;
  }
  return status;
}

CameraResult Camera::finish() {
  if (thread_.joinable()) {
    thread_.join();
  }
  return result_;
}

// --- The camera's own thread ---

void Camera::run() {
  // Writers share the cores when their chunks begin, so all of them are there before a frame is.
  const bool ready = prepare();
  start_.arrive();
  if (ready) {
    start_.wait();
    keep_error([this] {
      set_state(CameraState::recording);
      record();
    });
  }
  tell_of_nothing();
  end_writer();
  source_.reset();
  const std::lock_guard lock(mutex_);
  result_.camera = options_.name;
  result_.store = options_.store;
  result_.frames_before = frames_before_;
  result_.seconds = std::chrono::duration<double>(last_arrival_ - first_arrival_).count();
  result_.gap_count = gap_count_;
  result_.gaps = gaps_;
  result_.undecodable = undecodable_count_;
  result_.damaged = damaged_count_;
  result_.end = end_.value_or(RecordEnd::source_ended);
  state_ = CameraState::ended;
  trouble_ = result_.error;
}

bool Camera::prepare() {
  try {
    source_ = open();
    make_writer();
    return true;
  } catch (const std::exception& error) {
    if (!over()) {
      end(RecordEnd::failed, silent_ ? name_ + ": " + silence_text() : error.what());
    }
    return false;
  }
}

std::unique_ptr<FrameSource> Camera::open() {
  silent_ = false;
  opening_ = true;
  last_activity_ = Clock::now();
  if (waits_for_connection(options_)) {
    last_activity_.reset();
  }
  auto source = open_frame_source(options_, terms_.threads_each, [this] { return give_up(); });
  opening_ = false;
  last_activity_ = Clock::now();
  return source;
}

void Camera::make_writer() {
  // Where a name has several levels. What is wrong with that, the writer will say.
  std::error_code ignored;
  std::filesystem::create_directories(options_.store.parent_path(), ignored);
  Writer writer = options_.append ? Writer::append(options_.store, writer_options())
                                  : Writer(options_.store, writer_options());
  const std::lock_guard lock(mutex_);
  frames_before_ = writer.durable_count();
  bytes_before_ = writer.statistics().bytes_written;
  writer_.emplace(std::move(writer));
}

void Camera::record() {
  last_activity_ = Clock::now();  // the others may have been waited for
  PixelInput input(find_format(options_.writer.format), name_, terms_.notice,
                   options_.writer.encoding);
  while (const auto frame = next_frame()) {
    const Clock::time_point begin = Clock::now();
    take(*frame, input);
    if (last_activity_) {
      *last_activity_ += Clock::now() - begin;  // it was the store that kept the source waiting
    }
  }
  if (frames_ == 0 && !over()) {
    throw Error(ErrorKind::io, nothing_text());
  }
  tell_of_loss();
  stop(RecordEnd::source_ended);  // unless it was something else
}

WriterOptions Camera::writer_options() const {
  WriterOptions options = options_.writer;
  options.on_warning = warnings_of(options_.store, terms_.notice);
  if (options.encoder.frame_rate.num == 0 && source_->frame_rate().num > 0) {
    options.encoder.frame_rate = source_->frame_rate();
  }
  return options;
}

// None at the end, whatever it is.
std::optional<LiveFrame> Camera::next_frame() {
  while (!over()) {
    std::string reason = "the connection ended";
    try {
      if (auto frame = source_->next()) {
        // A stream of which nothing can be made is as good as silent.
        if (!frame->undecodable) {
          last_activity_ = Clock::now();
          end_loss();
        }
        return frame;
      }
      if (!is_sought_again() || source_->is_complete()) {
        return std::nullopt;
      }
    } catch (const Error& error) {
      if (over()) {
        return std::nullopt;
      }
      reason = silent_ ? silence_text() : error.what();
      if (!is_sought_again()) {
        throw Error(error.kind(), silent_ ? name_ + ": " + reason : reason);
      }
    }
    seek_again(reason);
  }
  return std::nullopt;
}

// A first connection that ends without a frame was none. One that still stands when it is given up
// was, and to whoever waits for connections more than one may come.
bool Camera::is_sought_again() const {
  const bool was_there = arrived_ > 0 || loss_ || silent_ || waits_for_connection(options_);
  return on_network_ && options_.reconnect != 0 && was_there;
}

// Returns when the source is open again or all is over.
void Camera::seek_again(const std::string& why) {
  const std::string reason = without_passwords(why);
  source_.reset();
  if (!loss_) {
    loss_ = {Clock::now(), kFirstWait, reason};
    if (lost_because_.empty()) {
      lost_because_ = reason;
    }
    if (terms_.notice) {
      terms_.notice(options_.name + ": lost " + name_ + " (" + reason + "); seeking it again");
    }
  }
  set_state(CameraState::reconnecting, reason);
  while (wait(next_pause()) && !comes_back()) {
  }
}

// Twice the one before, but none goes on beyond the time for seeking. Throws Error when that is
// over.
double Camera::next_pause() {
  const double left = time_left();
  if (left <= 0) {
    throw Error(ErrorKind::io, name_ + ": was lost and did not come back: " + loss_->reason);
  }
  return std::min(std::exchange(loss_->pause, std::min(2 * loss_->pause, kLongestWait)), left);
}

bool Camera::comes_back() {
  try {
    source_ = open();
    offset_.reset();
    return true;
  } catch (const Error& error) {
    set_state(CameraState::reconnecting, silent_ ? loss_->reason : error.what());
    return false;
  }
}

void Camera::end_loss() {
  if (loss_) {
    loss_.reset();
    set_state(CameraState::recording);
  }
}

// False if all is over by then.
bool Camera::wait(double seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (std::chrono::steady_clock::now() < end) {
    if (over()) {
      return false;
    }
    std::unique_lock lock(mutex_);
    stopping_.wait_for(lock, std::chrono::milliseconds(100), [this] { return end_.has_value(); });
  }
  return !over();
}

void Camera::take(const LiveFrame& frame, PixelInput& input) {
  last_arrival_ = Clock::now();
  std::int64_t count = 0;
  {
    const std::lock_guard lock(mutex_);
    count = arrived_++;
  }
  if (count == 0) {
    first_arrival_ = last_arrival_;
  }
  const FrameNumber number(frame.number.value_or(options_.first_number + count));
  const FrameTime time = time_of(frame, unix_now());
  if (frame.undecodable) {
    lose(undecodable_, {number, time});
    note_undecodable();
    return;
  }
  if (!writer_->add(input.prepare(frame.image), number, time)) {
    lose(dropped_, {number, time});
    if (!frame.extra.empty()) {
      keep_extra_of_dropped(extra_of_dropped(frame.extra, {number, time}));
    }
    return;
  }
  ++frames_;
  if (frame.damaged) {
    note_damage();
  }
  write_losses();
  if (!frame.extra.empty()) {
    writer_->add_extra(frame.extra);
  }
  note_gap(time);
  last_added_ = last_arrival_;
  last_time_ = time;
}

// It comes as fast as frames do for which there is no room.
void Camera::keep_extra_of_dropped(const std::string& json) {
  if (!writer_->try_add_extra(json)) {
    tell_once(++extra_left_out_,
              "what came with a dropped frame is left out, because too much waits to be written",
              "such records");
  }
}

// If the source was lost between the frame before and this one.
void Camera::note_gap(FrameTime time) {
  const std::string reason = std::exchange(lost_because_, std::string());
  if (!reason.empty() && frames_ > 1) {
    add_gap({FrameIndex(frames_before_ + frames_ - 1), last_time_.seconds, time.seconds, reason});
  }
}

// If no frame came any more since. Counted on from the last one's time, whatever its clock is.
void Camera::note_gap_at_end() {
  const std::string reason = std::exchange(lost_because_, std::string());
  if (!reason.empty()) {
    const double begin = last_time_.seconds;
    add_gap(
        {FrameIndex(frames_before_ + frames_), begin, begin + seconds_since(last_added_), reason});
  }
}

void Camera::add_gap(const Gap& gap) {
  {
    const std::lock_guard lock(mutex_);
    ++gap_count_;
    if (gaps_.size() < kMostGaps) {
      gaps_.push_back(gap);
    }
  }
  writer_->add_extra(gap_record(gap));
}

void Camera::lose(LostFrames& lost, const FrameNames& names) {
  lost.add(names.number, names.time);
  if (lost.size() >= kMostInRecord) {
    write_losses();
  }
}

void Camera::note_undecodable() {
  std::int64_t count = 0;
  {
    const std::lock_guard lock(mutex_);
    count = ++undecodable_count_;
  }
  tell_once(count, "a frame cannot be decoded: it is left out, and its number with it");
}

void Camera::note_damage() {
  writer_->add_extra(damage_record());
  std::int64_t count = 0;
  {
    const std::lock_guard lock(mutex_);
    count = ++damaged_count_;
  }
  tell_once(count, "a frame came damaged: parts of its picture were made up");
}

// Tied to the newest frame: the first one after them, unless the recording ends there.
void Camera::write_losses() {
  for (LostFrames* lost : {&undecodable_, &dropped_}) {
    if (lost->size() > 0) {
      writer_->add_extra(lost->take_record());
    }
  }
}

// All of a bad connection's would be too many.
void Camera::tell_once(std::int64_t count, const std::string& what, const std::string& such) {
  if (count == 1 && terms_.notice) {
    terms_.notice(options_.name + ": " + what + "; from here on " + such + " are only counted");
  }
}

FrameTime Camera::time_of(const LiveFrame& frame, double arrival) {
  const bool is_raw = options_.input_format == kRawStreamFormat;
  const FrameClock usual = is_raw ? FrameClock::source : FrameClock::arrival;
  if (options_.clock.value_or(usual) == FrameClock::arrival || !frame.seconds) {
    return FrameTime(arrival);
  }
  const bool starts_over = last_source_time_ && *frame.seconds < *last_source_time_ - kStartedOver;
  last_source_time_ = frame.seconds;
  if (!offset_ || (starts_over && !is_raw)) {
    offset_ = is_raw || is_unix_time(*frame.seconds, arrival) ? 0 : arrival - *frame.seconds;
  }
  return FrameTime(*frame.seconds + *offset_);
}

void Camera::end_writer() {
  if (!writer_) {
    return;
  }
  if (frames_ == 0) {
    writer_->abandon();
  } else {
    // A writer that failed takes no record any more, and is to let go of its store all the same.
    keep_error([this] {
      note_gap_at_end();
      write_losses();
    });
    keep_error([this] { writer_->close(); });
  }
  // A failure takes with it what waited in the queue.
  result_.frames = writer_->durable_count() - frames_before_;
  result_.dropped_count = writer_->statistics().frames_dropped;
  result_.dropped = writer_->dropped();
  result_.extra_left_out = extra_left_out_;
}

// The first error of all is the one to tell.
void Camera::keep_error(const std::function<void()>& work) {
  try {
    work();
  } catch (const std::exception& error) {
    end(RecordEnd::failed, error.what());
  }
}

void Camera::tell_of_loss() {
  const std::string truncation = over() ? "" : source_->truncation();
  if (!truncation.empty() && terms_.notice) {
    terms_.notice(name_ + ": " + truncation);
  }
}

std::string Camera::nothing_text() const {
  return name_ + (arrived_ == 0 ? ": gave no frame" : ": no frame of it can be decoded");
}

// Whoever wants a recording of some length has none.
void Camera::tell_of_nothing() {
  if (frames_ == 0 && ended_for(RecordEnd::duration)) {
    end(RecordEnd::failed, fmt::format("{} in {:g} s", nothing_text(), *terms_.duration));
  }
}

// Asked while the source keeps us waiting.
bool Camera::give_up() {
  const bool limited = on_network_ && options_.silence > 0 && last_activity_;
  silent_ = limited && seconds_since(*last_activity_) > longest_silence();
  return silent_ || over() || is_waited_for_too_long();
}

// Where we wait for a connection, nobody may ever come. Others are tried once more at the end.
bool Camera::is_waited_for_too_long() const {
  return waits_for_connection(options_) && opening_ && loss_ && time_left() <= 0;
}

// For seeking what is lost.
double Camera::time_left() const {
  constexpr double kEver = std::numeric_limits<double>::infinity();
  return options_.reconnect ? *options_.reconnect - seconds_since(loss_->begin) : kEver;
}

double Camera::longest_silence() const {
  const bool is_looked_at = opening_ && options_.input_format != kRawStreamFormat;
  return options_.silence + (is_looked_at ? kLookingAtStream : 0);
}

std::string Camera::silence_text() const {
  return fmt::format("nothing came for {:g} s", longest_silence());
}

bool Camera::over() {
  if (writer_ && writer_->has_failed()) {
    stop(RecordEnd::failed);  // close() will say why
  } else if (terms_.frames && frames_ >= *terms_.frames) {
    stop(RecordEnd::frames);
  } else if (terms_.duration && seconds_recorded() >= *terms_.duration) {
    stop(RecordEnd::duration);
  }
  const std::lock_guard lock(mutex_);
  return end_.has_value();
}

bool Camera::ended_for(RecordEnd why) const {
  const std::lock_guard lock(mutex_);
  return end_ == why;
}

// From the first frame; while there is none, from when it could have come.
double Camera::seconds_recorded() const {
  return seconds_since(frames_ > 0 ? first_arrival_ : start_.begin());
}

// A failure counts more than what ended the recording before it: closing may fail too.
void Camera::end(RecordEnd why, const std::string& error) {
  const std::lock_guard lock(mutex_);
  if (why == RecordEnd::failed && result_.error.empty()) {
    end_ = why;
    result_.error = without_passwords(error);
  }
}

void Camera::set_state(CameraState state, const std::string& trouble) {
  const std::lock_guard lock(mutex_);
  state_ = state;
  trouble_ = without_passwords(trouble);
}

}  // namespace avstore::tools
