// Any bytes as a video file that is imported, as it is and encoded anew. Byte 0 chooses the file's
// name, the file is all that follows. What could be imported anew must be without findings.
#include <array>
#include <cstdio>
#include <cstdlib>

#include "avstore/tools.h"
#include "fuzz/attempt.h"
#include "fuzz/scratch.h"

namespace {

namespace fs = std::filesystem;
using avstore::fuzz::attempt;

// libavformat goes by a name's ending where the bytes do not settle it.
constexpr std::array kNames = {"a",       "a.mp4", "a.mkv",  "a.avi", "a.ts",   "a.h264",
                               "a.hevc",  "a.m4v", "a.obu",  "a.mpg", "a.gif",  "a.png",
                               "a.mjpeg", "a.y4m", "a.webm", "a.flv", "a.h263", "a.wmv"};
constexpr std::int64_t kMostFrames = 64;

avstore::ImportOptions options(bool copy) {
  avstore::ImportOptions made;
  made.copy = copy;
  made.allow_truncated = true;
  made.writer.format = "npy";  // costs nothing to encode
  made.writer.overwrite = true;
  made.progress = [](std::int64_t done, std::int64_t) { return done < kMostFrames; };
  return made;
}

void verify(const fs::path& store) {
  const avstore::VerifyResult result = avstore::verify(store, {.deep = true, .progress = {}});
  for (const std::string& finding : result.findings) {
    std::fprintf(stderr, "verify: %s\n", finding.c_str());
  }
  if (!result.findings.empty()) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const avstore::fuzz::Scratch scratch;
  if (size < 1) {
    return 0;
  }
  const fs::path folder = scratch.folder("import");
  const auto file = scratch.file(std::string("import/") + kNames[data[0] % kNames.size()],
                                 avstore::fuzz::as_text(data + 1, size - 1));
  attempt([&] { avstore::probe_source(file); });
  attempt([&] { avstore::import_file(file, folder / "copied", options(true)); });
  attempt([&] {
    avstore::import_file(file, folder / "encoded", options(false));
    verify(folder / "encoded");
  });
  return 0;
}
