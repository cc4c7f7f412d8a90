// Any bytes as a Bloscpack file, the image of a chunk.
#include <cstdint>
#include <vector>

#include "avstore/error.h"
#include "avstore/image.h"
#include "chunk/image_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const avstore::Image image = avstore::chunk::decode_image_file("a.bpk", {data, data + size});
    avstore::pack(image.view());
  } catch (const avstore::Error&) {
    // A refusal is what a damaged file should get.
  }
  return 0;
}
