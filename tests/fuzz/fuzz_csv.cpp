// Any bytes as the table of frame numbers and times that `avstore import --times` reads.
#include "fuzz/attempt.h"
#include "fuzz/scratch.h"
#include "times_csv.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const avstore::fuzz::Scratch scratch;
  const auto file = scratch.file("times.csv", avstore::fuzz::as_text(data, size));
  avstore::fuzz::attempt([&] { avstore::cli::read_times_csv(file); });
  return 0;
}
