// Fits the pictures of a source to what a store's format takes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "avstore/format.h"
#include "avstore/image.h"
#include "avstore/tools.h"
#include "media/convert.h"

namespace avstore::tools {

// All frames of a store have one size and pixel format: those of the first.
class PixelInput {
 public:
  // `source` is for messages. With an `encoding` pictures are a sensor's data, and stay as they
  // are.
  PixelInput(const Format& format, std::string source, const Notice& notice,
             std::string encoding = {});

  // Throws Error(invalid_argument) where the size changes, saying at which frame, and for pixels
  // that are another encoding's.
  Image prepare(const Image& image);

 private:
  PixelFormat choose(const ImageView& first) const;

  const Format& format_;
  std::string source_;
  const Notice& notice_;
  std::string encoding_;
  media::Converter converter_;
  std::optional<ImageView> first_;  // its pixels are not looked at
  PixelFormat wanted_;
  std::int64_t count_ = 0;
  bool said_ = false;
};

}  // namespace avstore::tools
