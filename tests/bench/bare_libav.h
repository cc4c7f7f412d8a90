// What the benchmark compares against: the shortest loops on libav* that do the same work.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

struct AVCodecContext;
struct AVFormatContext;
struct AVPacket;
struct SwsContext;

namespace avstore::bench {

// Decode a file from its beginning and convert each frame to bgr24. Returns the number of frames.
int bare_decode(const std::string& file, int threads);

// For each frame wanted: seek to the keyframe before it, decode up to it, convert it to bgr24.
// Frames are evenly spaced from PTS 0. `slice_threads`: the decoder's threads share a frame; else
// frames, and what is inside is drained to get the last one out.
void bare_random(const std::string& file, const std::vector<int>& frames, bool slice_threads,
                 int threads);

struct BareVideo {
  int width = 0;
  int height = 0;
  int fps = 25;
  int gop = 25;
  int threads = 1;
  std::map<std::string, std::string> options;  // of libx264
  bool gray = false;                           // frames are the luma of yuv420p; else bgr24
};

// Converts and encodes frames with libx264 into a fragmented MP4.
class BareEncoder {
 public:
  BareEncoder(const std::string& file, const BareVideo& video);
  ~BareEncoder();
  BareEncoder(const BareEncoder&) = delete;
  BareEncoder& operator=(const BareEncoder&) = delete;

  // So many frames, these again and again, going on with where the last call ended.
  void encode(const std::vector<std::vector<std::uint8_t>>& frames, int count);
  void finish();
  // Frames so far; may be asked from any thread.
  std::int64_t encoded() const { return encoded_; }

 private:
  void drain();

  BareVideo video_;
  std::atomic<std::int64_t> encoded_ = 0;
  // owned
  AVFormatContext* output_ = nullptr;
  AVCodecContext* encoder_ = nullptr;
  SwsContext* sws_ = nullptr;
  AVPacket* packet_ = nullptr;
};

}  // namespace avstore::bench
