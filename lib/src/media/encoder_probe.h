// Whether hardware encoders work here, found out by letting each encode a frame.
#pragma once

#include <chrono>
#include <string>

#include "avstore/image.h"
#include "avstore/writer.h"
#include "media/codec_table.h"

namespace avstore::media {

struct ProbeAnswer {
  bool works = false;
  std::string why_not;
};

// How long trying encoders may take in all, before a recording goes on without them: 2 s, or as
// many as the environment variable AVSTORE_TRIAL_SECONDS says. Cards that sleep while nobody uses
// them may take longer to wake up.
std::chrono::milliseconds probe_time();

// Opens the encoder for frames like `first` and has it encode one, unless this process has done so
// before. That happens on a thread of its own: a driver that has not answered by `deadline` is
// given up, and its answer counts whenever it comes. An encoder that fails while others of its kind
// are open will be tried again, since it may be their number that was too high. From any thread.
ProbeAnswer probe_encoder(const VideoFormat& format, const std::string& encoder,
                          const EncoderOptions& options, Rational time_base, const ImageView& first,
                          std::chrono::steady_clock::time_point deadline);

}  // namespace avstore::media
