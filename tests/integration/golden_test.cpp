// Stores that the reference implementation and Motif wrote, read through the same Reader as ours,
// against what the reference reads from each: NAME is the store, NAME.expected.json and
// NAME.expected.npz the expectations. Six stores are kept in data/golden; the environment variable
// AVSTORE_GOLDEN may name a folder with more.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "avstore/error.h"
#include "avstore/extra.h"
#include "avstore/metadata.h"
#include "avstore/reader.h"
#include "imgstore/bloscpack.h"
#include "imgstore/motif_hdf5.h"
#include "imgstore/npy.h"
#include "imgstore/zip.h"
#include "support/catch.h"
#include "support/media_folder.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;
namespace pixel = avstore::pixel;

using avstore::ExtraColumn;
using avstore::ExtraData;
using avstore::ExtraJson;
using avstore::Frame;
using avstore::FrameIndex;
using avstore::FrameInfo;
using avstore::FrameNumber;
using avstore::FrameTime;
using avstore::Image;
using avstore::IndexRange;
using avstore::PixelFormat;
using avstore::Reader;
using avstore::ReaderOptions;
using avstore::StoreInfo;
using nlohmann::json;

// ---- what is expected ----------------------------------------------------------------------

// Frames as the reference hands them out: NumPy type, shape, and the elements in C order.
struct ExpectedFrames {
  std::string dtype;                // "|u1", "<u2", ...
  std::vector<std::int64_t> shape;  // [frames, rows, columns] or [frames, rows, columns, 3]
  std::vector<std::uint8_t> bytes;

  std::size_t count() const { return static_cast<std::size_t>(shape.at(0)); }
  std::size_t frame_bytes() const { return bytes.size() / count(); }
  bool color() const { return shape.size() == 4; }
  const std::uint8_t* frame(std::size_t i) const { return bytes.data() + i * frame_bytes(); }
};

struct Golden {
  std::string name;
  fs::path path;
  json expected;
  std::optional<ExpectedFrames> frames;  // none of a store without frames, and of Motif's
};

json read_json(const fs::path& file) {
  std::ifstream input(file);
  return json::parse(input);
}

std::optional<ExpectedFrames> read_expected_frames(const fs::path& file) {
  if (!fs::exists(file)) {
    return std::nullopt;
  }
  constexpr std::uint64_t kLimit = std::uint64_t{1} << 28;
  const avstore::imgstore::ZipReader archive(file);
  const auto member = archive.read(archive.find("frames.npy"), kLimit);
  avstore::imgstore::NpyHeader header;
  ExpectedFrames frames;
  frames.bytes = avstore::imgstore::npy_to_c_order(member, header, file.string());
  frames.dtype = header.dtype;
  frames.shape = header.shape;
  return frames.count() == 0 ? std::nullopt : std::optional(frames);
}

std::vector<fs::path> golden_folders() {
  std::vector<fs::path> folders{fs::path(AVSTORE_DATA) / "golden"};
  if (const char* more = std::getenv("AVSTORE_GOLDEN"); more != nullptr && *more != '\0') {
    folders = {more};
  }
  return folders;
}

std::vector<fs::path> store_folders() {
  std::vector<fs::path> stores;
  for (const fs::path& folder : golden_folders()) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.is_directory()) {
        stores.push_back(entry.path());
      }
    }
  }
  std::sort(stores.begin(), stores.end());
  return stores;
}

Golden load(const fs::path& store) {
  const std::string name = store.filename().string();
  const fs::path beside = store.parent_path() / (name + ".expected");
  return {name, store, read_json(beside.string() + ".json"),
          read_expected_frames(beside.string() + ".npz")};
}

// ---- comparing -----------------------------------------------------------------------------

// The reference hands out B, G, R or gray, and arrays of other types as they are.
ReaderOptions as_reference(const Golden& golden, std::vector<std::string>& warnings) {
  ReaderOptions options;
  options.save_index = false;
  options.on_warning = [&warnings](const std::string& text) { warnings.push_back(text); };
  if (golden.frames && golden.frames->dtype == "|u1") {
    options.pixel_format = golden.frames->color() ? pixel::bgr24 : pixel::gray8;
  }
  return options;
}

double mean_difference(const std::uint8_t* a, const std::uint8_t* b, std::size_t size) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < size; ++i) {
    sum += static_cast<std::uint64_t>(std::abs(int{a[i]} - int{b[i]}));
  }
  return static_cast<double>(sum) / static_cast<double>(size);
}

// Whether the pixels are those expected: the same where nothing was lost, else close to them.
void check_pixels(const Golden& golden, const Image& image, std::size_t i) {
  const ExpectedFrames& expected = *golden.frames;
  const auto pixels = avstore::pack(image.view());
  REQUIRE(image.height() == expected.shape[1]);
  REQUIRE(image.width() == expected.shape[2]);
  REQUIRE(pixels.size() == expected.frame_bytes());
  if (golden.expected.at("lossless").get<bool>()) {
    CHECK(std::memcmp(pixels.data(), expected.frame(i), pixels.size()) == 0);
  } else {
    CHECK(mean_difference(pixels.data(), expected.frame(i), pixels.size()) <=
          golden.expected.at("tolerance_mean_abs").get<double>());
  }
}

std::string text_or_empty(const json& object, const char* key) {
  return object.contains(key) && object[key].is_string() ? object[key].get<std::string>() : "";
}

// The expectations have a time zone at the end, always UTC.
std::string without_zone(const std::string& created) {
  return created.substr(0, created.find('+'));
}

void check_info(const Golden& golden, const StoreInfo& info) {
  const json& expected = golden.expected;
  const std::string store_class = expected.at("class_");
  CHECK(info.store_class == (store_class == "VideoImgStoreFFMPEG" ? "VideoImgStore" : store_class));
  CHECK(info.format == expected.at("format").get<std::string>());
  CHECK(info.encoding == text_or_empty(expected, "encoding"));
  CHECK(info.uuid == text_or_empty(expected, "uuid"));
  if (expected.at("dtype").is_string()) {
    CHECK(info.dtype == expected.at("dtype").get<std::string>());
  }
  if (expected.contains("created_utc") && golden.name != "motif_store_mp4") {
    CHECK(info.created_utc == without_zone(expected.at("created_utc")));
  }
  CHECK(info.timezone_local == text_or_empty(expected, "timezone"));
  const json metadata = json::parse(avstore::metadata_to_json(info.metadata_yaml));
  const json users = expected.value("user_metadata", json());
  CHECK((metadata.is_null() ? json::object() : metadata) ==
        (users.is_null() ? json::object() : users));
}

// The reference states the shape of what is stored, with three channels where it decodes that to
// colour: planes of halved chroma are counted as rows.
void check_shape(const Golden& golden, const StoreInfo& info) {
  const auto shape = golden.expected.at("image_shape").get<std::vector<std::int64_t>>();
  const bool halved_chroma = info.encoding == "cv_yuv_i420";
  CHECK(info.height == (halved_chroma ? shape.at(0) * 2 / 3 : shape.at(0)));
  CHECK(info.width == shape.at(1));
  CHECK(info.color == (shape.size() == 3));
}

// The reference stops at the gap that a chunk without index leaves; we go on past it.
bool has_gap(const Golden& golden) {
  return golden.name == "missing_index_avc1";
}

void check_names(const Golden& golden, const Reader& reader) {
  const json& expected = golden.expected;
  const auto infos = reader.infos({0, reader.frame_count()});
  REQUIRE(static_cast<std::int64_t>(infos.size()) == expected.at("frame_count"));
  const auto numbers = expected.at("frame_number").get<std::vector<std::int64_t>>();
  const auto times = expected.at("frame_time").get<std::vector<double>>();
  REQUIRE(numbers.size() == times.size());
  REQUIRE((has_gap(golden) || numbers.size() == infos.size()));
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    CAPTURE(i);
    CHECK(infos[i].index.value == static_cast<std::int64_t>(i));
    CHECK(infos[i].number.value == numbers[i]);
    CHECK(infos[i].time.seconds == times[i]);
  }
  std::set<std::int64_t> chunks;
  for (const FrameInfo& info : infos) {
    chunks.insert(info.chunk);
  }
  CHECK(json(chunks) == expected.at("chunks"));
  if (!infos.empty()) {
    CHECK(reader.info().number_min.value == expected.at("frame_min"));
    CHECK(reader.info().number_max.value == expected.at("frame_max"));
  }
}

// Numbers and times lead to the frames that have them: the first of several with one number, the
// nearest time.
void check_finding(const Reader& reader) {
  std::map<std::int64_t, std::int64_t> first_with;
  const auto infos = reader.infos({0, reader.frame_count()});
  for (const FrameInfo& info : infos) {
    first_with.emplace(info.number.value, info.index.value);
  }
  for (const FrameInfo& info : infos) {
    CHECK(reader.find(info.number).index.value == first_with[info.number.value]);
    CHECK(reader.find(info.time).time == info.time);
  }
}

void check_frames(const Golden& golden, Reader& reader) {
  const std::size_t count = golden.frames->count();
  for (std::size_t i = 0; i < count; ++i) {
    CAPTURE(i);
    const auto frame = reader.next();
    REQUIRE(frame.has_value());
    CHECK(frame->info.index.value == static_cast<std::int64_t>(i));
    check_pixels(golden, frame->image, i);
  }
  CHECK((has_gap(golden) || !reader.next().has_value()));
  for (std::size_t i = count; i-- > 0;) {
    CAPTURE(i);
    check_pixels(golden, reader.read(FrameIndex(static_cast<std::int64_t>(i))).image, i);
  }
}

// Sixteen vertical bars, white for a one, the most significant bit on the left.
std::int64_t code_in(const Image& gray) {
  std::int64_t code = 0;
  const int bar = gray.width() / 16;
  for (int bit = 0; bit < 16; ++bit) {
    const std::uint8_t* row = gray.data() + gray.height() / 2 * gray.stride();
    code = code * 2 + (row[bit * bar + bar / 2] > 127 ? 1 : 0);
  }
  return code;
}

void check_codes(Reader& reader) {
  for (std::int64_t i = 0; i < reader.frame_count(); ++i) {
    const Image gray = avstore::convert(reader.read(FrameIndex(i)).image.view(), pixel::gray8);
    CHECK(code_in(gray) == i);
  }
}

// What has to be warned of, and nothing else.
void check_warnings(const Golden& golden, const std::vector<std::string>& warnings) {
  CAPTURE(warnings);
  if (has_gap(golden)) {
    REQUIRE(warnings.size() == 1);
    CHECK_THAT(warnings[0], Catch::Matchers::ContainsSubstring("000001.mp4"));
  } else {
    CHECK(warnings.empty());
  }
}

// ---- extra data ----------------------------------------------------------------------------

// What a record has in a column, as the expectations say it: null stands for NaN, nothing for a key
// that it lacks.
json cell(const ExtraColumn& column, std::size_t row) {
  return std::visit(
      [row](const auto& values) -> json {
        const auto& value = values[row];
        using Value = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<Value, ExtraJson>) {
          return value.text.empty() ? json() : json::parse(value.text);
        } else if constexpr (std::is_same_v<Value, double>) {
          return std::isnan(value) ? json() : json(value);
        } else {
          return value;
        }
      },
      column.values);
}

json record(const ExtraData& data, std::size_t row) {
  json made{{"frame_index", data.frame_index[row].value},
            {"frame_number", data.frame_number[row].value},
            {"frame_time", data.frame_time[row].seconds}};
  for (const ExtraColumn& column : data.columns) {
    made[column.name] = cell(column, row);
  }
  return made;
}

// The expectations have 15 digits behind the point.
bool same(const json& a, const json& b) {
  if (a.is_number_float() || b.is_number_float()) {
    return a.is_number() && b.is_number() &&
           std::abs(a.get<double>() - b.get<double>()) <= 1e-15 * std::max(1.0, a.get<double>());
  }
  if (!a.is_object() || !b.is_object() || a.size() != b.size()) {
    return a == b;
  }
  return std::all_of(a.items().begin(), a.items().end(), [&b](const auto& item) {
    return b.contains(item.key()) && same(item.value(), b[item.key()]);
  });
}

void check_extra(const Golden& golden) {
  if (golden.name == "motif_extra_h5" && !avstore::imgstore::has_hdf5()) {
    std::cout << "  " << golden.name << ": extra data not checked, built without HDF5" << std::endl;
    return;
  }
  const json expected = golden.expected.value("extra_data", json());
  const ExtraData data = avstore::read_extra(golden.path);
  REQUIRE(data.size() == expected.size());
  for (std::size_t row = 0; row < data.size(); ++row) {
    const json read = record(data, row);
    CAPTURE(row, read, expected[row]);
    CHECK(same(read, expected[row]));
  }
  if (golden.name == "motif_extra_h5") {
    CHECK(data.sample_rates == std::map<std::string, double>{{"daq", 800}});
  }
}

void check_store(const Golden& golden) {
  std::vector<std::string> warnings;
  Reader reader(golden.path, as_reference(golden, warnings));
  check_info(golden, reader.info());
  check_shape(golden, reader.info());
  check_names(golden, reader);
  check_finding(reader);
  if (golden.frames) {
    check_frames(golden, reader);
  } else if (golden.name == "motif_store_mp4") {
    check_codes(reader);
  } else {
    CHECK(reader.frame_count() == 0);
  }
  check_warnings(golden, warnings);
  check_extra(golden);
}

}  // namespace

TEST_CASE("stores that the reference wrote read as it reads them") {
  for (const fs::path& path : store_folders()) {
    const std::string name = path.filename().string();
    DYNAMIC_SECTION(name) {
      const Golden golden = load(path);
      if (golden.expected.at("format") == "bpk" && !avstore::imgstore::has_bloscpack()) {
        std::cout << "  " << name << ": not checked, built without Blosc" << std::endl;
        continue;
      }
      check_store(golden);
      std::cout << "  " << name << ": checked" << std::endl;
    }
  }
}

// ---- what is missing or damaged ------------------------------------------------------------

namespace {

fs::path copy_of(const char* name, const avstore::test::TemporaryFolder& folder) {
  const fs::path copy = folder.path() / name;
  fs::copy(fs::path(AVSTORE_DATA) / "golden" / name, copy, fs::copy_options::recursive);
  return copy;
}

std::vector<std::int64_t> numbers_of(const Reader& reader) {
  std::vector<std::int64_t> numbers;
  for (const FrameInfo& info : reader.infos({0, reader.frame_count()})) {
    numbers.push_back(info.number.value);
  }
  return numbers;
}

}  // namespace

TEST_CASE("a chunk whose index is missing, empty or damaged is named, and the others are read") {
  const auto damage = GENERATE(as<std::string>{}, "", "not a zip", "PK\x03\x04 cut off", "missing");
  CAPTURE(damage);
  const avstore::test::TemporaryFolder folder;
  const fs::path store = copy_of("wrap_npy", folder);
  fs::remove(store / ".index.sqlite");
  const fs::path index = store / "000002" / "index.npz";
  fs::remove(index);
  if (damage != "missing") {
    std::ofstream(index) << damage;
  }
  std::vector<std::string> warnings;
  ReaderOptions options;
  options.on_warning = [&warnings](const std::string& text) { warnings.push_back(text); };
  Reader reader(store, options);
  REQUIRE(warnings.size() == 1);
  CHECK_THAT(warnings[0], Catch::Matchers::ContainsSubstring("000002"));
  CHECK(reader.frame_count() == 19);
  std::int64_t read = 0;
  while (const auto frame = reader.next()) {
    CHECK(frame->info.index.value == read++);
    CHECK(frame->info.chunk != 2);
  }
  CHECK(read == 19);
}

TEST_CASE("a store that is opened is left as it was unless its index may be saved") {
  const avstore::test::TemporaryFolder folder;
  const fs::path store = copy_of("wrap_npy", folder);
  const auto reference_index = fs::file_size(store / ".index.sqlite");
  ReaderOptions options;
  options.save_index = false;
  const auto numbers = numbers_of(Reader(store, options));
  CHECK(numbers.size() == 23);
  CHECK(fs::file_size(store / ".index.sqlite") == reference_index);
  fs::remove(store / ".index.sqlite");
  CHECK(numbers_of(Reader(store, options)) == numbers);
  CHECK_FALSE(fs::exists(store / ".index.sqlite"));
  CHECK(numbers_of(Reader(store)) == numbers);
  CHECK(fs::exists(store / ".index.sqlite"));
  // Now the database alone knows.
  for (const char* chunk : {"000000", "000001", "000002", "000003", "000004", "000005"}) {
    fs::remove(store / chunk / "index.npz");
  }
  CHECK(numbers_of(Reader(store)) == numbers);
}

TEST_CASE("an index that is saved finds numbers out of order without reading all rows") {
  const avstore::test::TemporaryFolder folder;
  const fs::path store = copy_of("wrap_npy", folder);
  CHECK(Reader(store).find(FrameNumber(0)).index.value > 0);
  std::ifstream file(store / ".index.sqlite", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  CHECK(bytes.find("frames_by_number") != std::string::npos);
}

// No store at hand has such images, but the reference writes whatever OpenCV can, and OpenCV writes
// 16 bits as PNG and TIFF of 16 bits. Here NumPy draws them and ffmpeg writes the files.
TEST_CASE("images of 16 bits in old stores come back whole") {
  constexpr int kWidth = 20;
  constexpr int kHeight = 12;
  for (const std::string extension : {"png", "tif"}) {
    for (const std::string pixels : {"gray16", "bgr48"}) {
      DYNAMIC_SECTION(pixels << " as " << extension) {
        const avstore::test::TemporaryFolder folder;
        const fs::path store = folder.path() / "store";
        const bool color = pixels == "bgr48";
        fs::create_directories(store / "000000");
        avstore::test::write_text(
            store / "metadata.yaml",
            "__store:\n  chunksize: 2\n  class: DirectoryImgStore\n"
            "  created_utc: '2024-03-01T12:00:00'\n  encoding: null\n  format: " +
                extension + "\n  imgdtype: uint16\n  imgshape: [12, 20" + (color ? ", 3" : "") +
                "]\n  timezone_local: Europe/Vienna\n  uuid: '1'\n  version: 2\n");
        avstore::test::python(
            "import numpy, sys\n"
            "numpy.random.seed(4)\n"
            "n = 2 * 12 * 20 * " +
                std::string(color ? "3" : "1") +
                "\n"
                "numpy.random.randint(0, 65536, n).astype('<u2').tofile(sys.argv[1] + '/raw')\n"
                "numpy.savez(sys.argv[1] + '/store/000000/index.npz', frame_number=[7, 9], "
                "frame_time=[1.5, 2.5])\n",
            folder.path());
        avstore::test::run("ffmpeg -v error -f rawvideo -pix_fmt " + pixels + "le -s 20x12 -i " +
                           avstore::test::quoted(folder.path() / "raw") +
                           " -start_number 0 -pix_fmt " +
                           (color ? (extension == "png" ? "rgb48be" : "rgb48le")
                                  : (extension == "png" ? "gray16be" : "gray16le")) +
                           " " + avstore::test::quoted(store / "000000" / ("%06d." + extension)));
        const std::string raw = avstore::test::read_text(folder.path() / "raw");
        ReaderOptions options;
        options.pixel_format = color ? PixelFormat::from_name("bgr48le") : pixel::gray16;
        Reader reader(store, options);
        CHECK(reader.info().dtype == "uint16");
        CHECK(reader.info().color == color);
        REQUIRE(reader.frame_count() == 2);
        const std::size_t row_bytes = std::size_t{2} * kWidth * (color ? 3 : 1);
        for (std::int64_t i = 0; i < 2; ++i) {
          const Image image = reader.read(FrameNumber(7 + 2 * i)).image;
          REQUIRE(image.width() == kWidth);
          REQUIRE(image.height() == kHeight);
          for (std::size_t y = 0; y < kHeight; ++y) {
            const std::size_t place = (static_cast<std::size_t>(i) * kHeight + y) * row_bytes;
            CHECK(std::memcmp(image.data() + static_cast<std::ptrdiff_t>(y) * image.stride(),
                              raw.data() + place, row_bytes) == 0);
          }
        }
      }
    }
  }
}
