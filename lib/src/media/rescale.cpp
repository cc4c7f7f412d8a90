#include "media/rescale.h"

#include "media/av.h"

namespace avstore::media {

std::int64_t rescale(std::int64_t timestamp, Rational from, Rational to) {
  return av_rescale_q(timestamp, to_av(from), to_av(to));
}

}  // namespace avstore::media
