// Any bytes as a stream of raw frames (avstore-raw), as a camera's program sends them.
#include "fuzz/attempt.h"
#include "fuzz/scratch.h"
#include "tools/raw_stream.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const avstore::fuzz::Scratch scratch;
  avstore::CameraOptions camera;
  camera.name = "camera";
  camera.source = scratch.file("raw", avstore::fuzz::as_text(data, size)).string();
  camera.input_format = avstore::tools::kRawStreamFormat;
  avstore::fuzz::attempt([&] {
    avstore::tools::RawStream stream(camera, [] { return false; });
    while (const auto frame = stream.next()) {
      avstore::pack(frame->image.view());
    }
  });
  return 0;
}
