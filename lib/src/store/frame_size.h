// Whether frames are what metadata.yaml says of them.
#pragma once

#include <cstdint>
#include <filesystem>

#include "avstore/image.h"
#include "imgstore/metadata.h"

namespace avstore::store {

// Where a frame is in a store.
struct FramePlace {
  std::int64_t frame_index = 0;
  std::int64_t chunk = 0;
};

// Whoever reads has made room for frames of the store's size. A raw encoding has its own shape.
// Throws Error(corrupt) that names the store, the frame and both sizes.
void require_size(const std::filesystem::path& folder, const imgstore::StoreMetadata& metadata,
                  const FramePlace& place, const Image& image);

// The same of the numbers that an array is made of. Pictures are converted as they are read.
void require_type(const std::filesystem::path& folder, const imgstore::StoreMetadata& metadata,
                  const FramePlace& place, const Image& image);

}  // namespace avstore::store
