// When the frames of an exported video are shown.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "avstore/reader.h"
#include "avstore/types.h"
#include "avstore/writer.h"

namespace avstore::tools {

// Presentation times in ticks; each at least one after the one before it.
//
// Real times are those of the store, from the first frame on. Where these step back, the frame
// follows at the usual distance and later ones keep their distances from it; frames without a time
// or with that of the one before are spread over the room up to the next. Notices tell of all that.
// Nominal ones are even, but for rates that Matroska has no ticks for: those frames come late, and
// it is told.
class Timeline {
 public:
  // `muxer` is libav's name. `order` has the frame_index of each packet, in the order in which they
  // are decoded. Throws Error(invalid_argument) if a video cannot hold the real times.
  Timeline(const Reader& reader, IndexRange range, Timing timing, Rational frame_rate,
           const std::string& muxer, const std::vector<std::int64_t>& order);

  Rational time_base() const { return time_base_; }
  const std::vector<std::string>& notices() const { return notices_; }
  // Frames a second, on average; 0/1 if no time goes by.
  Rational mean_rate() const;

  std::int64_t pts(std::int64_t frame) const { return ticks_[static_cast<std::size_t>(frame)]; }
  // Of the packet in that place of the order. Where frames are reordered, decoding runs ahead of
  // them; before the first frame it does so at a guessed pace.
  std::int64_t dts(std::int64_t packet) const;
  std::int64_t duration(std::int64_t frame) const;
  std::int64_t count() const { return static_cast<std::int64_t>(ticks_.size()); }

 private:
  // Two frames, and the ticks from the one to the other.
  struct Span {
    std::int64_t from = 0;
    std::int64_t to = 0;
    std::int64_t ticks = 0;
  };

  void place(const std::vector<double>& times, const std::string& muxer);
  std::int64_t place_at(const std::vector<double>& times, std::int64_t ticks);
  std::optional<Span> find_too_long() const;

  std::string store_;
  std::int64_t first_index_;  // in the store
  Rational time_base_;
  std::vector<std::int64_t> order_;  // of packets: frames, from 0
  std::int64_t delay_ = 0;           // packets by which decoding runs ahead, at the most
  std::vector<std::int64_t> ticks_;
  std::int64_t step_ = 1;  // ticks: what usually lies between frames
  std::vector<std::string> notices_;
};

}  // namespace avstore::tools
