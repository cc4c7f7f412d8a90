// Gray JPEG files, by libjpeg-turbo: the encoder of libavcodec writes JPEG with chroma only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "avstore/image.h"

namespace avstore::media {

struct GrayJpegOptions {
  // From 1, the finest, to 31. Scales the matrix that libavcodec's Motion JPEG scales: at the same
  // one, gray loses no more than the luma of colour does.
  int quantizer = 2;
  bool optimal_huffman = false;  // tables made for the image: smaller files, which take longer
};

// A baseline JPEG file of one component, with a JFIF header, of a gray8 image.
// Throws Error(unsupported) with libjpeg's words; `where` is for messages.
std::vector<std::uint8_t> encode_gray_jpeg(const ImageView& image, const GrayJpegOptions& options,
                                           const std::string& where);

}  // namespace avstore::media
