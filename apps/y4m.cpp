#include "y4m.h"

#include <avstore/error.h>
#include <fmt/format.h>

#include <cmath>
#include <map>
#include <optional>
#include <string_view>

namespace avstore::cli {
namespace {

// libav has names of its own for full-range YUV, as old JPEG decoders give it.
bool is_full_range(const ImageView& image) {
  return image.color.full_range || image.format.name().starts_with("yuvj");
}

std::optional<std::string> find_color_space(const ImageView& image) {
  const bool full = is_full_range(image);
  const std::map<std::string_view, std::string> known = {
      {"gray8", "mono"},       {"gray", "mono"},    {"yuv420p", full ? "420jpeg" : "420mpeg2"},
      {"yuvj420p", "420jpeg"}, {"yuv422p", "422"},  {"yuvj422p", "422"},
      {"yuv444p", "444"},      {"yuvj444p", "444"},
  };
  const auto found = known.find(image.format.name());
  return found == known.end() ? std::nullopt : std::optional(found->second);
}

bool is_gray(const ImageView& image) {
  return image.format.name().starts_with("gray");
}

}  // namespace

std::string y4m_header(const ImageView& image, Rational frame_rate, const std::string& store) {
  const auto color_space = find_color_space(image);
  if (!color_space) {
    throw Error(
        ErrorKind::unsupported,
        fmt::format("{}: y4m cannot hold {} pixels; add --pixel-format yuv420p or gray8, or "
                    "write --as rawvideo",
                    store, image.format.name()));
  }
  const bool full = is_full_range(image) || is_gray(image);
  return fmt::format("YUV4MPEG2 W{} H{} F{}:{} Ip A1:1 C{} XCOLORRANGE={}\n", image.width,
                     image.height, frame_rate.num, frame_rate.den, *color_space,
                     full ? "FULL" : "LIMITED");
}

Rational plausible_rate(double frames_per_second) {
  if (!std::isfinite(frames_per_second) || frames_per_second <= 0 || frames_per_second > 1e6) {
    return {25, 1};
  }
  const double whole = std::round(frames_per_second);
  if (whole > 0 && std::abs(frames_per_second - whole) < 1e-4 * whole) {
    return {static_cast<std::int64_t>(whole), 1};
  }
  const double television = std::round(frames_per_second * 1.001);
  if (television > 0 && std::abs(frames_per_second * 1.001 - television) < 1e-4 * television) {
    return {static_cast<std::int64_t>(television) * 1000, 1001};
  }
  return {std::max<std::int64_t>(1, std::llround(frames_per_second * 1000)), 1000};
}

}  // namespace avstore::cli
