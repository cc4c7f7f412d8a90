#include "tools/frame_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>
#include <utility>

#include "avstore/error.h"
#include "avstore/text.h"
#include "media/video_source.h"
#include "store/writer_options.h"
#include "tools/raw_stream.h"

namespace avstore::tools {
namespace {

constexpr std::string_view kRawVideo = "rawvideo";

// libav's demuxer, or ours.
std::string input_format(const CameraOptions& camera) {
  // Raw frames cannot be found out by looking, and only they need a size.
  const bool is_raw = camera.input_format.empty() && camera.source == "-" && camera.size;
  return is_raw ? std::string(kRawVideo) : camera.input_format;
}

// Demuxers that must be told the rate or can ask a camera for it; others refuse the option.
bool takes_frame_rate(std::string_view input_format) {
  constexpr std::array<std::string_view, 10> kNames = {
      "rawvideo", "v4l2",       "video4linux2", "x11grab", "fbdev",
      "image2",   "image2pipe", "h264",         "hevc",    "mjpeg"};
  return std::find(kNames.begin(), kNames.end(), input_format) != kNames.end();
}

media::DemuxerOptions demuxer_options(const CameraOptions& camera, std::function<bool()> give_up) {
  media::DemuxerOptions made;
  made.stream = camera.stream;
  made.input_format = input_format(camera);
  made.leads_elsewhere = true;  // as network streams do; whoever records names the source
  made.options = camera.input_options;
  if (camera.size) {
    made.options.emplace("video_size", std::to_string(camera.size->first) + "x" +
                                           std::to_string(camera.size->second));
  }
  if (!camera.pixel_format.empty()) {
    made.options.emplace("pixel_format", std::string(camera.pixel_format.name()));
  }
  const Rational rate = camera.writer.encoder.frame_rate;
  if (rate.num > 0 && takes_frame_rate(made.input_format)) {
    made.options.emplace("framerate", to_text(rate));
  }
  made.give_up = std::move(give_up);
  return made;
}

// Whatever libav reads.
class VideoFrames final : public FrameSource {
 public:
  VideoFrames(const CameraOptions& camera, int threads, std::function<bool()> give_up)
      : source_(camera.source, demuxer_options(camera, std::move(give_up)), threads, true) {}

  std::optional<LiveFrame> next() override {
    auto frame = source_.next();
    if (!frame) {
      return std::nullopt;
    }
    LiveFrame live;
    live.image = std::move(frame->image);
    live.undecodable = frame->undecodable;
    live.damaged = frame->damaged;
    live.seconds = frame->seconds;
    return live;
  }
  Rational frame_rate() const override { return source_.demuxer().stream().frame_rate; }
  std::string truncation() const override { return source_.truncation(); }
  bool is_complete() const override { return source_.demuxer().has_read_all(); }

 private:
  media::VideoSource source_;
};

void require(bool ok, const std::string& message) {
  if (!ok) {
    throw Error(ErrorKind::invalid_argument, message);
  }
}

}  // namespace

bool is_on_network(const CameraOptions& camera) {
  if (camera.source.starts_with("unix:")) {
    return true;
  }
  const std::size_t colon = camera.source.find("://");
  const std::string scheme = camera.source.substr(0, colon);
  const bool is_scheme = !scheme.empty() && std::all_of(scheme.begin(), scheme.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '+' || c == '-' || c == '.';
  });
  return colon != std::string::npos && is_scheme && scheme != "file";
}

bool waits_for_connection(const CameraOptions& camera) {
  const auto option = camera.input_options.find("listen");
  return camera.source.find("listen=1") != std::string::npos ||
         (option != camera.input_options.end() && option->second != "0");
}

void require_valid_source(const CameraOptions& camera) {
  require(!camera.source.empty(), "no source is given");
  if (input_format(camera) == kRawVideo) {
    require(camera.size && !camera.pixel_format.empty(),
            "raw frames need a size and a pixel format (--size and --pixel-format)");
  }
  if (camera.input_format == kRawStreamFormat) {
    require(!camera.size && camera.pixel_format.empty() && !camera.stream,
            fmt::format("{} says itself what its size and pixel format are", kRawStreamFormat));
  } else {
    media::require_input_format(camera.input_format);
  }
  require(!camera.reconnect || is_on_network(camera),
          "only sources on a network can be sought again once they are lost");
  require(camera.reconnect.value_or(0) >= 0 && camera.silence >= 0, "no time is negative");
}

void require_valid_store(const CameraOptions& camera) {
  require(!camera.store.empty(), "no store is given");
  require(!camera.append || !camera.writer.overwrite,
          "a store is either gone on with (append) or replaced (overwrite), not both");
  store::require_valid(camera.writer);
}

std::string source_name(const CameraOptions& camera) {
  return camera.source == "-" ? "standard input" : without_passwords(camera.source);
}

std::unique_ptr<FrameSource> open_frame_source(const CameraOptions& camera, int threads,
                                               std::function<bool()> give_up) {
  if (camera.input_format == kRawStreamFormat) {
    return std::make_unique<RawStream>(camera, std::move(give_up));
  }
  return std::make_unique<VideoFrames>(camera, threads, std::move(give_up));
}

}  // namespace avstore::tools
