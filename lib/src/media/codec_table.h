// Which encoders write which format, and with which settings: the one table of them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "avstore/format.h"
#include "avstore/image.h"
#include "avstore/writer.h"

namespace avstore::media {

// What does the work.
enum class EncoderFamily { software, nvenc, vaapi, qsv };

// By the last part of its libav name: "hevc_nvenc".
EncoderFamily family_of(const std::string& encoder);

// An encoder that can write a format.
struct EncoderChoice {
  std::string name;                            // libav's
  std::string default_preset;                  // empty: it has no presets
  std::string preset_option;                   // the name of its option for them
  std::map<std::string, std::string> options;  // always set, unless the user sets them
};

// How a video format is written.
struct VideoFormat {
  Format format;
  std::string muxer;                    // libav's name
  std::vector<EncoderChoice> encoders;  // in the order tried; hardware first
  bool intra_only = false;              // every frame is a keyframe
  // Frames keep their layout and depth where the encoder takes them, whether or not other programs
  // read that: what is encoded is to go on in a stream of such frames.
  bool keeps_layout = false;
};

// All video formats, and the image formats (without muxer and encoders of their own).
const std::vector<VideoFormat>& format_table();
// The format of that name, of an old name, or of one with "+color".
const VideoFormat& find_video_format(const std::string& name);
// Whether it is "png+color" or such: frames of sensor data are decoded before they are written.
bool decodes_sensor_data(const std::string& name);

// The format that the older name of imgstore stands for ("mjpeg" is "mjpeg/avi", "libx264" is
// "avc1/mp4"), or the name itself.
std::string canonical_format_name(const std::string& name);

// The user's quality, 0 (smallest) to 100 (best), as options of the encoder. Lossless formats have
// none, encoders that are not in the table neither.
std::map<std::string, std::string> quality_options(const VideoFormat& format,
                                                   const std::string& encoder, double quality);

constexpr double kDefaultQuality = 75;

// The pixel format in which frames of `input` are given to the encoder for this format, and the
// colorimetry they are tagged with. Empty if the format cannot hold them.
struct EncoderInput {
  PixelFormat pixel_format;
  Colorimetry color;
};
std::optional<EncoderInput> encoder_input(const VideoFormat& format, const std::string& encoder,
                                          const ImageView& input);

// The one of gray8, bgr24 and bgra, or where `deep_allowed` gray16, bgr48 and bgra64, that keeps
// most of a pixel format.
PixelFormat nearest_packed_format(PixelFormat format, bool deep_allowed);

// Whether a channel has more than 8 bit. False for plain arrays.
bool is_deep(PixelFormat format);
// Whether a format keeps more than 8 bit a channel of pixels that it takes.
bool keeps_depth(const Format& format);
// Whether it does of this image.
bool keeps_depth(const VideoFormat& format, const ImageView& image);
// What to tell where it does not.
std::string depth_loss(PixelFormat format, const std::string& destination);

// Whether this format stores frames in halved chroma, so that sizes must be even.
bool needs_even_size(const VideoFormat& format);

}  // namespace avstore::media
