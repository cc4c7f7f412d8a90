// Trying out which formats can be written on this machine.
#include <filesystem>
#include <map>
#include <string>

#include "avstore/tools.h"
#include "support/catch.h"
#include "support/media_folder.h"
#include "support/outcome.h"

namespace {

namespace fs = std::filesystem;
using namespace avstore::test;  // NOLINT
using Catch::Matchers::ContainsSubstring;

}  // namespace

TEST_CASE("doctor finds what works") {
  const TemporaryFolder folder;
  avstore::DoctorOptions options;
  options.folder = folder.path();
  options.formats = {"avc1/mp4", "mjpeg/avi", "ffv1/mkv", "png", "pgm", "npy", "jpg"};
  const avstore::DoctorReport report = avstore::doctor(options);
  std::map<std::string, int> works;
  for (const avstore::DoctorCheck& check : report.checks) {
    INFO(check.format << " " << check.encoder << " " << check.pixels.name() << ": " << check.what);
    if (check.encoder.starts_with("h264_") &&
        check.result == avstore::DoctorCheck::Result::missing) {
      CHECK(!check.what.empty());  // few machines have all hardware
      continue;
    }
    CHECK(check.result == avstore::DoctorCheck::Result::works);
    CHECK((check.what == "exact") == (check.format == "ffv1/mkv" || check.format == "png" ||
                                      check.format == "pgm" || check.format == "npy"));
    ++works[check.format];
  }
  CHECK(report.well);
  CHECK(works.size() == 7);
  CHECK(works["ffv1/mkv"] == 7);
  CHECK(fs::is_empty(folder.path()));
  options.formats = {"no/such"};
  CHECK_THAT(error_of([&] { avstore::doctor(options); }).what(), ContainsSubstring("no/such"));
  options.formats = {"png"};
  options.folder = folder.path() / "missing";
  CHECK_THAT(error_of([&] { avstore::doctor(options); }).what(),
             ContainsSubstring("cannot make a temporary folder"));
}
