#include "media/joined_stream.h"

#include <algorithm>
#include <vector>

#include "media/av.h"
#include "media/headers_in_force.h"
#include "media/nal_units.h"

namespace avstore::media {
namespace {

bool has_nal_units(const AVCodecParameters& parameters) {
  return parameters.codec_id == AV_CODEC_ID_H264 || parameters.codec_id == AV_CODEC_ID_HEVC;
}

bool same_headers(const AVCodecParameters& a, const AVCodecParameters& b) {
  return std::equal(a.extradata, a.extradata + a.extradata_size, b.extradata,
                    b.extradata + b.extradata_size);
}

}  // namespace

class JoinedStream::Impl {
 public:
  explicit Impl(const AVCodecParameters* first)
      : first_(clone(first)), source_(clone(first)), headers_(*first) {}

  const AVCodecParameters* parameters() const { return first_.get(); }

  bool can_join(const AVCodecParameters& source) const {
    const bool same_kind = source.codec_id == first_->codec_id && source.width == first_->width &&
                           source.height == first_->height && source.format == first_->format;
    return same_kind &&
           (has_nal_units(source) ? has_usable_framing() : same_headers(source, *first_));
  }

  void change_source(const AVCodecParameters* source) {
    headers_differ_ = headers_differ_ || headers_.changed() || !same_headers(*source, *first_);
    source_ = clone(source);
    headers_ = HeadersInForce(*source);
  }

  void fit(Packet& packet) {
    if (!has_nal_units(*source_)) {
      return;
    }
    headers_.take_stated_anew(packet);
    headers_differ_ = headers_differ_ || headers_.changed();
    const bool repeats = headers_differ_ && packet.key();
    std::vector<std::vector<std::uint8_t>> headers;
    if (repeats) {
      headers = headers_.parameter_sets();
    }
    // What the packet itself brings changes nothing for the decoder that comes to it.
    headers_.take(packet);
    const int framing = headers_.length_size();
    if (framing == nal_length_size(*first_) && !repeats) {
      return;
    }
    std::vector<Bytes> units(headers.begin(), headers.end());
    const std::vector<Bytes> own = split_nal_units(packet.bytes(), framing);
    units.insert(units.end(), own.begin(), own.end());
    packet.replace_bytes(join_nal_units(units));
  }

 private:
  // Packets are rewritten with prefixes of four bytes, so the container must state those.
  bool has_usable_framing() const { return nal_length_size(*first_) == 4; }

  CodecParametersPtr first_;
  CodecParametersPtr source_;
  HeadersInForce headers_;       // of a decoder that has had the source's packets so far
  bool headers_differ_ = false;  // any so far were not as the container states
};

JoinedStream::JoinedStream(const AVCodecParameters* first) : impl_(std::make_unique<Impl>(first)) {}
JoinedStream::~JoinedStream() = default;

const AVCodecParameters* JoinedStream::parameters() const {
  return impl_->parameters();
}
bool JoinedStream::can_join(const AVCodecParameters* source) const {
  return impl_->can_join(*source);
}
void JoinedStream::change_source(const AVCodecParameters* source) {
  impl_->change_source(source);
}
void JoinedStream::fit(Packet& packet) {
  impl_->fit(packet);
}

}  // namespace avstore::media
