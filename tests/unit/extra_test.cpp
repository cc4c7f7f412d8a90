// Extra data as columns: their types, what is missing, and files that are damaged.
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#ifdef AVSTORE_TEST_HDF5
#include <hdf5.h>
#endif

#include "avstore/error.h"
#include "avstore/extra.h"
#include "avstore/writer.h"
#include "imgstore/extra_table.h"
#include "imgstore/motif_hdf5.h"
#include "support/catch.h"
#include "support/media_folder.h"

namespace {

namespace fs = std::filesystem;

using avstore::Error;
using avstore::ErrorKind;
using avstore::ExtraColumn;
using avstore::ExtraData;
using avstore::ExtraJson;
using avstore::ExtraOptions;
using avstore::FrameNumber;
using avstore::FrameTime;
using avstore::Writer;
using avstore::WriterOptions;
using avstore::imgstore::parse_extra_json;
using avstore::test::TemporaryFolder;
using Catch::Matchers::ContainsSubstring;

using Integers = std::vector<std::int64_t>;
using Reals = std::vector<double>;
using Texts = std::vector<std::string>;
using Jsons = std::vector<ExtraJson>;

template <class Values>
Values column(const ExtraData& data, const std::string& name) {
  const ExtraColumn* found = data.find(name);
  REQUIRE(found != nullptr);
  REQUIRE(std::holds_alternative<Values>(found->values));
  return std::get<Values>(found->values);
}

std::string read(const fs::path& file) {
  std::ifstream input(file, std::ios::binary);
  std::ostringstream bytes;
  bytes << input.rdbuf();
  return bytes.str();
}

void write(const fs::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary) << bytes;
}

// Two frames a chunk, with a record each.
fs::path make_store(const fs::path& folder) {
  const fs::path path = folder / "extra.store";
  const std::vector<std::uint8_t> pixels(64);
  WriterOptions options;
  options.format = "npy";
  options.chunk_size = 2;
  options.overwrite = true;
  Writer writer(path, options);
  for (int i = 0; i < 6; ++i) {
    writer.add(avstore::packed_view(avstore::pixel::gray8, 8, 8, pixels.data()),
               FrameNumber(10 + i), FrameTime(i / 2.0));
    writer.add_extra("{\"value\": " + std::to_string(i) + "}");
  }
  writer.close();
  return path;
}

Integers numbers_of(const ExtraData& data) {
  Integers numbers;
  for (const FrameNumber number : data.frame_number) {
    numbers.push_back(number.value);
  }
  return numbers;
}

fs::path golden(const std::string& name) {
  return fs::path(AVSTORE_DATA) / "golden" / name;
}

}  // namespace

TEST_CASE("A column has the narrowest type that holds all its records", "[extra]") {
  const ExtraData data = parse_extra_json(R"([
    {"frame_number": 3, "frame_time": 1.5, "frame_index": 0, "i": 1, "r": 2, "t": "a\u00e9\"", "j": [1, 2]},
    {"frame_number": 4, "frame_time": null, "i": -9223372036854775808, "r": NaN, "t": "", "j": "x", "late": 7}])");
  CHECK(data.size() == 2);
  CHECK(data.frame_number[1].value == 4);
  CHECK(data.frame_index[0].value == 0);
  CHECK(data.frame_index[1].value == -1);
  CHECK(data.frame_time[0].seconds == 1.5);
  CHECK(std::isnan(data.frame_time[1].seconds));
  CHECK(column<Integers>(data, "i") == Integers{1, INT64_MIN});
  CHECK(column<Reals>(data, "r")[0] == 2);
  CHECK(std::isnan(column<Reals>(data, "r")[1]));
  CHECK(column<Texts>(data, "t") == Texts{"a\xc3\xa9\"", ""});
  CHECK(column<Jsons>(data, "j") == Jsons{{"[1, 2]"}, {"\"x\""}});
  CHECK(std::isnan(column<Reals>(data, "late")[0]));
  CHECK(column<Reals>(data, "late")[1] == 7);
  CHECK(data.columns.front().name == "i");
  CHECK(data.find("frame_number") == nullptr);
}

TEST_CASE("Records without a whole frame number are refused by name", "[extra][hostile]") {
  for (const std::string text :
       {R"([{"frame_number": 1.5}])", R"([{"frame_number": "1"}])",
        R"([{"frame_number": null, "frame_index": 0}])", R"([{"frame_number": 1}, {"x": 2}])",
        R"([{"frame_number": 1, "frame_time": "x"}])"}) {
    CHECK_THROWS_WITH(parse_extra_json(text), ContainsSubstring("frame_"));
  }
  for (const std::string text : {"", "{}", "[1]", "[{]", "[{\"frame_number\": 1}] x"}) {
    CHECK_THROWS(parse_extra_json(text));
  }
  CHECK(parse_extra_json("[]").size() == 0);
}

TEST_CASE("Records that have nothing in common make no table of the square of their number",
          "[extra][hostile]") {
  std::string strangers;
  std::string wide = "{\"frame_number\": 0";
  std::string empty;
  for (int i = 0; i < 20000; ++i) {
    const std::string name = std::to_string(i);
    strangers += (i > 0 ? "," : "") + (R"({"frame_number": 0, "x)" + name + R"(": 0})");
    wide += ",\"x" + name + "\": 0";
    empty += R"(, {"frame_number": 0})";
  }
  wide += '}';
  for (const std::string& text : {"[" + strangers + "]", "[" + wide + empty + "]",
                                  "[{\"frame_number\": 0}" + empty + ", " + wide + "]"}) {
    CHECK_THROWS_WITH(parse_extra_json(text),
                      ContainsSubstring("record") && ContainsSubstring("table"));
  }
  // A few columns that few records have are nothing unusual.
  const ExtraData data = parse_extra_json(R"([{"frame_number": 0, "a": 1, "b": 2})" + empty + "]");
  CHECK(data.size() == 20001);
  CHECK(std::isnan(column<Reals>(data, "b")[20000]));
}

TEST_CASE("Chunks that lack columns or type them otherwise join", "[extra]") {
  ExtraData all;
  const auto append = [&all](const std::string& members) {
    avstore::imgstore::append_extra(all,
                                    parse_extra_json("[{\"frame_number\": 1" + members + "}]"));
  };
  append(R"(, "a": 1, "b": "x", "c": 1)");
  append(R"(, "a": 2.5, "b": 3, "d": "new")");
  append("");
  CHECK(all.size() == 3);
  const Reals a = column<Reals>(all, "a");
  CHECK(a[0] == 1);
  CHECK(a[1] == 2.5);
  CHECK(std::isnan(a[2]));
  CHECK(column<Jsons>(all, "b") == Jsons{{"\"x\""}, {"3"}, {""}});
  CHECK(column<Reals>(all, "c")[0] == 1);
  CHECK(column<Jsons>(all, "d") == Jsons{{""}, {"\"new\""}, {""}});
}

// Python's integers have all their digits. Doubles have 53 bits of them.
TEST_CASE("Integers keep their digits whatever other records say", "[extra]") {
  const std::string nanoseconds = "1700000000123456789";
  const std::string most = "18446744073709551615";
  const ExtraData lacking = parse_extra_json(
      R"([{"frame_number": 1, "t_ns": 1700000000123456789, "id": 18446744073709551615, "n": 7},)"
      R"( {"frame_number": 2, "t_ns": null, "id": 0.5, "n": null}, {"frame_number": 3}])");
  CHECK(column<Jsons>(lacking, "t_ns") == Jsons{{nanoseconds}, {"null"}, {""}});
  CHECK(column<Jsons>(lacking, "id") == Jsons{{most}, {"0.5"}, {""}});
  CHECK(column<Reals>(lacking, "n")[0] == 7);  // no digit is lost

  const auto chunk = [](const std::string& members) {
    return parse_extra_json("[{\"frame_number\": 1" + members + "}]");
  };
  const std::string stated = ", \"t_ns\": " + nanoseconds;
  // Another chunk lacks it, or has it as a float, before or after.
  for (const bool first : {true, false}) {
    for (const auto& [other, cell] :
         {std::pair<std::string, std::string>("", ""),
          std::pair<std::string, std::string>(", \"t_ns\": 2.5", "2.5")}) {
      CAPTURE(first, other);
      ExtraData all = chunk(first ? stated : other);
      avstore::imgstore::append_extra(all, chunk(first ? other : stated));
      CHECK(column<Jsons>(all, "t_ns") ==
            (first ? Jsons{{nanoseconds}, {cell}} : Jsons{{cell}, {nanoseconds}}));
    }
  }
  ExtraData all = chunk(stated);
  avstore::imgstore::append_extra(all, chunk(stated));
  CHECK(column<Integers>(all, "t_ns") == Integers{1700000000123456789, 1700000000123456789});
}

TEST_CASE("A damaged chunk of extra data is an error, or left out on request", "[extra][hostile]") {
  const TemporaryFolder folder;
  const fs::path store = make_store(folder.path());
  CHECK(column<Integers>(avstore::read_extra(store), "value") == Integers{0, 1, 2, 3, 4, 5});
  write(store / "000001" / "index.extra.json", "[{\"frame_number\": 1");
  CHECK_THROWS_WITH(avstore::read_extra(store), ContainsSubstring("000001"));
  std::vector<std::string> warnings;
  ExtraOptions options;
  options.ignore_corrupt = true;
  options.on_warning = [&warnings](const std::string& text) { warnings.push_back(text); };
  CHECK(column<Integers>(avstore::read_extra(store, options), "value") == Integers{0, 1, 4, 5});
  REQUIRE(warnings.size() == 1);
  CHECK_THAT(warnings[0], ContainsSubstring("000001") && ContainsSubstring("left out"));
}

TEST_CASE("Motif's extra data win over the writer's, in stores of either class", "[extra]") {
  const TemporaryFolder folder;
  const fs::path store = make_store(folder.path());
  write(store / "000001.extra_data.json",
        R"([{"frame_number": 5, "frame_index": 1, "sensor_time": 0.2, "v": 3},
            {"frame_number": -1, "frame_index": -1, "sensor_time": 0, "v": 0},
            {"frame_number": 5, "frame_index": 1, "sensor_time": 0.1, "v": 2},
            {"frame_number": 4, "frame_index": 0, "sensor_time": 0.3, "v": 1}])");
  // In that chunk; the others have what the writer made.
  const ExtraData all = avstore::read_extra(store);
  CHECK(numbers_of(all) == Integers{10, 11, 4, 5, 5, 14, 15});
  const Reals v = column<Reals>(all, "v");
  CHECK(Reals(v.begin() + 2, v.begin() + 5) == Reals{1, 2, 3});
  const Reals value = column<Reals>(all, "value");
  CHECK(value[0] == 0);
  CHECK(std::isnan(value[2]));
  CHECK(value[6] == 5);
}

TEST_CASE("What Motif's HDF5 holds reads however the file is damaged, or is refused by name",
          "[extra][hostile]") {
  if (!avstore::imgstore::has_hdf5()) {
    SKIP("built without HDF5");
  }
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "000000.extra_data.h5";
  const std::string whole = read(golden("motif_extra_h5") / "000000.extra_data.h5");
  REQUIRE(whole.size() > 1000);
  const auto attempt = [&file](const std::string& bytes) {
    write(file, bytes);
    try {
      const std::size_t samples = avstore::imgstore::read_motif_hdf5(file).size();
      CHECK(samples < 1000);
    } catch (const Error& error) {
      CHECK_THAT(error.what(), ContainsSubstring("000000.extra_data.h5"));
    }
  };
  for (std::size_t size = 0; size < whole.size(); size += 97) {
    attempt(whole.substr(0, size));
  }
  // The headers come first; behind them are the samples' values.
  for (std::size_t at = 0; at < 2048; ++at) {
    std::string bad = whole;
    bad[at] = static_cast<char>(bad[at] ^ 0xFF);
    attempt(bad);
  }
}

#ifdef AVSTORE_TEST_HDF5

namespace {

void put_text(hid_t object, const char* name, const std::string& text) {
  const hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, text.size());
  const hid_t space = H5Screate(H5S_SCALAR);
  const hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
  REQUIRE(H5Awrite(attribute, type, text.data()) >= 0);
  H5Aclose(attribute);
  H5Sclose(space);
  H5Tclose(type);
}

struct Sample {
  std::int64_t frame_number;
  double frame_time;
};

hid_t make_camera(hid_t file, hsize_t count) {
  const hid_t type = H5Tcreate(H5T_COMPOUND, sizeof(Sample));
  H5Tinsert(type, "frame_number", HOFFSET(Sample, frame_number), H5T_NATIVE_INT64);
  H5Tinsert(type, "frame_time", HOFFSET(Sample, frame_time), H5T_NATIVE_DOUBLE);
  const hid_t space = H5Screate_simple(1, &count, nullptr);
  const hid_t camera =
      H5Dcreate2(file, "camera", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  H5Sclose(space);
  H5Tclose(type);
  return camera;
}

// A file whose samples are in the dataset that `make` puts there under the name "daq".
template <class Make>
fs::path hdf5_file(const TemporaryFolder& folder, hsize_t samples, const Make& make) {
  const fs::path path = folder.path() / "samples.h5";
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const hid_t camera = make_camera(file, samples);
  if (samples < 1000) {
    const std::vector<Sample> values(samples, Sample{5, 2.5});
    const hid_t type = H5Dget_type(camera);
    const hid_t memory = H5Tget_native_type(type, H5T_DIR_DEFAULT);
    H5Dwrite(camera, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
    H5Tclose(memory);
    H5Tclose(type);
  }
  H5Dclose(camera);
  put_text(file, "datasets", "daq");
  make(file);
  H5Fclose(file);
  return path;
}

hid_t make_daq(hid_t file, std::vector<hsize_t> extents, hid_t creation = H5P_DEFAULT) {
  const hid_t space = H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr);
  const hid_t daq =
      H5Dcreate2(file, "daq", H5T_STD_I16LE, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  H5Sclose(space);
  return daq;
}

}  // namespace

TEST_CASE("Samples of integers stay integers", "[extra]") {
  const TemporaryFolder folder;
  const fs::path file = hdf5_file(folder, 3, [](hid_t to) {
    const hid_t daq = make_daq(to, {2, 3});
    const std::vector<std::int16_t> values{1, 2, 3, -4, -5, -6};
    H5Dwrite(daq, H5T_NATIVE_INT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
    put_text(daq, "column_names", "a,b ");
    H5Dclose(daq);
  });
  const ExtraData data = avstore::imgstore::read_motif_hdf5(file);
  CHECK(column<Integers>(data, "a") == Integers{1, 2, 3});
  CHECK(column<Integers>(data, "b") == Integers{-4, -5, -6});
  CHECK(data.frame_index[0].value == -1);
  CHECK(data.sample_rates.empty());
}

TEST_CASE("HDF5 cannot lead out of the store, nor claim what is not there", "[extra][hostile]") {
  const TemporaryFolder folder;
  const auto refused = [&](hsize_t samples, const auto& make, const std::string& why) {
    const fs::path file = hdf5_file(folder, samples, make);
    CHECK_THROWS_WITH(avstore::imgstore::read_motif_hdf5(file),
                      ContainsSubstring("samples.h5") && ContainsSubstring(why));
  };
  refused(
      3, [](hid_t to) { H5Lcreate_soft("/camera", to, "daq", H5P_DEFAULT, H5P_DEFAULT); },
      "no dataset daq");
  refused(
      3,
      [](hid_t to) {
        H5Lcreate_external("/etc/passwd", "/x", to, "daq", H5P_DEFAULT, H5P_DEFAULT);
      },
      "no dataset daq");
  refused(
      3,
      [](hid_t to) {
        const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
        H5Pset_external(creation, "/etc/passwd", 0, 6);
        H5Dclose(make_daq(to, {1, 3}, creation));
        H5Pclose(creation);
      },
      "another file");
  refused(
      3,
      [](hid_t to) {
        H5Dclose(make_daq(to, {hsize_t{1} << 40U, 3}));
      },
      "claims more");
  refused(
      hsize_t{1} << 40U, [](hid_t) {}, "claims more");
  refused(
      3, [](hid_t) {}, "no dataset daq");
  refused(
      3,
      [](hid_t to) {
        const hid_t daq = make_daq(to, {1, 3});
        const std::vector<std::int16_t> values{1, 2, 3};
        H5Dwrite(daq, H5T_NATIVE_INT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
        put_text(daq, "column_names", "a");
        H5Dclose(daq);
        H5Adelete(to, "datasets");
        put_text(to, "datasets", "daq,daq,daq,daq");
      },
      "twice");
}

#endif
