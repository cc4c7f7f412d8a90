#include "media/avi_chunks.h"

#include <array>

#include "media/av.h"

namespace avstore::media {
namespace {

constexpr unsigned kRiff = MKTAG('R', 'I', 'F', 'F');
constexpr unsigned kList = MKTAG('L', 'I', 'S', 'T');
constexpr unsigned kMovi = MKTAG('m', 'o', 'v', 'i');
constexpr unsigned kRec = MKTAG('r', 'e', 'c', ' ');
constexpr std::int64_t kHeader = 8;  // bytes: what it is, and the length

std::array<unsigned char, 4> letters(unsigned tag) {
  return {static_cast<unsigned char>(tag), static_cast<unsigned char>(tag >> 8),
          static_cast<unsigned char>(tag >> 16), static_cast<unsigned char>(tag >> 24)};
}

// All names of chunks are printable.
bool is_name(unsigned tag) {
  for (const unsigned char letter : letters(tag)) {
    if (letter < ' ' || letter > '~') {
      return false;
    }
  }
  return true;
}

// Such as "00dc" of stream 0.
bool is_of_stream(unsigned tag, int stream) {
  const auto name = letters(tag);
  return name[0] == '0' + stream / 10 && name[1] == '0' + stream % 10;
}

}  // namespace

std::int64_t count_empty_avi_chunks(AVIOContext& file, int stream) {
  const std::int64_t place = avio_tell(&file);
  const std::int64_t size = avio_size(&file);
  std::int64_t empty = 0;
  for (std::int64_t at = 0; at + kHeader <= size;) {
    if (avio_seek(&file, at, SEEK_SET) < 0) {
      break;
    }
    const unsigned tag = avio_rl32(&file);
    const std::int64_t length = avio_rl32(&file);
    if (!is_name(tag)) {
      break;
    }
    at += kHeader;
    const unsigned kind = tag == kRiff || tag == kList ? avio_rl32(&file) : 0;
    if (tag == kRiff || kind == kMovi || kind == kRec) {
      at += 4;  // the chunks in it follow
      continue;
    }
    at += length + length % 2;
    empty += length == 0 && is_of_stream(tag, stream) ? 1 : 0;
  }
  avio_seek(&file, place, SEEK_SET);
  return empty;
}

}  // namespace avstore::media
