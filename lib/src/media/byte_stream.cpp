#include "media/byte_stream.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

#include "media/av.h"
#include "media/log.h"

namespace avstore::media {
namespace {

constexpr int kBufferSize = 1 << 16;
constexpr int kAskEvery = 100;  // milliseconds

bool is_standard_input(const std::string& url) {
  return url == "-";
}

int ask(void* give_up) {
  const auto& ask_whether = *static_cast<std::function<bool()>*>(give_up);
  return ask_whether && ask_whether() ? 1 : 0;
}

// A pipe that is waited for in a way that can be broken off, on whatever thread this is.
// libavformat would wait in read() itself, which only a signal to that very thread ends.
class Pipe {
 public:
  Pipe(const std::string& url, std::function<bool()>& give_up) : give_up_(give_up) {
    if (is_standard_input(url)) {
      descriptor_ = STDIN_FILENO;
      return;
    }
    // Does not wait for somebody to write.
    descriptor_ = ::open(url.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (descriptor_ < 0) {
      throw Error(ErrorKind::io, url + ": cannot open: " + std::strerror(errno), errno);
    }
  }
  ~Pipe() {
    if (descriptor_ != STDIN_FILENO) {
      ::close(descriptor_);
    }
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  static int read(void* self, std::uint8_t* bytes, int size) {
    return static_cast<Pipe*>(self)->read(bytes, size);
  }

 private:
  int read(std::uint8_t* bytes, int size) const {
    for (;;) {
      if (ask(&give_up_) != 0) {
        return AVERROR_EXIT;
      }
      pollfd pipe{descriptor_, POLLIN, 0};
      const int ready = ::poll(&pipe, 1, kAskEvery);
      if (ready < 0 && errno != EINTR) {
        return AVERROR(errno);
      }
      if (ready <= 0) {
        continue;
      }
      const ssize_t got = ::read(descriptor_, bytes, static_cast<std::size_t>(size));
      if (got > 0) {
        return static_cast<int>(got);
      }
      if (got == 0) {
        return AVERROR_EOF;
      }
      if (errno != EINTR && errno != EAGAIN) {
        return AVERROR(errno);
      }
    }
  }

  int descriptor_ = -1;
  std::function<bool()>& give_up_;
};

}  // namespace

bool is_pipe(const std::string& url) {
  struct stat found {};
  return is_standard_input(url) || (::stat(url.c_str(), &found) == 0 && S_ISFIFO(found.st_mode));
}

class ByteStream::Impl {
 public:
  Impl(const std::string& url, const std::map<std::string, std::string>& options,
       std::function<bool()> give_up)
      : where_(is_standard_input(url) ? "standard input" : url), give_up_(std::move(give_up)) {
    capture_log();
    if (is_pipe(url)) {
      open_pipe(url, options);
    } else {
      open_address(url, options);
    }
  }

  ~Impl() {
    if (pipe_) {
      av_freep(&context_->buffer);
      avio_context_free(&context_);
    } else {
      avio_closep(&context_);
    }
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  std::size_t read(std::span<std::uint8_t> bytes) {
    std::size_t filled = 0;
    while (filled < bytes.size()) {
      const std::size_t most = std::numeric_limits<int>::max();
      const int got = avio_read(context_, bytes.data() + filled,
                                static_cast<int>(std::min(bytes.size() - filled, most)));
      if (got == AVERROR_EOF || got == 0) {
        break;
      }
      filled += static_cast<std::size_t>(check(got, where_, "cannot read"));
    }
    if (filled < bytes.size() && context_->error < 0 && context_->error != AVERROR_EOF) {
      check(context_->error, where_, "cannot read");
    }
    return filled;
  }

  AVIOContext* context() { return context_; }

 private:
  void open_pipe(const std::string& url, const std::map<std::string, std::string>& options) {
    if (!options.empty()) {
      throw Error(ErrorKind::invalid_argument,
                  where_ + ": unknown option '" + options.begin()->first + "'");
    }
    pipe_ = std::make_unique<Pipe>(url, give_up_);
    auto* buffer = static_cast<unsigned char*>(av_malloc(kBufferSize));
    if (buffer == nullptr) {
      throw std::bad_alloc();
    }
    context_ =
        avio_alloc_context(buffer, kBufferSize, 0, pipe_.get(), &Pipe::read, nullptr, nullptr);
    if (context_ == nullptr) {
      av_free(buffer);
      throw std::bad_alloc();
    }
  }

  void open_address(const std::string& url, const std::map<std::string, std::string>& options) {
    Dictionary dictionary(options);
    const AVIOInterruptCB interrupt{ask, &give_up_};
    check(avio_open2(&context_, url.c_str(), AVIO_FLAG_READ, &interrupt, dictionary.address()),
          where_, "cannot open");
    try {
      dictionary.require_all_used(where_);
    } catch (...) {
      avio_closep(&context_);
      throw;
    }
  }

  std::string where_;
  std::function<bool()> give_up_;  // libav holds its address
  std::unique_ptr<Pipe> pipe_;     // none for an address
  AVIOContext* context_ = nullptr;
};

ByteStream::ByteStream(const std::string& url, const std::map<std::string, std::string>& options,
                       std::function<bool()> give_up)
    : impl_(std::make_unique<Impl>(url, options, std::move(give_up))) {}
ByteStream::ByteStream(ByteStream&&) noexcept = default;
ByteStream& ByteStream::operator=(ByteStream&&) noexcept = default;
ByteStream::~ByteStream() = default;

std::size_t ByteStream::read(std::span<std::uint8_t> bytes) {
  return impl_->read(bytes);
}
AVIOContext* ByteStream::context() {
  return impl_->context();
}

}  // namespace avstore::media
