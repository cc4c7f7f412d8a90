// A stream's codec parameters out of nothing but its header.
#pragma once

#include <cstdint>
#include <vector>

#include "media/av.h"

namespace avstore::test {

media::CodecParametersPtr parameters_of(AVCodecID codec,
                                        const std::vector<std::uint8_t>& extradata);

}  // namespace avstore::test
