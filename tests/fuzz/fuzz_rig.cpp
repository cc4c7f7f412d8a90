// Any bytes as the file that describes a rig.
#include "avstore/record.h"
#include "fuzz/attempt.h"
#include "fuzz/scratch.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const avstore::fuzz::Scratch scratch;
  const auto file = scratch.file("rig.yaml", avstore::fuzz::as_text(data, size));
  avstore::fuzz::attempt([&] { avstore::read_rig(file); });
  return 0;
}
