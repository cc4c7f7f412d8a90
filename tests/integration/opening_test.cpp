// Opening stores of which somebody else wrote, changed or damaged a part.
#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "avstore/reader.h"
#include "avstore/tools.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/extra_store.h"
#include "support/media_folder.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;
using namespace avstore::test;  // NOLINT
using avstore::FrameIndex;
using avstore::Reader;
using avstore::ReaderOptions;
using Catch::Matchers::ContainsSubstring;

std::vector<std::string> warnings_of_opening(const fs::path& store, std::int64_t& frames) {
  std::vector<std::string> warnings;
  ReaderOptions options;
  options.on_warning = [&](const std::string& text) { warnings.push_back(text); };
  frames = Reader(store, options).frame_count();
  return warnings;
}

}  // namespace

TEST_CASE("a chunk without an index that can be read is warned of each time, the database kept") {
  const std::string name = GENERATE("index.npz", "index.yaml", "");
  const std::string content = GENERATE("damaged: [", "");
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_extra_store(store, names_of_late_camera(), 1, vienna_options("png"));
  fs::remove(store / "000001" / "index.npz");
  if (!name.empty()) {
    write_text(store / "000001" / name, content);
  }
  fs::remove(store / ".index.sqlite");
  std::int64_t frames = 0;
  const auto first = warnings_of_opening(store, frames);
  REQUIRE(first.size() == 1);
  CHECK_THAT(first[0],
             ContainsSubstring(name) && ContainsSubstring("the frames of 000001 are left out"));
  CHECK(frames == 4);
  const auto findings = avstore::verify(store, {}).findings;
  REQUIRE(findings.size() == 1);
  CHECK_THAT(findings[0], ContainsSubstring("000001: is in no row") &&
                              ContainsSubstring("no index lists its frames") &&
                              !ContainsSubstring("avstore index reads it in"));
  struct stat before {};
  struct stat after {};
  REQUIRE(::stat((store / ".index.sqlite").c_str(), &before) == 0);
  CHECK(warnings_of_opening(store, frames) == first);
  REQUIRE(::stat((store / ".index.sqlite").c_str(), &after) == 0);
  CHECK(before.st_ino == after.st_ino);
  CHECK(frames == 4);
}

TEST_CASE("a chunk that comes with a YAML index is found") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_extra_store(store, names_of_late_camera(), 1, vienna_options("png"));
  fs::copy(store / "000002", store / "000003", fs::copy_options::recursive);
  fs::remove(store / "000003" / "index.npz");
  write_text(store / "000003" / "index.yaml", "frame_number: [9]\nframe_time: [11.5]\n");
  std::int64_t frames = 0;
  const auto warnings = warnings_of_opening(store, frames);
  REQUIRE(warnings.size() == 1);
  CHECK_THAT(warnings[0], ContainsSubstring("000003 is not in it"));
  CHECK(frames == 8);
  CHECK(warnings_of_opening(store, frames).empty());
}

TEST_CASE("formats named +color are read as what they hold") {
  const TemporaryFolder folder;
  for (const std::string format : {"png", "tif", "jpg", "bmp"}) {
    const fs::path store = folder.path() / format;
    write_extra_store(store, names_of_late_camera(), 1, vienna_options(format));
    run("sed -i 's/format: " + format + "/format: " + format +
        "+color/; s/encoding: null/encoding: cv_bayerbg/' " + quoted(store / "metadata.yaml"));
    Reader reader(store);
    CHECK(reader.info().format == format);
    CHECK(reader.info().encoding.empty());
    CHECK(code_of(reader.read(FrameIndex(4)).image.view()) == 5);
  }
}
