#include "media/file_parts.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <utility>

#include "avstore/error.h"
#include "base/file.h"
#include "media/av.h"

namespace avstore::media {

class FileParts::Impl {
 public:
  Impl(const std::string& file, std::vector<FilePart> parts)
      : file_(base::File::open(file)), parts_(std::move(parts)) {
    for (const FilePart& part : parts_) {
      size_ += part.bytes;
    }
    constexpr int kBufferSize = 1 << 16;
    auto* buffer = static_cast<unsigned char*>(av_malloc(kBufferSize));
    context_.reset(buffer == nullptr ? nullptr
                                     : avio_alloc_context(buffer, kBufferSize, 0, this, &Impl::read,
                                                          nullptr, &Impl::seek));
    if (!context_) {
      av_free(buffer);
      throw std::bad_alloc();
    }
  }

  AVIOContext* context() { return context_.get(); }

 private:
  struct Free {
    void operator()(AVIOContext* context) const {
      av_freep(&context->buffer);
      avio_context_free(&context);
    }
  };

  // Errors must not pass through C.
  static int read(void* self, std::uint8_t* bytes, int size) {
    try {
      return static_cast<Impl*>(self)->read({bytes, static_cast<std::size_t>(size)});
    } catch (const Error& error) {
      return error.system_error() != 0 ? AVERROR(error.system_error()) : AVERROR(EIO);
    }
  }

  int read(std::span<std::uint8_t> bytes) {
    std::int64_t begin = 0;  // of the part, among the bytes of all
    for (const FilePart& part : parts_) {
      const std::int64_t offset = position_ - begin;
      if (offset < part.bytes) {
        const auto most = static_cast<std::size_t>(part.bytes - offset);
        const std::size_t n =
            file_.read_at(part.position + offset, bytes.first(std::min(bytes.size(), most)));
        position_ += static_cast<std::int64_t>(n);
        return n == 0 ? AVERROR_EOF : static_cast<int>(n);
      }
      begin += part.bytes;
    }
    return AVERROR_EOF;
  }

  static std::int64_t seek(void* self, std::int64_t offset, int whence) {
    auto& parts = *static_cast<Impl*>(self);
    whence &= ~AVSEEK_FORCE;
    if (whence == AVSEEK_SIZE) {
      return parts.size_;
    }
    const std::int64_t from = whence == SEEK_CUR   ? parts.position_
                              : whence == SEEK_END ? parts.size_
                                                   : 0;
    if (offset < -from) {
      return AVERROR(EINVAL);
    }
    parts.position_ = from + offset;
    return parts.position_;
  }

  base::File file_;
  std::vector<FilePart> parts_;
  std::int64_t size_ = 0;
  std::int64_t position_ = 0;
  std::unique_ptr<AVIOContext, Free> context_;
};

FileParts::FileParts(const std::string& file, std::vector<FilePart> parts)
    : impl_(std::make_unique<Impl>(file, std::move(parts))) {}
FileParts::FileParts(FileParts&&) noexcept = default;
FileParts& FileParts::operator=(FileParts&&) noexcept = default;
FileParts::~FileParts() = default;

AVIOContext* FileParts::context() {
  return impl_->context();
}

}  // namespace avstore::media
