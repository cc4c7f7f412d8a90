#include "store/writer_options.h"

#include <cstdint>
#include <limits>

#include "avstore/error.h"
#include "avstore/format.h"
#include "media/encoder_line.h"

namespace avstore::store {

void require_valid_rate(Rational rate) {
  constexpr std::int64_t kLargestPart = std::numeric_limits<int>::max();  // libav's own limit
  if (rate.num < 0 || rate.den <= 0 || rate.num > kLargestPart || rate.den > kLargestPart) {
    throw Error(ErrorKind::invalid_argument,
                "a nominal frame rate of " + to_text(rate) +
                    ": it is positive, and a fraction of numbers below 2^31");
  }
}

void require_valid(const WriterOptions& options) {
  const auto require = [](bool ok, const char* message) {
    if (!ok) {
      throw Error(ErrorKind::invalid_argument, message);
    }
  };
  require(options.chunk_size >= 0, "chunk size must be positive");
  require_valid_rate(options.encoder.frame_rate);
  require(options.encoder.keyframe_interval >= 0, "keyframe interval must be positive");
  require(options.encoder.b_frames >= 0, "the number of B-frames cannot be negative");
  require(options.encoder.b_frames <= 16, "there are at most 16 B-frames between others");
  require(options.encoder.threads >= 0, "the number of threads cannot be negative");
  const auto quality = options.encoder.quality.value_or(0);
  require(quality >= 0 && quality <= 100, "quality goes from 0 to 100");
  require(options.timing == Timing::nominal || find_format(options.format).extension != ".avi",
          "AVI counts frames and cannot hold real times; choose MP4 or Matroska");
  const Format& format = find_format(options.format);
  const EncoderOptions& encoder = options.encoder;
  require(format.video ||
              ((encoder.encoder.empty() || encoder.encoder == "auto") && encoder.preset.empty() &&
               encoder.keyframe_interval == 0 && encoder.b_frames == 0),
          "images have no choice of encoder, no presets, keyframe interval or B-frames");
  if (format.video) {
    media::require_known_encoder(encoder.encoder);
  }
  require(options.queue_frames > 0, "the queue must hold at least one frame");
}

}  // namespace avstore::store
