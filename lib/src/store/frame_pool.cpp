#include "store/frame_pool.h"

#include <utility>

#include "media/image_copy.h"

namespace avstore::store {

Image FramePool::copy(const ImageView& image) {
  std::unique_ptr<Buffer> buffer;
  {
    const std::lock_guard lock(free_->mutex);
    if (!free_->buffers.empty()) {
      buffer = std::move(free_->buffers.back());
      free_->buffers.pop_back();
    }
  }
  if (!buffer) {
    buffer = std::make_unique<Buffer>();
  }
  std::shared_ptr<Buffer> shared(buffer.release(), [free = free_](Buffer* used) {
    std::unique_ptr<Buffer> owned(used);
    const std::lock_guard lock(free->mutex);
    free->buffers.push_back(std::move(owned));
  });
  return media::copy_into(image, std::move(shared));
}

}  // namespace avstore::store
