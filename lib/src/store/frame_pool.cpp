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
constexpr std::align_val_t kHugePage{std::size_t{2} << 20};

// No more than a small machine can spare.
constexpr std::size_t kReadyBytes = std::size_t{64} << 20;

}  // namespace

FramePool::Buffer::Buffer(std::size_t size)
    : size_(size), memory_(static_cast<std::uint8_t*>(::operator new(size, kHugePage))) {
  // Where the system has none, small pages do as well.
  static_cast<void>(::madvise(memory_, size, MADV_HUGEPAGE));
}

FramePool::Buffer::~Buffer() {
  ::operator delete(memory_, kHugePage);
}

std::unique_ptr<FramePool::Buffer> FramePool::take(std::size_t size) {
  std::unique_ptr<Buffer> buffer;
  {
    const std::lock_guard lock(free_->mutex);
    free_->last_size = size;
    if (!free_->buffers.empty()) {
      buffer = std::move(free_->buffers.back());
      free_->buffers.pop_back();
    }
  }
  return buffer && buffer->size() >= size ? std::move(buffer) : std::make_unique<Buffer>(size);
}

void FramePool::keep_ready(std::size_t count) {
  for (std::size_t made = 0; made < count; ++made) {
    std::size_t size = 0;
    {
      const std::lock_guard lock(free_->mutex);
      size = free_->last_size;
      if (size == 0 || free_->buffers.size() >= std::min(count, kReadyBytes / size)) {
        return;
      }
    }
    auto buffer = std::make_unique<Buffer>(size);
    std::memset(buffer->memory(), 0, size);  // now the pages are there
    const std::lock_guard lock(free_->mutex);
    free_->buffers.push_back(std::move(buffer));
  }
}

Image FramePool::copy(const ImageView& image) {
  std::shared_ptr<Buffer> shared(take(packed_size(image)).release(), [free = free_](Buffer* used) {
    std::unique_ptr<Buffer> owned(used);
    const std::lock_guard lock(free->mutex);
    free->buffers.push_back(std::move(owned));
  });
  std::uint8_t* const memory = shared->memory();
  return media::copy_into(image, memory, std::move(shared));
}

}  // namespace avstore::store
