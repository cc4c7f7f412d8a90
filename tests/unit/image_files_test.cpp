// Images in files: against what the ffmpeg program and NumPy make of the same files.
#include <fmt/format.h>

#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "avstore/error.h"
#include "avstore/image.h"
#include "imgstore/npy.h"
#include "support/catch.h"
#include "support/image_bytes.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/processes.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;
namespace pixel = avstore::pixel;

using avstore::ErrorKind;
using avstore::Image;
using avstore::ImageView;
using avstore::PixelFormat;
using avstore::test::by_ffmpeg;
using avstore::test::Bytes;
using avstore::test::converted;
using avstore::test::ffmpeg_name;
using avstore::test::in_child;
using avstore::test::kind_of_error;
using avstore::test::outcome_of;
using avstore::test::quoted;
using avstore::test::random_bytes;
using avstore::test::read_bytes;
using avstore::test::run;
using avstore::test::TemporaryFolder;
using avstore::test::view_of;
using avstore::test::write_bytes;
using Catch::Matchers::ContainsSubstring;

// Kinds of pixels that a kind of file keeps exactly.
const std::map<std::string, std::vector<PixelFormat>>& exact_formats() {
  static const std::map<std::string, std::vector<PixelFormat>> kFormatsOf{
      {".png", {pixel::gray8, pixel::gray16, pixel::bgr24, pixel::rgb24, pixel::bgra}},
      {".tif", {pixel::gray8, pixel::gray16, pixel::bgr24, pixel::rgb24, pixel::bgra}},
      {".bmp", {pixel::gray8, pixel::bgr24, pixel::rgb24}},
      {".ppm", {pixel::bgr24, pixel::rgb24}},
      {".pgm", {pixel::gray8, pixel::gray16}},
      {".npy", {pixel::gray8, pixel::gray16, pixel::bgr24, pixel::rgb24, pixel::bgra}},
  };
  return kFormatsOf;
}

}  // namespace

TEST_CASE("image files keep their pixels, and ffmpeg reads and writes the same") {
  for (const auto& [extension, formats] : exact_formats()) {
    for (const PixelFormat format : formats) {
      DYNAMIC_SECTION(extension << " " << format.name()) {
        const TemporaryFolder folder;
        // The program goes from a palette to gray by way of colour, and misses some values by one.
        const PixelFormat compared =
            extension == ".bmp" && format == pixel::gray8 ? pixel::bgr24 : format;
        // One run of the program reads what we wrote and writes what we are to read, another one
        // reads that.
        std::string inputs;
        std::string outputs;
        std::string their_inputs;
        std::string their_outputs;
        const auto name = [&](const std::string& kind, std::size_t i) {
          return folder.path() / (kind + std::to_string(i));
        };
        const auto as_raw = [&](std::size_t input, const fs::path& file) {
          return fmt::format(" -map {} -f rawvideo -pix_fmt {} {}", input, ffmpeg_name(compared),
                             quoted(file));
        };
        const std::vector<std::pair<int, int>> sizes{{1, 1}, {7, 5}, {97, 65}, {256, 3}};
        std::vector<Bytes> all;
        for (std::size_t i = 0; i < sizes.size(); ++i) {
          const auto [width, height] = sizes[i];
          const fs::path file = name("image", i).concat(extension);
          all.push_back(random_bytes(avstore::packed_size(format, width, height), 6));
          avstore::write_image(file, view_of(format, width, height, all[i]));
          CAPTURE(width, height);
          const Image image = avstore::read_image(file);
          CHECK(image.width() == width);
          CHECK(image.height() == height);
          const bool same = converted(image.view(), format) == all[i];
          CHECK(same);
          CHECK_FALSE(fs::exists(file.string() + ".tmp"));
          write_bytes(name("raw", i), all[i]);
          const fs::path theirs = name("theirs", i).concat(extension);
          inputs += fmt::format(" -i {} -f rawvideo -pix_fmt {} -s {}x{} -i {}", quoted(file),
                                ffmpeg_name(format), width, height, quoted(name("raw", i)));
          outputs += as_raw(2 * i, name("ours-read", i)) +
                     fmt::format(" -map {} {}", 2 * i + 1, quoted(theirs));
          their_inputs += " -i " + quoted(theirs);
          their_outputs += as_raw(i, name("theirs-read", i));
        }
        if (extension == ".npy") {
          return;
        }
        run("ffmpeg -v error -y" + inputs + outputs);
        run("ffmpeg -v error -y" + their_inputs + their_outputs);
        for (std::size_t i = 0; i < sizes.size(); ++i) {
          const auto [width, height] = sizes[i];
          CAPTURE(width, height);
          const bool ffmpeg_reads_same =
              read_bytes(name("ours-read", i)) ==
              converted(view_of(format, width, height, all[i]), compared);
          CHECK(ffmpeg_reads_same);
          const Image theirs = avstore::read_image(name("theirs", i).concat(extension));
          const bool reads_theirs =
              converted(theirs.view(), compared) == read_bytes(name("theirs-read", i));
          CHECK(reads_theirs);
        }
      }
    }
  }
}

TEST_CASE("16 bits of gray are kept whole") {
  Bytes values;
  for (int i = 0; i < 65536; ++i) {
    values.push_back(static_cast<std::uint8_t>(i & 255));
    values.push_back(static_cast<std::uint8_t>(i >> 8));
  }
  const TemporaryFolder folder;
  for (const std::string extension : {".png", ".tif", ".pgm", ".npy"}) {
    const fs::path file = folder.path() / ("image" + extension);
    avstore::write_image(file, view_of(pixel::gray16, 256, 256, values));
    const bool same = converted(avstore::read_image(file).view(), pixel::gray16) == values;
    CAPTURE(extension);
    CHECK(same);
  }
  CHECK(run("/usr/bin/python3 -c 'import sys, numpy as n; a = n.load(sys.argv[1]); "
            "print(a.dtype, a.shape, (a == n.arange(65536).reshape(256, 256)).all())' " +
            quoted(folder.path() / "image.npy")) == "uint16 (256, 256) True\n");
  for (const std::string extension : {".bmp", ".jpg"}) {
    const fs::path file = folder.path() / ("image" + extension);
    CHECK(kind_of_error([&] {
            avstore::write_image(file, view_of(pixel::gray16, 256, 256, values));
          }) == ErrorKind::unsupported);
    CHECK_FALSE(fs::exists(file));
  }
}

TEST_CASE("every gray value survives in every kind of file that keeps gray") {
  Bytes ramp(256);
  for (std::size_t i = 0; i < ramp.size(); ++i) {
    ramp[i] = static_cast<std::uint8_t>(i);
  }
  const TemporaryFolder folder;
  for (const std::string extension : {".png", ".tif", ".bmp", ".pgm", ".npy"}) {
    const fs::path file = folder.path() / ("image" + extension);
    avstore::write_image(file, view_of(pixel::gray8, 256, 1, ramp));
    CAPTURE(extension);
    CHECK(converted(avstore::read_image(file).view(), pixel::gray8) == ramp);
  }
}

TEST_CASE("colour as arrays is in B, G, R") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "image.npy";
  const std::string print =
      "/usr/bin/python3 -c 'import sys, numpy as n; a = n.load(sys.argv[1]); "
      "print(a.dtype, a.shape, a.tolist())' " +
      quoted(file);
  avstore::write_image(file, view_of(pixel::rgb24, 1, 2, {10, 20, 30, 40, 50, 60}));
  CHECK(run(print) == "uint8 (2, 1, 3) [[[30, 20, 10]], [[60, 50, 40]]]\n");
  avstore::write_image(file, view_of(pixel::bgra, 1, 1, {10, 20, 30, 40}));
  CHECK(run(print) == "uint8 (1, 1, 4) [[[10, 20, 30, 40]]]\n");
}

TEST_CASE("arrays without pixels, or of more than a picture can have, are no images") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "image.npy";
  using Shape = std::vector<std::int64_t>;
  for (const Shape& shape : {Shape{0, 4}, Shape{4, 0}, Shape{0, 3'000'000'000}, Shape{2, 2, 0},
                             Shape{3'000'000'000, 1, 0}, Shape{1'000'000, 3'000'000'000, 0}}) {
    const Bytes header = avstore::imgstore::npy_header("|u1", shape);
    std::ofstream(file, std::ios::binary)
        .write(reinterpret_cast<const char*>(header.data()),
               static_cast<std::streamsize>(header.size()));
    CAPTURE(shape);
    CHECK(kind_of_error([&] { avstore::read_image(file); }) == ErrorKind::corrupt);
  }
}

TEST_CASE("JPEG keeps pictures nearly") {
  const TemporaryFolder folder;
  for (const PixelFormat format : {pixel::gray8, pixel::bgr24, pixel::yuv420p, pixel::bgra}) {
    Bytes bytes(avstore::packed_size(format, 97, 65), 255);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      if (format != pixel::bgra || i % 4 != 3) {
        bytes[i] = static_cast<std::uint8_t>(90 + i * 70 / bytes.size());
      }
    }
    const fs::path file = folder.path() / "image.jpg";
    const ImageView view = view_of(format, 97, 65, bytes);
    avstore::write_image(file, view);
    const Bytes written = converted(view, pixel::bgr24);
    for (const Bytes& read : {converted(avstore::read_image(file).view(), pixel::bgr24),
                              by_ffmpeg("-i " + quoted(file), pixel::bgr24)}) {
      REQUIRE(read.size() == written.size());
      double sum = 0;
      for (std::size_t i = 0; i < read.size(); ++i) {
        sum += std::abs(int{read[i]} - int{written[i]});
      }
      CAPTURE(format.name());
      CHECK(sum / static_cast<double>(read.size()) < 3);
    }
  }
}

TEST_CASE("the extension tells the kind, in any spelling") {
  const TemporaryFolder folder;
  const Bytes bytes = random_bytes(35, 7);
  const ImageView view = view_of(pixel::gray8, 7, 5, bytes);
  for (const auto& [name, magic] : std::map<std::string, std::string>{
           {"a.PNG", "\x89PNG"}, {"a.Tiff", "II"}, {"a.jpeg", "\xff\xd8"}, {"a.b.pgm", "P5"}}) {
    avstore::write_image(folder.path() / name, view);
    const Bytes written = read_bytes(folder.path() / name);
    CAPTURE(name);
    CHECK(std::string(written.begin(),
                      written.begin() + static_cast<std::ptrdiff_t>(magic.size())) == magic);
    CHECK(avstore::read_image(folder.path() / name).width() == 7);
  }
  for (const char* name : {"a", "a.xyz", "png", ".png.", "a.mp4"}) {
    CAPTURE(name);
    const fs::path file = folder.path() / name;
    CHECK(kind_of_error([&] { avstore::write_image(file, view); }) == ErrorKind::unsupported);
    CHECK_FALSE(fs::exists(file));
  }
  // Expected: upper case for arrays as for all others.
  avstore::write_image(folder.path() / "b.npy", view);
  fs::rename(folder.path() / "b.npy", folder.path() / "b.NPY");
  CHECK_NOTHROW(avstore::read_image(folder.path() / "b.NPY"));
}

TEST_CASE("image files that cannot be read or written") {
  const TemporaryFolder folder;
  const Bytes bytes = random_bytes(35, 7);
  const ImageView view = view_of(pixel::gray8, 7, 5, bytes);
  for (const char* extension : {".png", ".tif", ".bmp", ".ppm", ".pgm", ".jpg", ".npy"}) {
    CAPTURE(extension);
    const auto path = [&](const std::string& name) { return folder.path() / (name + extension); };
    CHECK(kind_of_error([&] { avstore::read_image(path("missing")); }) == ErrorKind::not_found);
    write_bytes(path("empty"), {});
    CHECK(kind_of_error([&] { avstore::read_image(path("empty")); }) == ErrorKind::corrupt);
    write_bytes(path("text"), Bytes(500, 'x'));
    CHECK(kind_of_error([&] { avstore::read_image(path("text")); }) == ErrorKind::corrupt);
    fs::create_directory(path("folder"));
    CHECK(kind_of_error([&] { avstore::read_image(path("folder")); }) == ErrorKind::io);
    CHECK(kind_of_error([&] { avstore::write_image(path("folder"), view); }) == ErrorKind::io);
    CHECK(kind_of_error([&] { avstore::write_image(path("no/such/folder"), view); }) ==
          ErrorKind::not_found);
    CHECK(kind_of_error([&] {
            avstore::write_image(path("empty") / ("x" + std::string(extension)), view);
          }) == ErrorKind::io);
    // An empty image.
    CHECK(kind_of_error([&] { avstore::write_image(path("new"), ImageView()); }) != ErrorKind::io);
    CHECK_FALSE(fs::exists(path("new")));
  }
  // What fails leaves the file that was there, and nothing else.
  const fs::path file = folder.path() / "kept.bmp";
  avstore::write_image(file, view);
  const Bytes before = read_bytes(file);
  const Bytes wide(70);
  CHECK(kind_of_error([&] { avstore::write_image(file, view_of(pixel::gray16, 7, 5, wide)); }) ==
        ErrorKind::unsupported);
  CHECK(read_bytes(file) == before);
  for (const auto& entry : fs::directory_iterator(folder.path())) {
    CHECK_THAT(entry.path().filename().string(), !ContainsSubstring(".tmp"));
  }
}

TEST_CASE("damaged image files are errors or images, never a crash") {
  const TemporaryFolder folder;
  const Bytes pixels = random_bytes(7 * 5 * 3, 8);
  for (const char* extension : {".png", ".tif", ".bmp", ".ppm", ".jpg", ".npy"}) {
    const fs::path good = folder.path() / (std::string("good") + extension);
    const fs::path bad = folder.path() / (std::string("bad") + extension);
    avstore::write_image(good, view_of(pixel::bgr24, 7, 5, pixels));
    const Bytes bytes = read_bytes(good);
    const auto check = [&](const Bytes& damaged) {
      write_bytes(bad, damaged);
      try {
        const Image image = avstore::read_image(bad);
        CHECK(avstore::pack(image.view()).size() == avstore::packed_size(image.view()));
      } catch (const avstore::Error& error) {
        CHECK((error.kind() == ErrorKind::corrupt || error.kind() == ErrorKind::unsupported));
        CHECK_THAT(error.what(), ContainsSubstring(bad.string()));
      }
    };
    CAPTURE(extension);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      check(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)));
    }
    std::mt19937 dice(9);
    for (int i = 0; i < 400; ++i) {
      Bytes damaged = bytes;
      for (int n = 0; n < 3; ++n) {
        damaged[dice() % std::min<std::size_t>(damaged.size(), 120)] =
            static_cast<std::uint8_t>(dice());
      }
      check(damaged);
    }
  }
}

TEST_CASE("image files that are too long are refused before they are read") {
  const TemporaryFolder folder;
  for (const char* extension : {".png", ".tif", ".bmp", ".ppm", ".pgm", ".jpg"}) {
    for (const std::uint64_t size :
         {(std::uint64_t{1} << 32) + 1, std::uint64_t{1} << 32, (std::uint64_t{1} << 32) - 1,
          std::uint64_t{1} << 31, (std::uint64_t{1} << 31) - 65}) {
      const fs::path file = folder.path() / ("image" + std::string(extension));
      write_bytes(file, {});
      fs::resize_file(file, size);  // a hole
      CAPTURE(extension, size);
      const std::string outcome = in_child([&] {
        const std::string ends_with = outcome_of([&] { avstore::read_image(file); });
        rusage used{};
        getrusage(RUSAGE_SELF, &used);
        constexpr long kMuch = 1 << 20;  // KiB
        return used.ru_maxrss < kMuch ? ends_with : "much memory: " + ends_with;
      });
      CHECK_THAT(outcome, Catch::Matchers::StartsWith("corrupt: " + file.string()) &&
                              ContainsSubstring(std::to_string(size)));
    }
  }
}

TEST_CASE("files that claim more pixels than they can have") {
  const TemporaryFolder folder;
  const std::map<std::string, std::string> files{
      {"a.ppm", "P6\n30000 30000\n255\nxyz"},
      {"b.ppm", "P6\n2000000000 2000000000\n255\nxyz"},
      {"c.pgm", "P5\n-5 7\n255\nxyz"},
      {"d.pgm", "P5\n0 0\n255\n"},
      {"e.pgm", "P5\n99999999999999999999 1\n255\n"},
  };
  for (const auto& [name, text] : files) {
    write_bytes(folder.path() / name, Bytes(text.begin(), text.end()));
    CAPTURE(name);
    CHECK(kind_of_error([&, name = name] { avstore::read_image(folder.path() / name); }) ==
          ErrorKind::corrupt);
  }
}
