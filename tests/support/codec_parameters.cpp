#include "support/codec_parameters.h"

#include <algorithm>

namespace avstore::test {

media::CodecParametersPtr parameters_of(AVCodecID codec,
                                        const std::vector<std::uint8_t>& extradata) {
  media::CodecParametersPtr parameters(avcodec_parameters_alloc());
  parameters->codec_id = codec;
  parameters->extradata =
      static_cast<std::uint8_t*>(av_mallocz(extradata.size() + AV_INPUT_BUFFER_PADDING_SIZE));
  std::copy(extradata.begin(), extradata.end(), parameters->extradata);
  parameters->extradata_size = static_cast<int>(extradata.size());
  return parameters;
}

}  // namespace avstore::test
