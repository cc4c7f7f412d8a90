// Which encoder a recording uses: the encoders in line for it, and who is next when one fails.
#pragma once

#include <chrono>
#include <deque>
#include <string>

#include "avstore/image.h"
#include "avstore/writer.h"
#include "media/codec_table.h"
#include "media/encoder.h"

namespace avstore::media {

// `wanted` as EncoderOptions::encoder has it; nothing is opened. Throws Error(unsupported) if it is
// the name of an encoder that libavcodec does not know.
void require_known_encoder(const std::string& wanted);

// The first in line encodes for as long as it works; when it does not, it leaves the line for good.
// For one thread at a time.
class EncoderLine {
 public:
  // The line that EncoderOptions::encoder asks for; nothing is opened yet. `format` must outlive
  // this.
  EncoderLine(const VideoFormat& format, const EncoderOptions& options);

  // Opens the first in line for such frames, hardware only once it has proved to work. One that
  // does not open leaves the line, and the next is tried; but the first time, an encoder that is
  // asked for by its own name must open, and where hardware is asked for, software is not tried.
  // Throws Error: unsupported (none is left; the message has everyone's reason), and as Encoder
  // does.
  Encoder open(Rational time_base, const ImageView& first);
  // The one opened last once more, with the same settings. Throws EncoderFailure.
  Encoder reopen(Rational time_base, const ImageView& first) const;

  // The one opened last has failed, and leaves the line. Throws Error(io) if no other is left.
  void fail(const std::string& why);
  // Of encoders opened from now on.
  void set_threads(int threads) { options_.threads = threads; }
  // Whether another would take over.
  bool has_next() const { return line_.size() > 1; }

  // What a user should know of the last open(): that not the encoder asked for or used before was
  // opened, and why. Empty if there is nothing to tell. Once only.
  std::string take_notice();

 private:
  Encoder try_to_open(const std::string& name, Rational time_base, const ImageView& first,
                      std::chrono::steady_clock::time_point deadline);
  void note_opened(const std::string& name);
  void leave(const std::string& why);
  bool named() const;
  bool may_open(const std::string& name) const;
  bool may_begin_in_software() const;
  EncoderOptions options_for(const std::string& encoder) const;

  const VideoFormat* format_;
  EncoderOptions options_;
  std::deque<std::string> line_;
  std::string in_use_;          // opened last; empty before the first
  std::string chosen_;          // opened first
  std::string reasons_;         // of all that left
  std::string new_reasons_;     // of those that left since the last was opened
  bool lost_hardware_ = false;  // one that works did not open this time
  std::string notice_;
};

}  // namespace avstore::media
