// Bloscpack files: what is written reads back, in memory and in stores, and damaged ones are
// refused.
#include <cstring>
#include <string>
#include <vector>

#include "avstore/error.h"
#include "avstore/reader.h"
#include "avstore/writer.h"
#include "imgstore/bloscpack.h"
#include "imgstore/npy.h"
#include "support/catch.h"
#include "support/media_folder.h"

namespace {

namespace fs = std::filesystem;
namespace pixel = avstore::pixel;

using avstore::Error;
using avstore::FrameIndex;
using avstore::FrameNumber;
using avstore::FrameTime;
using avstore::Image;
using avstore::Reader;
using avstore::Writer;
using avstore::WriterOptions;
using avstore::imgstore::bloscpack_to_npy;
using avstore::imgstore::has_bloscpack;
using avstore::imgstore::npy_to_bloscpack;
using avstore::test::TemporaryFolder;
using Bytes = std::vector<std::uint8_t>;

Bytes array_of(const std::string& dtype, const std::vector<std::int64_t>& shape,
               std::size_t bytes) {
  Bytes npy = avstore::imgstore::npy_header(dtype, shape);
  for (std::size_t i = 0; i < bytes; ++i) {
    npy.push_back(static_cast<std::uint8_t>(i / 7 + i * i / 1000));
  }
  return npy;
}

}  // namespace

TEST_CASE("Arrays of any size and type come back from a Bloscpack file", "[bpk]") {
  if (!has_bloscpack()) {
    SKIP("built without Blosc");
  }
  for (const Bytes& npy :
       {array_of("|u1", {7, 5}, 35), array_of("<f8", {3, 4, 3}, 288),
        array_of("<u2", {1200, 1500}, 3600000), array_of("|u1", {0, 4}, 0),
        array_of("|u1", {1024, 1024}, 1048576), array_of("|V1500000", {2}, 3000000)}) {
    const Bytes file = npy_to_bloscpack(npy, "a.bpk");
    CHECK(bloscpack_to_npy(file, "a.bpk") == npy);
  }
}

TEST_CASE("A Bloscpack file that is cut off or changed anywhere is refused or harmless",
          "[bpk][hostile]") {
  if (!has_bloscpack()) {
    SKIP("built without Blosc");
  }
  const Bytes npy = array_of("<u2", {12, 15}, 360);
  const Bytes file = npy_to_bloscpack(npy, "a.bpk");
  for (std::size_t size = 0; size < file.size(); ++size) {
    const Bytes cut(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
    CHECK_THROWS_AS(bloscpack_to_npy(cut, "a.bpk"), Error);
  }
  for (std::size_t at = 0; at < file.size(); ++at) {
    for (const int change : {1, 0x80, 0xFF}) {
      Bytes bad = file;
      bad[at] = static_cast<std::uint8_t>(bad[at] ^ change);
      try {
        const Bytes back = bloscpack_to_npy(bad, "a.bpk");
        CHECK(back.size() == npy.size());
      } catch (const Error& error) {
        CHECK_THAT(error.what(), Catch::Matchers::ContainsSubstring("a.bpk"));
      }
    }
  }
}

TEST_CASE("Claims of many chunks or of much content cost no memory", "[bpk][hostile]") {
  if (!has_bloscpack()) {
    SKIP("built without Blosc");
  }
  const Bytes file = npy_to_bloscpack(array_of("<u2", {12, 15}, 360), "a.bpk");
  const auto with = [&file](std::size_t at, std::int64_t value, std::size_t bytes) {
    Bytes bad = file;
    std::memcpy(bad.data() + at, &value, bytes);
    return bad;
  };
  CHECK_THROWS_AS(bloscpack_to_npy(with(16, INT64_MAX, 8), "a.bpk"), Error);
  CHECK_THROWS_AS(bloscpack_to_npy(with(16, -1, 8), "a.bpk"), Error);
  CHECK_THROWS_AS(bloscpack_to_npy(with(12, INT32_MAX, 4), "a.bpk"), Error);
  CHECK_THROWS_AS(bloscpack_to_npy(with(24, INT64_MAX, 8), "a.bpk"), Error);
}

TEST_CASE("Chunks that lie over one another are refused before they are decompressed many times",
          "[bpk][hostile]") {
  if (!has_bloscpack()) {
    SKIP("built without Blosc");
  }
  Bytes file = npy_to_bloscpack(array_of("<u2", {1200, 1500}, 3600000), "a.bpk");
  std::uint32_t metadata = 0;
  std::memcpy(&metadata, file.data() + 32 + 12, 4);
  std::uint8_t* const offsets = file.data() + 32 + 32 + metadata + 4;
  std::memcpy(offsets + 8, offsets, 8);  // the second chunk is the first
  CHECK_THROWS_WITH(bloscpack_to_npy(file, "a.bpk"),
                    Catch::Matchers::ContainsSubstring("a.bpk") &&
                        Catch::Matchers::ContainsSubstring("lie over"));
}

// The file with other metadata, of any length, and no checksum of them.
Bytes with_metadata(const Bytes& file, const std::string& text) {
  std::uint32_t length = 0;
  std::memcpy(&length, file.data() + 32 + 12, 4);
  Bytes out(file.begin(), file.begin() + 64);
  length += 4;  // the checksum
  for (const int at : {12, 16, 20}) {
    const auto size = static_cast<std::uint32_t>(text.size());
    std::memcpy(out.data() + 32 + at, &size, 4);
  }
  out[32 + 9] = 0;
  out[5] = 2;  // no offsets, which would be wrong now
  out.insert(out.end(), text.begin(), text.end());
  // past the one chunk's offset
  out.insert(out.end(), file.begin() + 64 + static_cast<std::ptrdiff_t>(length) + 8, file.end());
  return out;
}

TEST_CASE("A Bloscpack file that says another array than it holds is refused by name",
          "[bpk][hostile]") {
  if (!has_bloscpack()) {
    SKIP("built without Blosc");
  }
  const Bytes npy = array_of("<u2", {12, 15}, 360);
  const Bytes file = npy_to_bloscpack(npy, "a.bpk");
  const std::string right = R"({"dtype":"'<u2'","shape":[12,15],"order":"C"})";
  CHECK(bloscpack_to_npy(with_metadata(file, right), "a.bpk") == npy);
  std::string many = "1";
  for (int i = 0; i < 40000; ++i) {
    many += ",1";
  }
  for (const std::string& text :
       {std::string(R"({"dtype":"'<u2'","shape":[12,16],"order":"C"})"),
        std::string(R"({"dtype":"'<u2'","shape":[12,14],"order":"C"})"),
        std::string(R"({"dtype":"'<u2'","shape":[4294967296,4294967296],"order":"C"})"),
        std::string(R"({"dtype":"'|O'","shape":[180],"order":"C"})"),
        std::string(R"({"dtype":"'<q9'","shape":[180],"order":"C"})"), std::string("{}"),
        R"({"dtype":"'<u2'","order":"C","shape":[)" + many + "]}"}) {
    CAPTURE(text.substr(0, 80));
    try {
      bloscpack_to_npy(with_metadata(file, text), "a.bpk");
      FAIL_CHECK("not refused");
    } catch (const Error& error) {
      CHECK(error.kind() == avstore::ErrorKind::corrupt);
      CHECK_THAT(error.what(), Catch::Matchers::ContainsSubstring("a.bpk"));
    }
  }
}

TEST_CASE("Stores of bpk folders are written and read", "[bpk]") {
  if (!has_bloscpack()) {
    SKIP("built without Blosc");
  }
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "bpk.store";
  Bytes pixels(30 * 20 * 2);
  WriterOptions options;
  options.format = "bpk";
  options.chunk_size = 3;
  Writer writer(path, options);
  for (int i = 0; i < 7; ++i) {
    pixels.assign(pixels.size(), static_cast<std::uint8_t>(3 * i));
    writer.add(avstore::packed_view(pixel::gray16, 30, 20, pixels.data()), FrameNumber(i),
               FrameTime(i));
  }
  writer.close();
  CHECK(fs::exists(path / "000002" / "000000.bpk"));
  Reader reader(path);
  CHECK(reader.info().dtype == "uint16");
  for (int i = 6; i >= 0; --i) {
    pixels.assign(pixels.size(), static_cast<std::uint8_t>(3 * i));
    CHECK(avstore::pack(reader.read(FrameIndex(i)).image.view()) == pixels);
  }
}
