// The formats a store can have.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "avstore/image.h"

namespace avstore {

// One storage format, named `codec/container` for video and by the file type for image directories.
struct Format {
  std::string name;       // "avc1/mp4", "ffv1/mkv", "png", "npy", ...
  std::string extension;  // of its chunk or image files, with the dot: ".mp4"
  bool video = false;     // chunks are video files; else folders of images
  bool lossless = false;  // what is read equals what was written, in `lossless_pixels`
  std::vector<PixelFormat> lossless_pixels;
  std::string description;  // one line
};

// An encoder that can write a format, and whether it works on this machine.
struct EncoderAvailability {
  std::string encoder;  // libav's name, such as "libx264"
  bool hardware = false;
  bool available = false;
  std::string why_not;  // the reason when it is not
};

// All formats of this build (bpk needs Blosc), in the order they are documented.
const std::vector<Format>& formats();

// The format of that name; "png+color" and the like (WriterOptions::encoding) are png. Throws
// Error(unsupported) with a list of the known ones. Knows bpk in every build.
const Format& find_format(std::string_view name);

// The encoders for a format, in the order in which EncoderOptions::encoder "auto" takes them, each
// really opened for frames of that size, in pixels; hardware ones have to encode one.
std::vector<EncoderAvailability> probe_encoders(const Format& format, int width = 256,
                                                int height = 256);

}  // namespace avstore
