// One camera's recording, on a thread of its own.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "avstore/record.h"
#include "avstore/writer.h"
#include "tools/frame_source.h"
#include "tools/loss_records.h"
#include "tools/pixel_input.h"

namespace avstore::tools {

// What all cameras of a rig share.
struct RigTerms {
  std::optional<std::int64_t> frames;
  std::optional<double> duration;
  int threads_each = 0;  // 0: as many as there are cores
  std::function<void(const std::string&)> notice;
};

// Where cameras wait for one another, so that they begin together. For any thread.
class StartLine {
 public:
  using Clock = std::chrono::steady_clock;

  explicit StartLine(std::size_t cameras) : missing_(cameras) {}

  void arrive();
  // Returns when all have arrived. One that is not there after some seconds begins later: a source
  // that says nothing must not keep the others from recording.
  void wait();
  // From now on nobody waits: a camera is missing for good.
  void give_up();
  // When wait() returned or will have to.
  Clock::time_point begin() const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable complete_;
  std::size_t missing_;
  Clock::time_point begin_ = Clock::now() + std::chrono::seconds(10);
};

class Camera {
 public:
  // Begins at once; the first frame is taken when the others are at the start as well. Both
  // references must outlive this. Throws Error(io) if the system has no thread left.
  Camera(CameraOptions options, const RigTerms& terms, StartLine& start);
  ~Camera();
  Camera(const Camera&) = delete;
  Camera& operator=(const Camera&) = delete;

  // Ends the recording properly, soon; the first reason given counts.
  void stop(RecordEnd why);
  bool ended() const;
  // All but what the file system and the time between two calls tell.
  CameraStatus status() const;
  // Waits for the end.
  CameraResult finish();

 private:
  using Clock = std::chrono::steady_clock;

  // Lasts until a frame comes: to open the source is not enough.
  struct Loss {
    Clock::time_point begin;
    double pause;  // until it is tried the next time
    std::string reason;
  };

  void run();
  bool prepare();
  void make_writer();
  void record();
  std::optional<LiveFrame> next_frame();
  bool is_sought_again() const;
  void seek_again(const std::string& why);
  bool comes_back();
  double next_pause();
  bool wait(double seconds);
  void take(const LiveFrame& frame, PixelInput& input);
  void keep_extra_of_dropped(const std::string& json);
  void end_loss();
  void note_gap(FrameTime time);
  void note_gap_at_end();
  void add_gap(const Gap& gap);
  void lose(LostFrames& lost, const FrameNames& names);
  void note_undecodable();
  void note_damage();
  void write_losses();
  void tell_once(std::int64_t count, const std::string& what,
                 const std::string& such = "such frames");
  FrameTime time_of(const LiveFrame& frame, double arrival);
  void end_writer();
  void keep_error(const std::function<void()>& work);
  void tell_of_loss();

  std::unique_ptr<FrameSource> open();
  WriterOptions writer_options() const;
  bool give_up();
  bool is_waited_for_too_long() const;
  double time_left() const;
  double longest_silence() const;
  std::string silence_text() const;
  std::string nothing_text() const;
  void tell_of_nothing();
  double seconds_recorded() const;
  bool over();
  bool ended_for(RecordEnd why) const;
  void end(RecordEnd why, const std::string& error = {});
  void set_state(CameraState state, const std::string& trouble = {});

  const CameraOptions options_;
  const RigTerms& terms_;
  const std::string name_;  // of the source, for messages
  const bool on_network_;
  StartLine& start_;

  // Of the recording thread alone.
  std::unique_ptr<FrameSource> source_;
  std::optional<double> offset_;  // from the source's clock to Unix time; none yet since it opened
  std::optional<double> last_source_time_;  // by that clock
  Clock::time_point first_arrival_;
  Clock::time_point last_arrival_;
  Clock::time_point last_added_;  // when the newest frame in the store came
  FrameTime last_time_;           // and its frame_time
  // When the source last gave something, or its opening began; none while it waits for a
  // connection.
  std::optional<Clock::time_point> last_activity_;
  bool opening_ = false;
  bool silent_ = false;  // it was left because nothing came
  std::optional<Loss> loss_;
  std::string lost_because_;               // not empty: the next frame in the store ends a gap
  std::int64_t frames_ = 0;                // that the writer took since
  LostFrames undecodable_{"undecodable"};  // that the store has no record of yet
  LostFrames dropped_{"dropped"};          // likewise
  std::int64_t extra_left_out_ = 0;        // records of dropped frames

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable stopping_;
  CameraState state_ = CameraState::opening;
  std::string trouble_;
  std::int64_t arrived_ = 0;
  std::int64_t undecodable_count_ = 0;
  std::int64_t damaged_count_ = 0;
  std::optional<RecordEnd> end_;
  std::int64_t frames_before_ = 0;  // in the store that is appended to; set once, with the writer
  std::int64_t bytes_before_ = 0;   // likewise
  std::optional<Writer> writer_;    // set once; its statistics may be asked for at any time
  std::int64_t gap_count_ = 0;
  std::vector<Gap> gaps_;  // the first of them
  CameraResult result_;

  std::jthread thread_;
};

}  // namespace avstore::tools
