// The three names of a frame, as three types that cannot be mixed up.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace avstore {

// Place of a frame in the store, counted from 0 in the order recorded.
struct FrameIndex {
  std::int64_t value = 0;
  constexpr explicit FrameIndex(std::int64_t v = 0) : value(v) {}
  auto operator<=>(const FrameIndex&) const = default;
};

// The camera's own counter. It may jump, repeat, wrap or run backwards.
struct FrameNumber {
  std::int64_t value = 0;
  constexpr explicit FrameNumber(std::int64_t v = 0) : value(v) {}
  auto operator<=>(const FrameNumber&) const = default;
};

// When the frame was taken, in seconds; usually Unix time. It need not increase from frame to
// frame.
struct FrameTime {
  double seconds = 0;
  constexpr explicit FrameTime(double s = 0) : seconds(s) {}
  auto operator<=>(const FrameTime&) const = default;
};

// What a frame is called by whoever recorded it.
struct FrameNames {
  FrameNumber number;
  FrameTime time;
};

// The names of many frames, one element a frame.
struct FrameNameArrays {
  std::vector<std::int64_t> numbers;
  std::vector<double> times;  // seconds
};

// Whether a frame asked for by number must be there, or the closest one will do.
enum class Match { exact, nearest };

// An exact fraction, such as a frame rate (frames per second) or a time base (seconds per tick).
struct Rational {
  std::int64_t num = 0;
  std::int64_t den = 1;
  bool operator==(const Rational&) const = default;
  double value() const { return static_cast<double>(num) / static_cast<double>(den); }
};

// "30000/1001". The second gives 0/1 for a text that is no positive fraction of numbers below 2^31.
std::string to_text(Rational value);
Rational parse_rational(const std::string& text);

// All that a store knows about a frame without decoding it. PTS and keyframes of a store that
// others wrote are looked for in each chunk's file the first time that it is read; what was found
// before that has no pts and says keyframe = false (unless each chunk is a folder of images).
// Reader::prepare() reads them; infos of frames that were read have both.
struct FrameInfo {
  FrameIndex index;
  FrameNumber number;
  FrameTime time;
  std::int64_t chunk = 0;           // which chunk holds it
  std::int64_t frame_idx = 0;       // its place in that chunk, in presentation order
  std::optional<std::int64_t> pts;  // in the chunk's time base; none in folders of images
  bool keyframe = false;            // decoding can start here
};

// Frames [begin, end) by frame_index.
struct IndexRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t size() const { return end - begin; }
};

}  // namespace avstore
