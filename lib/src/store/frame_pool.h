// Memory for frames waiting to be encoded.
#pragma once

#include <cstddef>
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
  // Have buffers ready for so many more frames of the size copied last, or as many as take 64 MiB,
  // so that copies need not wait for fresh memory. They are made on the calling thread; another may
  // copy meanwhile. Nothing happens if nothing was copied.
  void keep_ready(std::size_t count);

 private:
  class Buffer {
   public:
    explicit Buffer(std::size_t size);
    ~Buffer();
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;

    std::size_t size() const { return size_; }
    std::uint8_t* memory() const { return memory_; }

   private:
    std::size_t size_;
    std::uint8_t* memory_;  // owned
  };
  struct Free {
    std::mutex mutex;
    std::vector<std::unique_ptr<Buffer>> buffers;
    std::size_t last_size = 0;  // bytes of the frame copied last
  };

  std::unique_ptr<Buffer> take(std::size_t size);

  std::shared_ptr<Free> free_ = std::make_shared<Free>();
};

}  // namespace avstore::store
