// Headers within a stream, which pictures after them need.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "media/nal_units.h"
#include "media/packet.h"

struct AVCodecParameters;

namespace avstore::media {

// Follows which headers are in force: the parameter sets of H.264 and HEVC, what MPEG-1, MPEG-2 and
// MPEG-4 have instead. A decoder is opened with those that the container states; packets may bring
// others, which stay in force until they are replaced. Of other codecs it knows of no headers.
class HeadersInForce {
 public:
  // Of a decoder that is opened with these parameters.
  explicit HeadersInForce(const AVCodecParameters& parameters);

  // Take a packet. Returns the ordinal (from 0) of the last packet at which decoding can start if
  // the pictures in this one are to find their headers; its own if any will do.
  std::int64_t take(const Packet& packet);

  // Take only what comes along with a packet, and not in it: headers that the container states anew
  // from there on. take() does so too.
  void take_stated_anew(const Packet& packet);

  // The parameter sets in force after what was taken last, as NAL units, in the order in which they
  // need one another. None of other codecs than H.264 and HEVC.
  std::vector<std::vector<std::uint8_t>> parameter_sets() const;

  // Bytes of a NAL unit's length prefix in the packet taken last; 0: start codes.
  int length_size() const { return length_size_; }

  // Whether there has been any header that is not what the container states.
  bool changed() const { return changed_; }

 private:
  enum class Syntax { none, h264, hevc, mpeg12, mpeg4 };
  using Name = std::pair<int, unsigned>;  // kind and number
  struct Header {
    std::vector<std::uint8_t> content;
    std::optional<Name> parent;  // the one that it is to be understood by
    std::int64_t packet = -1;    // where it came last
  };
  using Headers = std::map<Name, Header>;

  void look_at(Bytes unit);
  void look_at_h264(Bytes unit);
  void look_at_hevc(Bytes unit);
  void look_at_mpeg12(Bytes unit);
  void look_at_mpeg4(Bytes unit);
  void put(Name name, unsigned limit, Bytes content, std::optional<Name> parent = {});
  void need(Name name);
  bool is_as_stated(Name name) const;

  Syntax syntax_ = Syntax::none;
  int length_size_ = 0;
  Headers stated_;
  Headers headers_;
  bool changed_ = false;
  std::int64_t packets_ = 0;
  std::int64_t place_ = -1;   // what `packet` is of headers that are met now
  std::int64_t needed_ = -1;  // see take()
};

}  // namespace avstore::media
