// YUV4MPEG2, the stream of raw frames that says itself what it holds.
#pragma once

#include <avstore/image.h>
#include <avstore/types.h>

#include <string>

namespace avstore::cli {

inline constexpr const char* kY4mFrameHeader = "FRAME\n";

// The stream's first line. Throws Error(unsupported), naming the store, if such a stream cannot
// hold these pixels.
std::string y4m_header(const ImageView& image, Rational frame_rate, const std::string& store);

// The frame rate that a mean one most likely stands for: 30000/1001 for 29.97, 25 for 25.0001.
Rational plausible_rate(double frames_per_second);

}  // namespace avstore::cli
