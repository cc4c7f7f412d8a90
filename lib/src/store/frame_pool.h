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
  // Make buffers of the size copied last ready, so that copies need not wait for fresh memory: at
  // most `step` of them, until there are enough for `limit` frames that wait at once. Beyond 64 MiB
  // only two are kept ready. They are made on the calling thread; another may copy meanwhile.
  // Nothing happens if nothing was copied.
  void make_ready(std::size_t limit, std::size_t step);

 private:
  // Some buffers lie in one piece of memory, so that large pages are filled whatever a frame's
  // size.
  class Slab;
  struct Buffer {
    std::shared_ptr<Slab> slab;
    std::uint8_t* memory = nullptr;  // in the slab
    std::size_t size = 0;
  };
  struct Buffers {
    std::mutex mutex;
    std::vector<Buffer> free;
    std::shared_ptr<Slab> slab;  // the newest, of which
    std::size_t slab_used = 0;   // so many bytes are given out
    std::size_t size = 0;        // of the frame copied last, in bytes
    std::size_t made = 0;        // how many there are of that size, free or not

    // All with the mutex held.
    bool wants_more(std::size_t limit) const;
    Buffer make();
    Buffer take(std::size_t size);
    void give_back(Buffer buffer);
  };

  std::shared_ptr<Buffers> buffers_ = std::make_shared<Buffers>();
};

}  // namespace avstore::store
