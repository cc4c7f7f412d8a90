// Copying pixels into memory that is there already.
#pragma once

#include <cstdint>
#include <memory>

#include "avstore/image.h"

namespace avstore::media {

// The image's pixels without padding in `memory`, packed_size(image) bytes that `owner`, shared by
// the result, keeps alive.
Image copy_into(const ImageView& image, std::uint8_t* memory, std::shared_ptr<const void> owner);

}  // namespace avstore::media
