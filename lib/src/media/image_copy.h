// Copying pixels into memory that is there already.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "avstore/image.h"

namespace avstore::media {

// The image's pixels without padding in `bytes`, which is resized as needed and owned by the
// result.
Image copy_into(const ImageView& image, std::shared_ptr<std::vector<std::uint8_t>> bytes);

}  // namespace avstore::media
