// Memory for frames waiting to be encoded.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "avstore/image.h"

namespace avstore::store {

// Copies frames into buffers that are used again and again: fresh memory of a frame's size costs
// more in page faults than the copy itself. Images it made may outlive it and be freed on any
// thread.
class FramePool {
 public:
  Image copy(const ImageView& image);

 private:
  using Buffer = std::vector<std::uint8_t>;
  struct Free {
    std::mutex mutex;
    std::vector<std::unique_ptr<Buffer>> buffers;
  };

  std::shared_ptr<Free> free_ = std::make_shared<Free>();
};

}  // namespace avstore::store
