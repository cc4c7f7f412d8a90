// The channels of an image that hold a sensor's data.
#pragma once

#include "avstore/image.h"
#include "imgstore/metadata.h"
#include "media/codec_table.h"
#include "media/convert.h"

namespace avstore::store {

// Sensor data lie in the channels of the image that was stored, in the order B, G, R; in video as
// gray or colour as the metadata has it.
inline Image stored_channels(const Image& image, const imgstore::StoreMetadata& metadata,
                             media::Converter& converter) {
  const bool gray_video = metadata.is_video() && !imgstore::is_color(metadata);
  return converter.convert(
      image, gray_video ? pixel::gray8 : media::nearest_packed_format(image.format(), true));
}

}  // namespace avstore::store
