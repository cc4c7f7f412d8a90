// Any bytes as a .npy file: as an array of numbers, and as an image of a chunk.
#include <cstdint>
#include <span>
#include <vector>

#include "avstore/image.h"
#include "chunk/image_file.h"
#include "fuzz/attempt.h"
#include "imgstore/npy.h"

namespace {

using avstore::fuzz::attempt;
using Bytes = std::span<const std::uint8_t>;

void read_image(Bytes file) {
  const avstore::Image image =
      avstore::chunk::decode_image_file("a.npy", {file.begin(), file.end()});
  avstore::pack(image.view());
  avstore::chunk::encode_image_file("b.npy", image.view(), {});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes file(data, size);
  attempt([&] { avstore::imgstore::npy_to_int64(file, "a.npy"); });
  attempt([&] { avstore::imgstore::npy_to_double(file, "a.npy"); });
  attempt([&] {
    avstore::imgstore::NpyHeader header;
    avstore::imgstore::npy_to_c_order(file, header, "a.npy");
  });
  attempt([&] { read_image(file); });
  return 0;
}
