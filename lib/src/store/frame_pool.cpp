#include "store/frame_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "media/image_copy.h"

namespace avstore::store {
namespace {

// What the processor can map in one piece. Frames of the size of some of these are worth it: a
// camera that has to wait for a thousand page faults at its first frames has to wait too long.
constexpr std::size_t kHugePage = std::size_t{2} << 20;

// No more than a small machine can spare.
constexpr std::size_t kReadyBytes = std::size_t{64} << 20;
constexpr std::size_t kSpare = 2;

constexpr std::size_t kSlabBytes = std::size_t{8} << 20;
constexpr std::size_t kPage = 4096;

constexpr std::size_t round_up(std::size_t size, std::size_t to) {
  return (size + to - 1) / to * to;
}

}  // namespace

class FramePool::Slab {
 public:
  explicit Slab(std::size_t size)
      : size_(size),
        memory_(static_cast<std::uint8_t*>(::operator new (size, std::align_val_t{kHugePage}))) {
    // Where the system has none, small pages do as well.
    static_cast<void>(::madvise(memory_, size, MADV_HUGEPAGE));
  }
  ~Slab() { ::operator delete (memory_, std::align_val_t{kHugePage}); }
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;

  std::size_t size() const { return size_; }
  std::uint8_t* memory() const { return memory_; }

 private:
  std::size_t size_;
  std::uint8_t* memory_;  // owned
};

bool FramePool::Buffers::wants_more(std::size_t limit) const {
  return size > 0 && made < limit && (made < kReadyBytes / size || free.size() < kSpare);
}

// Its memory is not touched yet.
FramePool::Buffer FramePool::Buffers::make() {
  const std::size_t step = round_up(size, kPage);
  if (!slab || slab_used + step > slab->size()) {
    slab = std::make_shared<Slab>(
        round_up(std::max<std::size_t>(1, kSlabBytes / step) * step, kHugePage));
    slab_used = 0;
  }
  std::uint8_t* const memory = slab->memory() + slab_used;
  slab_used += step;
  ++made;
  return {slab, memory, size};
}

FramePool::Buffer FramePool::Buffers::take(std::size_t wanted) {
  if (wanted != size) {
    size = wanted;
    made = 0;
    free.clear();
  }
  if (free.empty()) {
    return make();
  }
  Buffer buffer = std::move(free.back());
  free.pop_back();
  return buffer;
}

void FramePool::Buffers::give_back(Buffer buffer) {
  if (buffer.size == size) {
    free.push_back(std::move(buffer));
  }
}

void FramePool::make_ready(std::size_t limit, std::size_t step) {
  for (std::size_t i = 0; i < step; ++i) {
    Buffer buffer;
    {
      const std::lock_guard lock(buffers_->mutex);
      if (!buffers_->wants_more(limit)) {
        return;
      }
      buffer = buffers_->make();
    }
    std::memset(buffer.memory, 0, buffer.size);  // now the pages are there
    const std::lock_guard lock(buffers_->mutex);
    buffers_->give_back(std::move(buffer));
  }
}

Image FramePool::copy(const ImageView& image) {
  Buffer buffer;
  {
    const std::lock_guard lock(buffers_->mutex);
    buffer = buffers_->take(packed_size(image));
  }
  std::uint8_t* const memory = buffer.memory;
  const std::shared_ptr<const void> owner(
      static_cast<const void*>(memory),
      [buffers = buffers_, buffer = std::move(buffer)](const void*) mutable {
        const std::lock_guard lock(buffers->mutex);
        buffers->give_back(std::move(buffer));
      });
  return media::copy_into(image, memory, owner);
}

}  // namespace avstore::store
