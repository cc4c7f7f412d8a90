// What a camera's frames come from.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "avstore/image.h"
#include "avstore/record.h"

namespace avstore::tools {

struct LiveFrame {
  Image image;                         // none if it is undecodable
  bool undecodable = false;            // it came, but nothing can be made of it
  bool damaged = false;                // parts of it were made up
  std::optional<std::int64_t> number;  // the source's own, where it has one
  std::optional<double> seconds;       // the source's own time, counted from any moment
  std::string extra;                   // a JSON object that comes with it; empty: none
};

// For one thread at a time.
class FrameSource {
 public:
  virtual ~FrameSource() = default;
  // None at the end. Throws Error.
  virtual std::optional<LiveFrame> next() = 0;
  virtual Rational frame_rate() const = 0;  // 0/1 if not known
  // After the end: a line that says so if the last frame was there in part only, or if less came
  // than was promised; else empty.
  virtual std::string truncation() const = 0;
  // After the end: whether that is known to be all there is, as of a file on a web server.
  virtual bool is_complete() const = 0;
};

// The source of raw frames, see README.md, "Frames of a program of yours".
inline constexpr const char* kRawStreamFormat = "avstore-raw";

// `give_up` is asked while the source keeps us waiting; true ends that, with Error(io). `threads`
// of decoding, 0: as many as there are cores.
std::unique_ptr<FrameSource> open_frame_source(const CameraOptions& camera, int threads,
                                               std::function<bool()> give_up);

// Whether it can be lost and come back.
bool is_on_network(const CameraOptions& camera);

// Whether it is the other side that connects, whenever it likes to.
bool waits_for_connection(const CameraOptions& camera);

// Throws Error(invalid_argument) for a source that cannot be opened as it is described.
void require_valid_source(const CameraOptions& camera);

// Likewise for what is to be made of it; Error(unsupported) for an unknown format or encoder. What
// lies on the disk is not looked at.
void require_valid_store(const CameraOptions& camera);

// How it is called in messages: without a password.
std::string source_name(const CameraOptions& camera);

}  // namespace avstore::tools
