// The files of the imgstore format: what they hold byte by byte, that the programs of others read
// them, and that damaged or hostile ones end in an error that names the file.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "avstore/error.h"
#include "base/files.h"
#include "imgstore/chunk_index.h"
#include "imgstore/clock.h"
#include "imgstore/extra_data.h"
#include "imgstore/json_text.h"
#include "imgstore/metadata.h"
#include "imgstore/npy.h"
#include "imgstore/yaml_scalar.h"
#include "imgstore/zip.h"
#include "support/catch.h"
#include "support/media_folder.h"

using namespace avstore;            // NOLINT
using namespace avstore::imgstore;  // NOLINT

namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<std::uint8_t>;
using test::TemporaryFolder;

// ---- helpers -------------------------------------------------------------------------------

Bytes bytes_of(std::string_view text) {
  return {text.begin(), text.end()};
}

void write_text(const fs::path& file, std::string_view text) {
  base::write_file_atomically(file, text);
}

// The error that a call ends in; fails the test if it ends well or in anything else.
struct Caught {
  ErrorKind kind;
  std::string message;
  bool says(std::string_view text) const { return message.find(text) != std::string::npos; }
};

Caught error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return {error.kind(), error.what()};
  }
  FAIL("no error");
  return {};
}

struct Outcome {
  int status = -1;
  std::string output;
};

Outcome run(const std::string& command) {
  Outcome outcome;
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::array<char, 4096> buffer{};
  for (std::size_t n = 0; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    outcome.output.append(buffer.data(), n);
  }
  const int status = ::pclose(pipe);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

// An interpreter that has what the reference reads stores with; empty if there is none.
std::string python() {
  static const std::string found = [] {
    for (const char* name : {"python3", "/usr/bin/python3"}) {
      if (run(std::string(name) + " -c 'import numpy, yaml'").status == 0) {
        return std::string(name);
      }
    }
    return std::string();
  }();
  return found;
}

bool lacks_python() {
  if (python().empty()) {
    WARN("not checked: needs python3 with numpy and yaml");
  }
  return python().empty();
}

// Runs a script in a folder; it must end well.
std::string run_python(const fs::path& folder, const std::string& script) {
  write_text(folder / "script.py", script);
  const Outcome outcome = run(fmt::format("cd '{}' && {} script.py", folder.string(), python()));
  INFO(outcome.output);
  REQUIRE(outcome.status == 0);
  return outcome.output;
}

StoreMetadata video_metadata() {
  StoreMetadata metadata;
  metadata.store_class = "VideoImgStore";
  metadata.format = "avc1/mp4";
  metadata.extension = ".mp4";
  metadata.imgshape = {480, 640};
  metadata.chunksize = 500;
  metadata.created_utc = "2026-11-22T06:28:11.142833";
  metadata.timezone_local = "Europe/Vienna";
  metadata.uuid = "75dd116f44124f9186a0a6c5ce82a29e";
  return metadata;
}

StoreMetadata directory_metadata() {
  StoreMetadata metadata = video_metadata();
  metadata.store_class = "DirectoryImgStore";
  metadata.format = "npy";
  metadata.extension = "";
  metadata.encoding = "cv_bayerbg";
  return metadata;
}

// ---- hand-made arrays and archives ---------------------------------------------------------

// A version 1.0 array file whose header says what it is told to.
Bytes array_with_header(const std::string& header, const Bytes& data) {
  Bytes out = bytes_of("\x93NUMPY\x01");
  out.push_back(0);
  out.push_back(static_cast<std::uint8_t>(header.size() & 0xFFU));
  out.push_back(static_cast<std::uint8_t>(header.size() >> 8U));
  out.insert(out.end(), header.begin(), header.end());
  out.insert(out.end(), data.begin(), data.end());
  return out;
}

Bytes array_of(const std::string& dtype, const std::string& shape, const Bytes& data,
               bool fortran = false) {
  return array_with_header(fmt::format("{{'descr': '{}', 'fortran_order': {}, 'shape': {}, }}\n",
                                       dtype, fortran ? "True" : "False", shape),
                           data);
}

std::uint32_t crc32(const Bytes& bytes) {
  std::uint32_t crc = 0xFFFFFFFFU;
  for (const std::uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0xEDB88320U : 0U);
    }
  }
  return ~crc;
}

// A member of an archive, with every field free to lie.
struct RawMember {
  std::string name;
  Bytes stored;  // the bytes in the file
  std::uint16_t method = 0;
  std::uint32_t size = 0;  // claimed, uncompressed
  std::uint32_t stored_size = 0;
  std::uint32_t crc = 0;
};

RawMember honest_member(const std::string& name, const Bytes& bytes) {
  const auto size = static_cast<std::uint32_t>(bytes.size());
  return {name, bytes, 0, size, size, crc32(bytes)};
}

// The same bytes as one block of a deflate stream that is not compressed.
RawMember deflated_member(const std::string& name, const Bytes& bytes) {
  RawMember member = honest_member(name, bytes);
  const auto size = static_cast<std::uint16_t>(bytes.size());
  const auto inverse = static_cast<std::uint16_t>(~size);
  member.stored = {
      1, static_cast<std::uint8_t>(size & 0xFFU), static_cast<std::uint8_t>(size >> 8U),
      static_cast<std::uint8_t>(inverse & 0xFFU), static_cast<std::uint8_t>(inverse >> 8U)};
  member.stored.insert(member.stored.end(), bytes.begin(), bytes.end());
  member.stored_size = static_cast<std::uint32_t>(member.stored.size());
  member.method = 8;
  return member;
}

class ArchiveMaker {
 public:
  void add(const RawMember& member) {
    const auto offset = static_cast<std::uint32_t>(out_.size());
    put32(out_, 0x04034B50);
    put_shared_fields(out_, member);
    append(out_, bytes_of(member.name));
    append(out_, member.stored);
    put32(directory_, 0x02014B50);
    put16(directory_, 20);
    put_shared_fields(directory_, member);
    for (int i = 0; i < 3; ++i) {
      put16(directory_, 0);
    }
    put32(directory_, 0);
    put32(directory_, offset);
    append(directory_, bytes_of(member.name));
    ++members_;
  }
  Bytes finish() {
    const auto offset = static_cast<std::uint32_t>(out_.size());
    append(out_, directory_);
    put32(out_, 0x06054B50);
    put32(out_, 0);
    put16(out_, members_);
    put16(out_, members_);
    put32(out_, static_cast<std::uint32_t>(directory_.size()));
    put32(out_, offset);
    put16(out_, 0);
    return out_;
  }

 private:
  static void put16(Bytes& out, unsigned value) {
    out.push_back(static_cast<std::uint8_t>(value & 0xFFU));
    out.push_back(static_cast<std::uint8_t>((value >> 8U) & 0xFFU));
  }
  static void put32(Bytes& out, std::uint32_t value) {
    put16(out, value & 0xFFFFU);
    put16(out, value >> 16U);
  }
  static void append(Bytes& out, const Bytes& bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  // What the local header and the central directory both have: version to name length, extra
  // length.
  static void put_shared_fields(Bytes& out, const RawMember& member) {
    put16(out, 20);
    put16(out, 0);
    put16(out, member.method);
    put32(out, 0x00210000);
    put32(out, member.crc);
    put32(out, member.stored_size);
    put32(out, member.size);
    put16(out, static_cast<unsigned>(member.name.size()));
    put16(out, 0);
  }

  Bytes out_;
  Bytes directory_;
  unsigned members_ = 0;
};

Bytes archive_of(const std::vector<RawMember>& members) {
  ArchiveMaker maker;
  for (const RawMember& member : members) {
    maker.add(member);
  }
  return maker.finish();
}

const std::vector<std::int64_t> kNumbers = {5, -3, std::numeric_limits<std::int64_t>::max()};
const std::vector<double> kTimes = {1500001000.25, -0.5, 1e300};

std::vector<RawMember> index_members() {
  return {honest_member("frame_number.npy", npy_of(std::span(kNumbers))),
          honest_member("frame_time.npy", npy_of(std::span(kTimes)))};
}

}  // namespace

// ---- npy -----------------------------------------------------------------------------------

TEST_CASE("The header of a .npy file is, byte for byte, as NumPy documents it", "[npy]") {
  const std::string expected = std::string("\x93NUMPY\x01\x00\x76\x00", 10) +
                               "{'descr': '<i8', 'fortran_order': False, 'shape': (10,), }" +
                               std::string(59, ' ') + "\n";
  REQUIRE(expected.size() == 128);
  CHECK(npy_header("<i8", std::vector<std::int64_t>{10}) == bytes_of(expected));

  const auto text = [](const std::string& dtype, const std::vector<std::int64_t>& shape) {
    const Bytes header = npy_header(dtype, shape);
    CHECK(header.size() % 64 == 0);
    CHECK(header.back() == '\n');
    const std::string all(header.begin() + 10, header.end());
    return all.substr(0, all.find('}') + 1);
  };
  CHECK(text("<f8", {}) == "{'descr': '<f8', 'fortran_order': False, 'shape': (), }");
  CHECK(text("|u1", {480, 640, 3}) ==
        "{'descr': '|u1', 'fortran_order': False, 'shape': (480, 640, 3), }");
}

TEST_CASE("A .npy header reads back, in all versions of the format", "[npy]") {
  const std::string header = "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3L,), }\n";
  const Bytes version1 = array_with_header(header, Bytes(12));
  for (const int version : {1, 2, 3}) {
    Bytes file = version1;
    file[6] = static_cast<std::uint8_t>(version);
    if (version > 1) {
      file.insert(file.begin() + 10, 2, 0);  // the length has four bytes
    }
    const NpyHeader parsed = parse_npy_header(file, file.size(), "a.npy");
    CHECK(parsed.dtype == ">i2");
    CHECK(parsed.fortran_order);
    CHECK(parsed.shape == std::vector<std::int64_t>{2, 3});
    CHECK(parsed.data_offset == file.size() - 12);
    CHECK(parsed.element_count() == 6);
    CHECK(parsed.element_size() == 2);
  }
}

TEST_CASE("Element sizes of NumPy's types", "[npy]") {
  const auto size = [](const std::string& dtype) {
    const Bytes file = array_of(dtype, "(0,)", {});
    return parse_npy_header(file, file.size(), "a.npy").element_size();
  };
  CHECK(size("<U4") == 16);
  CHECK(size("|S7") == 7);
  CHECK(size("|b1") == 1);
  CHECK(size("<c16") == 16);
  CHECK(size("<M8[ns]") == 8);
  CHECK(size("|O") == 0);
}

TEST_CASE("Hostile .npy headers are refused by name", "[npy][hostile]") {
  const std::string bad =
      GENERATE(as<std::string>(), "", "{", "{}", "{'descr': '<i8', 'fortran_order': False}",
               "{'descr': '<i8', 'fortran_order': False, 'shape': (-1,), }",
               "{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }",
               "{'descr': '<i8', 'fortran_order': False, 'shape': (4294967296, 4294967296), }",
               "{'descr': '<i8', 'fortran_order': False, 'shape': (9223372036854775807, 2), }",
               "{'descr': '<i8', 'fortran_order': False, 'shape': (99999999999999999999,), }",
               "{'descr': '<i8', 'fortran_order': False, 'shape': (1 1), }",
               "{'descr': '<i8', 'fortran_order': maybe, 'shape': (1,), }",
               "{'descr': '<i8', 'fortran_order': False, 'shape': (1,), 'more': 1}",
               "{'descr': '<i8', 'fortran_order': False, 'shape': (1,), } + 1",
               "{'descr': '<i3', 'fortran_order': False, 'shape': (1,), }",
               "{'descr': '<U4294967297', 'fortran_order': False, 'shape': (1,), }",
               "{'descr': '<i8\xFF', 'fortran_order': False, 'shape': (1,), }",
               "{'descr': eval('1'), 'fortran_order': False, 'shape': (1,), }");
  CAPTURE(bad);
  const Bytes file = array_with_header(bad, Bytes(16));
  const Caught caught = error_of([&] { npy_to_int64(file, "evil.npy"); });
  CHECK(caught.kind == ErrorKind::corrupt);
  CHECK(caught.says("evil.npy"));
}

TEST_CASE("A .npy file that is cut off anywhere is refused", "[npy][hostile]") {
  const Bytes whole = npy_of(std::span(kNumbers));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
    CAPTURE(length);
    CHECK(error_of([&] { npy_to_int64(cut, "cut.npy"); }).kind == ErrorKind::corrupt);
  }
  CHECK(npy_to_int64(whole, "whole.npy") == kNumbers);
}

TEST_CASE("Arrays that hold no numbers are not read as numbers", "[npy][hostile]") {
  // What follows the header would be a pickle.
  const Bytes pickle = array_of("|O", "(1,)", bytes_of("\x80\x04N."));
  CHECK(error_of([&] { npy_to_int64(pickle, "o.npy"); }).kind == ErrorKind::corrupt);
  const Bytes strings = array_of("<U1", "(1,)", Bytes(4));
  CHECK(error_of([&] { npy_to_double(strings, "s.npy"); }).kind == ErrorKind::corrupt);
  const Bytes plane = array_of("|u1", "(2, 2)", Bytes(4));
  CHECK(error_of([&] { npy_to_int64(plane, "p.npy"); }).kind == ErrorKind::corrupt);
  const Bytes records = array_with_header(
      "{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (1,), }", Bytes(4));
  CHECK(error_of([&] { npy_to_int64(records, "r.npy"); }).kind == ErrorKind::unsupported);
}

TEST_CASE("Integers and floats of every width and byte order convert", "[npy]") {
  const auto integers = [](const std::string& dtype, const Bytes& data) {
    return npy_to_int64(array_of(dtype, "(2,)", data), "a.npy");
  };
  using Integers = std::vector<std::int64_t>;
  CHECK(integers("|i1", {0xFF, 2}) == Integers{-1, 2});
  CHECK(integers("|u1", {0xFF, 2}) == Integers{255, 2});
  CHECK(integers("|b1", {1, 0}) == Integers{1, 0});
  CHECK(integers("<i2", {0xFE, 0xFF, 1, 2}) == Integers{-2, 0x201});
  CHECK(integers(">i2", {0xFF, 0xFE, 1, 2}) == Integers{-2, 0x102});
  CHECK(integers(">u4", {0xFF, 0, 0, 0, 0, 0, 0, 1}) == Integers{0xFF000000, 1});
  CHECK(integers(">i8", {0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7}) ==
        Integers{std::numeric_limits<std::int64_t>::min(), 7});
  CHECK(integers(">f4", {0x40, 0x40, 0, 0, 0xC0, 0, 0, 0}) == Integers{3, -2});

  const auto reals = [](const std::string& dtype, const Bytes& data) {
    return npy_to_double(array_of(dtype, "(2,)", data), "a.npy");
  };
  using Reals = std::vector<double>;
  CHECK(reals("<f2", {0x00, 0x3E, 0x01, 0x80}) == Reals{1.5, -std::ldexp(1, -24)});
  CHECK(reals("<f8", {0, 0, 0, 0, 0, 0, 0xF8, 0x3F, 0, 0, 0, 0, 0, 0, 0xF0, 0x7F}) ==
        Reals{1.5, std::numeric_limits<double>::infinity()});
  CHECK(reals(">u2", {0x01, 0x00, 0, 3}) == Reals{256, 3});
}

TEST_CASE("Frame numbers that no int64 holds are refused, not bent", "[npy][hostile]") {
  const auto refused = [](const std::string& dtype, const Bytes& data) {
    return error_of([&] { npy_to_int64(array_of(dtype, "(1,)", data), "a.npy"); }).kind;
  };
  CHECK(refused("<u8", {0, 0, 0, 0, 0, 0, 0, 0x80}) == ErrorKind::corrupt);     // 2^63
  CHECK(refused("<f8", {0, 0, 0, 0, 0, 0, 0xE0, 0x43}) == ErrorKind::corrupt);  // 2^63
  CHECK(refused("<f8", {0, 0, 0, 0, 0, 0, 0xF8, 0x3F}) == ErrorKind::corrupt);  // 1.5
  CHECK(refused("<f8", {0, 0, 0, 0, 0, 0, 0xF8, 0x7F}) == ErrorKind::corrupt);  // NaN
}

TEST_CASE("Fortran order and foreign byte order are undone", "[npy]") {
  // Columns first: the array is 1 2 3 / 4 5 6.
  const Bytes fortran =
      array_of(">u2", "(2, 3)", {0, 1, 0, 4, 0, 2, 0, 5, 0, 3, 0, 6}, /*fortran=*/true);
  NpyHeader header;
  const Bytes bytes = npy_to_c_order(fortran, header, "f.npy");
  std::array<std::uint16_t, 6> values{};
  REQUIRE(bytes.size() == sizeof(values));
  std::memcpy(values.data(), bytes.data(), sizeof(values));
  CHECK(values == std::array<std::uint16_t, 6>{1, 2, 3, 4, 5, 6});
  CHECK(header.shape == std::vector<std::int64_t>{2, 3});
  CHECK_FALSE(header.fortran_order);
  CHECK(header.dtype != ">u2");

  // The halves of a complex number are swapped each by itself.
  const Bytes complex = array_of(">c8", "()", {0x3F, 0x80, 0, 0, 0x40, 0, 0, 0});
  const Bytes parts = npy_to_c_order(complex, header, "c.npy");
  std::array<float, 2> floats{};
  REQUIRE(parts.size() == sizeof(floats));
  std::memcpy(floats.data(), parts.data(), sizeof(floats));
  CHECK(floats[0] == 1.0F);
  CHECK(floats[1] == 2.0F);
}

TEST_CASE("NumPy reads the arrays written here, and these what NumPy writes", "[npy][python]") {
  if (lacks_python()) {
    return;
  }
  const TemporaryFolder folder;
  const auto save = [&folder](const std::string& name, const Bytes& bytes) {
    base::write_file_atomically(folder.path() / name, std::span<const std::uint8_t>(bytes));
  };
  save("numbers.npy", npy_of(std::span(kNumbers)));
  save("times.npy", npy_of(std::span(kTimes)));
  save("scalar.npy", npy_scalar(std::int64_t{-7}));
  save("text.npy", npy_scalar("caf\u00e9 \U0001F41F"));
  save("empty.npy", npy_scalar(""));
  run_python(folder.path(), R"(
import numpy as np
load = lambda name: np.load(name + '.npy', allow_pickle=False)
a = load('numbers'); assert a.dtype == np.int64 and a.tolist() == [5, -3, 2**63 - 1], a
a = load('times'); assert a.dtype == np.float64 and a.tolist() == [1500001000.25, -.5, 1e300], a
a = load('scalar'); assert a.dtype == np.int64 and a.shape == () and a == -7, a
a = load('text'); assert a.dtype == '<U6' and a.shape == () and a == 'caf\u00e9 \U0001f41f', a
a = load('empty'); assert a.shape == () and a == '', a
np.save('cube.npy', np.asfortranarray(np.arange(24, dtype='>i4').reshape(2, 3, 4)))
np.save('half.npy', np.array([1.5, -2, 65504, np.inf, 6e-8], dtype='>f2'))
)");
  NpyHeader header;
  const Bytes cube = npy_to_c_order(base::read_file(folder.path() / "cube.npy"), header, "cube");
  std::vector<std::int32_t> values(24);
  REQUIRE(cube.size() == 96);
  std::memcpy(values.data(), cube.data(), cube.size());
  std::vector<std::int32_t> expected(24);
  std::iota(expected.begin(), expected.end(), 0);
  CHECK(values == expected);
  CHECK(header.shape == std::vector<std::int64_t>{2, 3, 4});
  CHECK(npy_to_double(base::read_file(folder.path() / "half.npy"), "half") ==
        std::vector<double>{1.5, -2, 65504, std::numeric_limits<double>::infinity(),
                            std::ldexp(1, -24)});
}

// ---- zip -----------------------------------------------------------------------------------

TEST_CASE("An archive is stored, checked and dated alike each time", "[zip]") {
  const TemporaryFolder folder;
  const std::vector<ZipMember> members = {{"a.npy", bytes_of("hello")}, {"b.npy", {}}};
  const Bytes archive = zip_stored(members);
  CHECK(archive == zip_stored(members));
  // The contents stand in it as they are, and the first local header says 1980-01-01 00:00.
  const std::string text(archive.begin(), archive.end());
  CHECK(text.find("hello") != std::string::npos);
  CHECK(text.substr(10, 4) == std::string("\x00\x00\x21\x00", 4));

  const fs::path file = folder.path() / "a.zip";
  base::write_file_atomically(file, std::span<const std::uint8_t>(archive));
  const ZipReader reader(file);
  CHECK(reader.read(reader.find("a.npy"), 5) == bytes_of("hello"));
  CHECK(reader.read(reader.find("b.npy"), 5).empty());
  CHECK(reader.find("c.npy") == -1);
  CHECK(error_of([&] { reader.read(reader.find("a.npy"), 4); }).kind == ErrorKind::corrupt);
  if (run("unzip -v").status != 0) {
    WARN("not checked: needs unzip");
    return;
  }
  CHECK(run(fmt::format("unzip -tq '{}'", file.string())).status == 0);
}

TEST_CASE("Hostile archives are refused before memory is spent", "[zip][hostile]") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "evil.npz";
  const auto refused = [&](const Bytes& archive) {
    base::write_file_atomically(file, std::span<const std::uint8_t>(archive));
    const Caught caught = error_of([&] { read_chunk_index(file); });
    CHECK(caught.says("evil.npz"));
    return caught.kind;
  };
  std::vector<RawMember> members = index_members();
  RawMember& number = members[0];

  SECTION("a stored member of 4 GB in a small file") {
    number.size = number.stored_size = 0xFFFFFFF0U;
    CHECK(refused(archive_of(members)) == ErrorKind::corrupt);
  }
  SECTION("a deflated member of 4 GB in a small file") {
    number = deflated_member(number.name, number.stored);
    number.size = 0xFFFFFFF0U;
    CHECK(refused(archive_of(members)) == ErrorKind::corrupt);
  }
  SECTION("a deflated member that grows past its claim") {
    number = deflated_member(number.name, Bytes(60000, 'x'));
    number.size = 128;
    CHECK(refused(archive_of(members)) == ErrorKind::corrupt);
  }
  SECTION("a deflated member that ends before its claim") {
    number = deflated_member(number.name, number.stored);
    number.size += 1000;
    CHECK(refused(archive_of(members)) == ErrorKind::corrupt);
  }
  SECTION("a wrong checksum") {
    number.crc ^= 1;
    CHECK(refused(archive_of(members)) == ErrorKind::corrupt);
  }
  SECTION("a compression that .npz files do not have") {
    number.method = 12;
    CHECK(refused(archive_of(members)) == ErrorKind::unsupported);
  }
  SECTION("cut off anywhere") {
    const Bytes whole = archive_of(members);
    for (std::size_t length = 0; length < whole.size(); length += 7) {
      CAPTURE(length);
      CHECK(refused({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)}) ==
            ErrorKind::corrupt);
    }
  }
}

// ---- chunk indexes -------------------------------------------------------------------------

TEST_CASE("A chunk's index reads back as it was written", "[index]") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "000000.npz";
  const ChunkIndex index{kNumbers, kTimes, {1, 2, 3}};
  write_chunk_index(file, index, video_metadata());
  const Bytes first = base::read_file(file);
  const ChunkIndex back = read_chunk_index(file);
  CHECK(back.frame_number == kNumbers);
  CHECK(back.frame_time == kTimes);
  CHECK(back.before_reindex == std::vector<std::int64_t>{1, 2, 3});

  write_chunk_index(file, index, video_metadata());
  CHECK(base::read_file(file) == first);

  write_chunk_index(file, {}, video_metadata());
  CHECK(read_chunk_index(file).frame_number.empty());

  const Caught caught = error_of([&] {
    write_chunk_index(file, ChunkIndex{{1, 2}, {0.5}}, video_metadata());
  });
  CHECK(caught.kind == ErrorKind::invalid_argument);
}

TEST_CASE("NumPy reads every member of an index without pickles", "[index][python]") {
  if (lacks_python()) {
    return;
  }
  const TemporaryFolder folder;
  write_chunk_index(folder.path() / "v.npz", {{7, 8}, {0.5, 1.5}}, video_metadata());
  write_chunk_index(folder.path() / "d.npz", {{7, 8}, {0.5, 1.5}}, directory_metadata());
  run_python(folder.path(), R"(
import numpy as np, zipfile
def members(name):
    with zipfile.ZipFile(name) as archive:
        assert archive.testzip() is None
        assert all(i.compress_type == zipfile.ZIP_STORED for i in archive.infolist())
        assert all(i.date_time == (1980, 1, 1, 0, 0, 0) for i in archive.infolist())
    return dict(np.load(name, allow_pickle=False))
v = members('v.npz')
assert v['frame_number'].dtype == '<i8' and v['frame_number'].tolist() == [7, 8]
assert v['frame_time'].dtype == '<f8' and v['frame_time'].tolist() == [.5, 1.5]
assert v['imgshape'].dtype == '<i8' and v['imgshape'].tolist() == [480, 640]
rest = {k: v[k][()] for k in v if v[k].shape == ()}
assert rest == dict(extension='.mp4', imgdtype='uint8', chunksize=500, format='avc1/mp4',
                    version=2, created_utc='2026-11-22T06:28:11.142833',
                    **{'class': 'VideoImgStore'}, timezone_local='Europe/Vienna',
                    uuid='75dd116f44124f9186a0a6c5ce82a29e'), rest
assert len(v) == len(rest) + 3
d = members('d.npz')
assert d['encoding'] == 'cv_bayerbg' and 'extension' not in d and d['class'] == 'DirectoryImgStore'
np.savez_compressed('deflated.npz', frame_number=np.arange(3, dtype='>u2'),
                    frame_time=np.arange(3, dtype='f4') / 2, encoding=np.array(None))
)");
  const ChunkIndex deflated = read_chunk_index(folder.path() / "deflated.npz");
  CHECK(deflated.frame_number == std::vector<std::int64_t>{0, 1, 2});
  CHECK(deflated.frame_time == std::vector<double>{0, 0.5, 1});
}

TEST_CASE("An index whose arrays do not fit together is refused", "[index][hostile]") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "odd.npz";
  const auto refused = [&](const std::vector<RawMember>& members, const std::string& why) {
    base::write_file_atomically(file, std::span<const std::uint8_t>(archive_of(members)));
    const Caught caught = error_of([&] { read_chunk_index(file); });
    CAPTURE(caught.message);
    CHECK(caught.kind == ErrorKind::corrupt);
    CHECK(caught.says("odd.npz"));
    CHECK(caught.says(why));
  };
  const auto members = index_members();
  refused({members[0]}, "frame_time");
  refused({members[1]}, "frame_number");
  refused({members[0], honest_member("frame_time.npy", npy_of(std::span(kTimes).first(2)))},
          "3 frame numbers but 2 frame times");
  refused({members[1], honest_member("frame_number.npy", array_of("|O", "(3,)", Bytes(20)))}, "|O");
  CHECK(error_of([&] { read_chunk_index(folder.path() / "none.npz"); }).kind ==
        ErrorKind::not_found);
}

TEST_CASE("Of two members with one name the last counts, as in Python", "[index]") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "twice.npz";
  auto members = index_members();
  members.insert(members.begin(), deflated_member("frame_number.npy", npy_of(std::span(kTimes))));
  base::write_file_atomically(file, std::span<const std::uint8_t>(archive_of(members)));
  CHECK(read_chunk_index(file).frame_number == kNumbers);
}

TEST_CASE("More frames than any chunk has are not made room for", "[index][hostile]") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "000000.npz";
  constexpr std::int64_t kFrames = (std::int64_t{1} << 27U) + 1;
  // Numbers of a byte each would take eight times as much once they are read.
  std::vector<RawMember> members = index_members();
  members[0] = honest_member("frame_number.npy",
                             array_of("|u1", fmt::format("({},)", kFrames), Bytes(kFrames)));
  base::write_file_atomically(file, std::span<const std::uint8_t>(archive_of(members)));
  const Caught caught = error_of([&] { read_chunk_index(file); });
  CHECK(caught.kind == ErrorKind::corrupt);
  CHECK(caught.says("longer than any chunk"));
}

TEST_CASE("An index written anew has each member once", "[index][hostile]") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "000000.npz";
  std::vector<RawMember> members = index_members();
  for (int i = 0; i < 50; ++i) {
    members.push_back(honest_member("more.npy", Bytes(10, static_cast<std::uint8_t>(i))));
  }
  base::write_file_atomically(file, std::span<const std::uint8_t>(archive_of(members)));
  const fs::path anew = folder.path() / "anew.npz";
  imgstore::rewrite_chunk_index(file, anew, read_chunk_index(file));
  const imgstore::ZipReader archive(anew);
  CHECK(archive.names() ==
        std::vector<std::string>{"frame_number.npy", "frame_time.npy", "more.npy"});
  CHECK(archive.read(archive.find("more.npy"), 100) == Bytes(10, 49));
}

TEST_CASE("A YAML index reads in block and in flow style", "[index][yaml]") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "index.yaml";
  write_text(file,
             "frame_number:\n- 2001\n- 0x10\n- -5.0\nother: {a: [1, x]}\nframe_time:\n- 1.5\n"
             "- .nan\n- 1.0e+10\n");
  const ChunkIndex block = read_chunk_index(file);
  CHECK(block.frame_number == std::vector<std::int64_t>{2001, 16, -5});
  CHECK(block.frame_time[0] == 1.5);
  CHECK(std::isnan(block.frame_time[1]));
  CHECK(block.frame_time[2] == 1e10);

  write_text(file, "{frame_time: [1, 2], frame_number: [3, 4]}");
  CHECK(read_chunk_index(file).frame_number == std::vector<std::int64_t>{3, 4});
}

TEST_CASE("Damaged YAML indexes are refused with the place", "[index][yaml][hostile]") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "bad.yaml";
  const auto refused = [&](const std::string& text, const std::string& why) {
    write_text(file, text);
    const Caught caught = error_of([&] { read_chunk_index(file); });
    CAPTURE(text, caught.message);
    CHECK(caught.kind == ErrorKind::corrupt);
    CHECK(caught.says("bad.yaml"));
    CHECK(caught.says(why));
  };
  refused("", "no list frame_number");
  refused("frame_number: [1]\n", "no list frame_time");
  refused("frame_number: [1]\nframe_time: []\n", "1 frame numbers but 0 frame times");
  refused("frame_number: [1.5]\nframe_time: [1]\n", "line 1, column 16");
  refused("frame_number: [99999999999999999999]\nframe_time: [1]\n", "line 1");
  refused("frame_number: [1]\nframe_time:\n- two\n", "line 3, column 3");
  refused("frame_number: [[1]]\nframe_time: [[1]]\n", "nested");
  refused("frame_number: &a [1]\nframe_time: *a\n", "no list frame_time");
  refused("frame_number: [1\n", "line 2");
  refused(std::string(100000, '['), "nested too deeply");
}

TEST_CASE("Chunks are found by their names, in order", "[chunks]") {
  const TemporaryFolder folder;
  const fs::path& root = folder.path();
  const auto touch = [&root](const std::string& name) { std::ofstream(root / name) << 'x'; };
  for (const char* name :
       {"000010.mp4", "000010.npz", "000002.mp4", "000002.yaml", "000002.npz", "000003.mp4",
        "000003.yaml", "1000000.mp4", "0000004.mp4", "00005.mp4", "000006.mkv", "000007.mp4.tmp",
        "x000008.mp4", "99999999999999999999.mp4", "-00001.mp4", "000011.npz"}) {
    touch(name);
  }
  fs::create_directory(root / "000009.mp4");
  const std::vector<ChunkFile> chunks = find_chunks(root, video_metadata());
  REQUIRE(chunks.size() == 4);
  CHECK(chunks[0].chunk == 2);
  CHECK(chunks[0].data == "000002.mp4");
  CHECK(chunks[0].index == fs::path("000002.npz"));
  CHECK(chunks[1].index == fs::path("000003.yaml"));
  CHECK(chunks[2].chunk == 10);
  CHECK(chunks[3].data == "1000000.mp4");
  CHECK_FALSE(chunks[3].index.has_value());

  fs::create_directory(root / "000000");
  fs::create_directory(root / "000001");
  touch("000000/index.yaml");
  const std::vector<ChunkFile> folders = find_chunks(root, directory_metadata());
  REQUIRE(folders.size() == 2);
  CHECK(folders[0].data == "000000");
  CHECK(folders[0].index == fs::path("000000/index.yaml"));
  CHECK_FALSE(folders[1].index.has_value());

  CHECK(chunk_path(video_metadata(), 12) == "000012.mp4");
  CHECK(chunk_index_path(video_metadata(), 1234567) == "1234567.npz");
  CHECK(chunk_extra_path(video_metadata(), 0) == "000000.extra.json");
  CHECK(chunk_path(directory_metadata(), 12) == "000012");
  CHECK(chunk_index_path(directory_metadata(), 12) == "000012/index.npz");
  CHECK(chunk_extra_path(directory_metadata(), 12) == "000012/index.extra.json");
  CHECK(error_of([&] { find_chunks(root / "none", video_metadata()); }).kind ==
        ErrorKind::not_found);
}

// ---- metadata.yaml -------------------------------------------------------------------------

TEST_CASE("metadata.yaml is written as the reference writes it", "[metadata]") {
  const TemporaryFolder folder;
  StoreMetadata metadata = video_metadata();
  metadata.user_yaml = "subject: {id: 7, tags: [a, b]}\ngenotype: wt";
  write_metadata(folder.path(), metadata);
  CHECK(base::read_text(folder.path() / "metadata.yaml") ==
        "__store:\n"
        "  chunksize: 500\n"
        "  class: VideoImgStore\n"
        "  created_utc: '2026-11-22T06:28:11.142833'\n"
        "  encoding: null\n"
        "  extension: .mp4\n"
        "  format: avc1/mp4\n"
        "  imgdtype: uint8\n"
        "  imgshape:\n"
        "  - 480\n"
        "  - 640\n"
        "  timezone_local: Europe/Vienna\n"
        "  uuid: '75dd116f44124f9186a0a6c5ce82a29e'\n"
        "  version: 2\n"
        "subject:\n"
        "  id: 7\n"
        "  tags:\n"
        "  - a\n"
        "  - b\n"
        "genotype: wt\n");
  const StoreMetadata back = read_metadata(folder.path());
  CHECK(back.store_class == metadata.store_class);
  CHECK(back.version == 2);
  CHECK(back.format == metadata.format);
  CHECK(back.extension == metadata.extension);
  CHECK(back.imgshape == metadata.imgshape);
  CHECK(back.imgdtype == "uint8");
  CHECK(back.chunksize == 500);
  CHECK(back.encoding.empty());
  CHECK(back.created_utc == metadata.created_utc);
  CHECK(back.timezone_local == metadata.timezone_local);
  CHECK(back.uuid == metadata.uuid);
  CHECK(back.user_yaml == normalize_user_yaml(metadata.user_yaml));
}

TEST_CASE("Metadata that no reader could use is not written", "[metadata]") {
  const TemporaryFolder folder;
  const auto refused = [&folder](const std::function<void(StoreMetadata&)>& spoil) {
    StoreMetadata metadata = video_metadata();
    spoil(metadata);
    CHECK(error_of([&] { write_metadata(folder.path(), metadata); }).kind ==
          ErrorKind::invalid_argument);
    CHECK_FALSE(fs::exists(folder.path() / "metadata.yaml"));
  };
  refused([](StoreMetadata& m) { m.version = 3; });
  refused([](StoreMetadata& m) { m.store_class = "VideoImgStoreFFMPEG"; });
  refused([](StoreMetadata& m) { m.imgshape = {}; });
  refused([](StoreMetadata& m) { m.imgshape = {480, -1}; });
  refused([](StoreMetadata& m) { m.imgshape = {std::int64_t{1} << 40, std::int64_t{1} << 40}; });
  refused([](StoreMetadata& m) { m.chunksize = 0; });
  refused([](StoreMetadata& m) { m.extension = "./../x"; });
  refused([](StoreMetadata& m) { m.created_utc = "yesterday"; });
  refused([](StoreMetadata& m) { m.format = "\xFF"; });
  refused([](StoreMetadata& m) { m.user_yaml = "__store: {}"; });
  refused([](StoreMetadata& m) { m.user_yaml = "[1, 2]"; });
}

TEST_CASE("Old stores get the defaults that all readers share", "[metadata]") {
  const TemporaryFolder folder;
  const auto read = [&folder](const std::string& name, const std::string& yaml) {
    const fs::path store = folder.path() / name;
    fs::create_directories(store);
    write_text(store / "metadata.yaml", yaml);
    return read_metadata(store);
  };
  const std::string old =
      "__store: {class: VideoImgStoreFFMPEG, version: 2, format: nvenc-h264, chunksize: 10,\n"
      "  encoding: '', imgshape: [48, 64]}\n";

  const StoreMetadata summer = read("rig_20190523_110102.mine", old + "timezone: Europe/Vienna\n");
  CHECK(summer.store_class == "VideoImgStore");
  CHECK(summer.extension == ".mp4");
  CHECK(summer.imgdtype == "uint8");
  CHECK(summer.encoding.empty());
  CHECK(summer.uuid.empty());
  CHECK(summer.created_utc == "2019-05-23T09:01:02");
  CHECK(summer.timezone_local == "Europe/Vienna");

  CHECK(read("x_20190123_110102", old + "timezone: Europe/Vienna\n").created_utc ==
        "2019-01-23T10:01:02");
  // The hour that the clocks repeat is taken in winter time, the one they skip before the change.
  CHECK(read("x_20191027_023000", old + "timezone: Europe/Vienna\n").created_utc ==
        "2019-10-27T01:30:00");
  CHECK(read("x_20190331_023000", old + "timezone: Europe/Vienna\n").created_utc ==
        "2019-03-31T01:30:00");
  CHECK(read("20191332_110102_20190523_110102", old + "timezone: UTC\n").created_utc ==
        "2019-05-23T11:01:02");

  // No time in the name: the file's own.
  const fs::path unnamed = folder.path() / "unnamed";
  fs::create_directories(unnamed);
  write_text(unnamed / "metadata.yaml", old);
  const std::array<timespec, 2> times = {timespec{1500000000, 0}, timespec{1500000000, 250000000}};
  REQUIRE(::utimensat(AT_FDCWD, (unnamed / "metadata.yaml").c_str(), times.data(), 0) == 0);
  CHECK(read_metadata(unnamed).created_utc == "2017-07-14T02:40:00.250000");

  CHECK(read("mjpeg",
             "__store: {class: VideoImgStore, version: 2, format: mjpeg,"
             " imgshape: [4, 4, 3]}")
            .extension == ".avi");
  const StoreMetadata images =
      read("images",
           "__store: {class: DirectoryImgStore, version: 2, format: png,"
           " imgshape: [4, 4], created_utc: 2026-11-22 06:28:11.5+01:00, encoding: null}");
  CHECK(images.extension.empty());
  CHECK(images.chunksize == 200);
  CHECK(images.created_utc == "2026-11-22T05:28:11.500000");
}

TEST_CASE("Metadata of other kinds is refused with the reason", "[metadata][hostile]") {
  const TemporaryFolder folder;
  const auto refused = [&folder](const std::string& yaml, ErrorKind kind, const std::string& why) {
    write_text(folder.path() / "metadata.yaml", yaml);
    const Caught caught = error_of([&] { read_metadata(folder.path()); });
    CAPTURE(yaml.substr(0, 200), caught.message);
    CHECK(caught.kind == kind);
    CHECK(caught.says("metadata.yaml"));
    CHECK(caught.says(why));
  };
  const std::string rest = ", class: VideoImgStore, format: mjpeg, imgshape: [4, 4], chunksize: 5}";
  refused("__store: {version: 3" + rest, ErrorKind::unsupported, "newer program");
  refused("__store: {version: 99999999999" + rest, ErrorKind::unsupported, "newer program");
  refused("__store: {version: 1" + rest, ErrorKind::unsupported, "version 1: too old");
  refused("__store: {version: two" + rest, ErrorKind::corrupt, "version must be an integer");
  refused("__store: {x: 2" + rest, ErrorKind::corrupt, "no version");
  refused("other: 1", ErrorKind::corrupt, "no __store");
  refused("__store: 1", ErrorKind::corrupt, "no __store");
  refused("", ErrorKind::corrupt, "no __store");
  refused("__store: {version: 2, class: X, format: y, imgshape: [1, 1]}", ErrorKind::unsupported,
          "class X");
  refused("__store: {version: 2, format: y, imgshape: [1, 1]}", ErrorKind::corrupt, "no class");
  refused("__store: {version: 2, class: VideoImgStore, imgshape: [1, 1]}", ErrorKind::corrupt,
          "no format");
  refused("__store: {version: 2, class: VideoImgStore, format: mjpeg}", ErrorKind::corrupt,
          "imgshape");
  refused("__store: {version: 2, class: VideoImgStore, format: mjpeg, imgshape: [4, -4]}",
          ErrorKind::corrupt, "-4");
  refused("__store: {version: 2, class: VideoImgStore, format: mjpeg, imgshape: [4, x]}",
          ErrorKind::corrupt, "line 1: each number in imgshape must be an integer");
  refused("__store: {extension: ./../../etc/x, version: 2" + rest, ErrorKind::corrupt, "extension");
  refused("__store: {created_utc: now, version: 2" + rest, ErrorKind::corrupt, "created_utc");
  refused("__store: {format\n", ErrorKind::corrupt, "line 2");
  refused("a: \xFF\n", ErrorKind::corrupt, "line 1");
  refused(std::string(100000, '['), ErrorKind::corrupt, "nested too deeply");
  refused(std::string(100000, '{'), ErrorKind::corrupt, "nested too deeply");
  CHECK(error_of([&] { read_metadata(folder.path() / "none"); }).kind == ErrorKind::not_found);
}

TEST_CASE("A pipe in the place of a store's file keeps nobody waiting", "[metadata][hostile]") {
  const TemporaryFolder folder;
  REQUIRE(::mkfifo((folder.path() / "metadata.yaml").c_str(), 0600) == 0);
  const Caught caught = error_of([&] { read_metadata(folder.path()); });
  CHECK(caught.kind == ErrorKind::io);
  CHECK(caught.says("metadata.yaml: is a pipe or a device"));
}

TEST_CASE("A store is given as its folder or as its metadata.yaml", "[metadata]") {
  const TemporaryFolder folder;
  const fs::path& root = folder.path();
  CHECK(error_of([&] { store_folder(root); }).says("metadata.yaml"));
  write_text(root / "metadata.yaml", "");
  write_text(root / "other.yaml", "");
  CHECK(store_folder(root) == root);
  CHECK(store_folder(root / "metadata.yaml") == root);
  CHECK(error_of([&] { store_folder(root / "other.yaml"); }).kind == ErrorKind::not_found);
  CHECK(error_of([&] { store_folder(root / "none"); }).says("none"));
}

// ---- user metadata -------------------------------------------------------------------------

TEST_CASE("Plain scalars have the types that PyYAML gives them", "[yaml]") {
  const auto json = [](const std::string& scalar) {
    const std::string all = user_yaml_to_json("k: " + scalar);
    REQUIRE(all.size() >= 7);
    return all.substr(6, all.size() - 7);
  };
  CHECK(json("yes") == "true");
  CHECK(json("Off") == "false");
  CHECK(json("~") == "null");
  CHECK(json("") == "null");
  CHECK(json("y") == "\"y\"");
  CHECK(json("12") == "12");
  CHECK(json("+1_000") == "1000");
  CHECK(json("-0b101") == "-5");
  CHECK(json("017") == "15");
  CHECK(json("0o17") == "\"0o17\"");
  CHECK(json("0x1F") == "31");
  CHECK(json("1:30") == "90");
  CHECK(json("-1:30:05") == "-5405");
  CHECK(json("1:60") == "\"1:60\"");
  CHECK(json("123456789012345678901234567890") == "123456789012345678901234567890");
  CHECK(json("0xFFFFFFFFFFFFFFFFFFFF") == "1208925819614629174706175");
  CHECK(json("1.") == "1.0");
  CHECK(json(".5") == "0.5");
  CHECK(json("1.5e+3") == "1500.0");
  CHECK(json("1e3") == "\"1e3\"");
  CHECK(json("1.5e3") == "\"1.5e3\"");
  CHECK(json("1:30.5") == "90.5");
  CHECK(json(".inf") == "Infinity");
  CHECK(json("-.INF") == "-Infinity");
  CHECK(json(".nan") == "NaN");
  CHECK(json("2020-02-29") == "\"2020-02-29\"");
  CHECK(json("'12'") == "\"12\"");
  CHECK(json("!!str 12") == "\"12\"");
  CHECK(json("!!int '12'") == "12");
  CHECK(json("!!float 1") == "1.0");
  CHECK(plain_scalar_type("2020-02-29") == ScalarType::timestamp);
  CHECK(plain_scalar_type("2021-02-29") == ScalarType::string);
  CHECK(plain_scalar_type("2020-02-29 1:02:03.5 +02:00") == ScalarType::timestamp);
  CHECK(plain_scalar_type("2020-02-29 24:00:00") == ScalarType::string);
}

TEST_CASE("User metadata comes in one form", "[yaml]") {
  CHECK(normalize_user_yaml("").empty());
  CHECK(normalize_user_yaml("# nothing\n").empty());
  CHECK(normalize_user_yaml("{}").empty());
  CHECK(normalize_user_yaml("{b: 1, a: [x, {c: 2, z: []}], e: {}, m: }") ==
        "b: 1\na:\n- x\n- c: 2\n  z: []\ne: {}\nm: null\n");
  CHECK(normalize_user_yaml("a: [[1, [2]], 3]") == "a:\n- - 1\n  - - 2\n- 3\n");
  CHECK(normalize_user_yaml("a: 'yes'\nb: yes\nc: '1e3'\nd: \"it's\"\ne: ''\nf: =\ng: '0o7'") ==
        "a: 'yes'\nb: yes\nc: '1e3'\nd: 'it''s'\ne: ''\nf: '='\ng: '0o7'\n");
  CHECK(normalize_user_yaml("a: |\n  one\n  two\nb: >-\n  folded\n  line") ==
        "a: \"one\\ntwo\\n\"\nb: folded line\n");
  CHECK(normalize_user_yaml("a: \"\\x85\\u2028\\t\\N\\_\"") ==
        "a: \"\\x85\\u2028\\t\\x85\xC2\xA0\"\n");
  CHECK(normalize_user_yaml("k: 1\n'2': x\n3: z\nk: 2") == "k: 2\n'2': x\n3: z\n");
  CHECK(normalize_user_yaml("base: &b {x: 1, z: 2}\nall: {<<: *b, z: 3}") ==
        "base:\n  x: 1\n  z: 2\nall:\n  x: 1\n  z: 3\n");
  CHECK(normalize_user_yaml("{<<: [{a: 1, b: 1}, {b: 2, c: 2}], c: 3}") == "b: 1\nc: 3\na: 1\n");
  CHECK(normalize_user_yaml("a: y") == "a: 'y'\n");
  CHECK(normalize_user_yaml("a:\n- !!binary |\n  YWJj\n") == "a:\n- !!binary \"YWJj\\n\"\n");
  CHECK(normalize_user_yaml("\xEF\xBB\xBF"
                            "a: 1") == "a: 1\n");
  const std::string long_key(2000, 'k');
  CHECK(normalize_user_yaml("? " + long_key + "\n: [1]") == "? '" + long_key + "'\n:\n  - 1\n");
}

TEST_CASE("User metadata that readers would refuse or trip over is refused", "[yaml][hostile]") {
  const auto refused = [](const std::string& yaml, const std::string& why) {
    const Caught caught = error_of([&] { normalize_user_yaml(yaml); });
    CAPTURE(yaml.substr(0, 200), caught.message);
    CHECK(caught.kind == ErrorKind::invalid_argument);
    CHECK(caught.says(why));
  };
  refused("a: b: c", "line 1, column 5");
  refused("a: 1\nb: ]", "line 2, column 4");
  refused("a: 1\n\tb: 2", "line 2");
  refused("just text", "must be a map");
  refused("- 1", "must be a map");
  refused("__store: {}", "__store");
  refused("a: 1\n---\nb: 2", "second document");
  refused("a: !python/object:os.system x", "line 1, column 4: the tag");
  refused("a: !!int x", "the tag");
  refused("? [1, 2]\n: 3", "a key must be a single value");
  refused("a: *b", "alias");
  refused("a: &a [1, *a]", "alias");
  refused("a: &a 1\nb: &a [*a]", "alias");
  refused("<<: 1", "merged");
  refused("a: \x01", "line 1");
  refused("a: " + std::string(401, '[') + std::string(401, ']'), "nested too deeply");

  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  std::string chain = "a0: &a0 " + std::string(300, '[') + std::string(300, ']') + "\n";
  for (int i = 1; i < 12; ++i) {
    bomb += fmt::format("a{0}: &a{0} [", i);
    for (int k = 0; k < 10; ++k) {
      bomb += fmt::format("*a{}, ", i - 1);
    }
    bomb += "]\n";
    chain += fmt::format("a{0}: &a{0} {1}*a{2}{3}\n", i, std::string(300, '['), i - 1,
                         std::string(300, ']'));
  }
  refused(bomb, "more than a million values");
  refused(chain, "nested too deeply");
  refused(
      "a: &a " + std::string(1000000, 'x') + "\nb: [" +
          [] {
            std::string aliases;
            for (int i = 0; i < 100; ++i) {
              aliases += "*a, ";
            }
            return aliases;
          }() +
          "]",
      "aliases expanded");
}

TEST_CASE("Deep user metadata survives", "[yaml]") {
  std::string yaml;
  for (std::size_t level = 0; level < 150; ++level) {
    yaml += std::string(level * 2, ' ') + "k:\n";
  }
  yaml += std::string(300, ' ') + "end\n";
  const std::string normal = normalize_user_yaml(yaml);
  CHECK(normalize_user_yaml(normal) == normal);
  CHECK(user_yaml_to_json(normal).find("\"end\"" + std::string(150, '}')) != std::string::npos);
}

TEST_CASE("A user key is set at any level", "[yaml]") {
  CHECK(set_user_key("", "subject.id", "7") == "subject:\n  id: 7\n");
  CHECK(set_user_key("subject: {id: 7}\nz: 1", "subject.id", "'7'") ==
        "subject:\n  id: '7'\nz: 1\n");
  CHECK(set_user_key("subject: {id: 7}", "subject.tags", "[a, b]") ==
        "subject:\n  id: 7\n  tags:\n  - a\n  - b\n");
  CHECK(set_user_key("a: ", "a.b", "") == "a:\n  b: null\n");
  CHECK(set_user_key("1: x", "1", "z") == "1: z\n");
  const auto refused = [](const std::string& yaml, const std::string& key,
                          const std::string& value) {
    return error_of([&] { set_user_key(yaml, key, value); }).kind;
  };
  CHECK(refused("a: 1", "a.b", "2") == ErrorKind::invalid_argument);
  CHECK(refused("", "", "2") == ErrorKind::invalid_argument);
  CHECK(refused("", "a..b", "2") == ErrorKind::invalid_argument);
  CHECK(refused("", "__store", "2") == ErrorKind::invalid_argument);
  CHECK(refused("", "a", "[1") == ErrorKind::invalid_argument);
  std::string deep = "a";
  for (int i = 0; i < 100000; ++i) {
    deep += ".a";
  }
  CHECK(refused("", deep, "1") == ErrorKind::invalid_argument);
}

TEST_CASE("User metadata as JSON", "[yaml]") {
  CHECK(user_yaml_to_json("") == "null");
  CHECK(user_yaml_to_json("a: [1, yes, x]\n2: {b: '\"\\'}\nyes: .nan\n~: 2020-01-01") ==
        R"({"a": [1, true, "x"], "2": {"b": "\"\\"}, "true": NaN, "null": "2020-01-01"})");
}

TEST_CASE("PyYAML reads all that is written, and reads it the same", "[yaml][python]") {
  if (lacks_python()) {
    return;
  }
  const TemporaryFolder folder;
  // Each as a quoted string, which must stay one, and as it stands, which PyYAML has to judge.
  const auto words = nlohmann::json::parse(R"([
    "yes", "no", "on", "off", "y", "n", "true", "NULL", "~", "", " ", "1e3", "1.5e3", "1.5e+3",
    "0o7", "07", "1:30", "1:30.5", "2020-01-01", "2020-13-45", "2026-11-22T06:28:11.142833",
    "12e345", "75", "0x", "0x1F", "0b1", "1_000", "_1", ".", "..", ".5", ".inf", "-.inf", ".nan",
    "<<", "=", "-", "- a", "a: b", "a #b", "#a", "[a", "{a", "*a", "&a", "!a", "|", ">", "@a", "`a",
    "%a", "?", "? a", ":", ",", "'", "\"", "\\", "it's", "a\nb", "\ttab", "trailing ", " leading",
    "\u00fcmlaut", "\u65e5\u672c", "\u2028", "\u0085", "\u00a0", "\u007f", "\u0007", "\ufeff",
    "---", "...", "+1", "-1", "0", "-0", "0_", "123456789012345678901234567890"])");
  std::string quoted;
  std::string plain;
  for (std::size_t i = 0; i < words.size(); ++i) {
    // Of JSON's escapes for these, YAML has all.
    quoted += fmt::format("k{}: {}\n", i, words[i].dump(-1, ' ', /*ensure_ascii=*/true));
    try {
      plain += normalize_user_yaml(fmt::format("p{}: {}\n", i, words[i].get<std::string>()));
    } catch (const Error&) {
      // Not YAML without quotes.
    }
  }
  StoreMetadata metadata = video_metadata();
  metadata.user_yaml = quoted + plain;
  write_metadata(folder.path(), metadata);
  write_text(folder.path() / "words.json", words.dump());
  write_text(folder.path() / "ours.json", user_yaml_to_json(metadata.user_yaml));
  run_python(folder.path(), R"(
import datetime, json, yaml
words = json.load(open('words.json', encoding='utf-8'))
ours = json.load(open('ours.json', encoding='utf-8'))
all = yaml.safe_load(open('metadata.yaml', encoding='utf-8'))
store = all.pop('__store')
assert store['created_utc'] == '2026-11-22T06:28:11.142833', store
assert store['uuid'] == '75dd116f44124f9186a0a6c5ce82a29e', store
assert store['encoding'] is None and store['version'] == 2 and store['imgshape'] == [480, 640]
for i, word in enumerate(words):
    assert all['k%d' % i] == word and type(all['k%d' % i]) is str, (i, word, all['k%d' % i])
    try:
        value = yaml.safe_load('k: ' + word)['k']
    except Exception:
        continue
    key = 'p%d' % i
    if key in all and not isinstance(value, (dict, list)):
        theirs = all[key]
        assert repr(theirs) == repr(value), (word, value, theirs)
        if not isinstance(value, datetime.date):
            assert repr(ours[key]) == repr(value), (word, value, ours[key])
)");
}

TEST_CASE("Metadata that PyYAML dumps comes back from here the same", "[yaml][python]") {
  if (lacks_python()) {
    return;
  }
  const TemporaryFolder folder;
  const std::string value = R"(
import datetime, yaml
value = {'text': ['multi\nline\n', 'tab\t', 'nbsp\u00a0', 'nel\x85x', 'x' * 300, '',
                  'yes', '\U0001F41F'],
         'numbers': [1, -2.5, 1e300, float('inf'), 10**30, True, None],
         'deep': {'a': [{'b': [[], {}, [[1]]]}]}, 3: 'int key', None: 1, True: 2, 'k' * 1500: [1],
         'date': datetime.date(2020, 2, 29), 'time': datetime.datetime(2020, 2, 29, 1, 2, 3, 4),
         'bytes': [b'\x00\xff'], 'set': {'a', 'b'}}
shared = [1, 2]
value['one'] = value['two'] = shared
)";
  run_python(folder.path(), value + R"(
for i, options in enumerate([{}, dict(default_flow_style=True), dict(default_flow_style=False),
                             dict(allow_unicode=True, width=20), dict(default_style='"'),
                             dict(default_style='|', indent=4), dict(default_style='>')]):
    yaml.safe_dump(value, open('in%d.yaml' % i, 'w', encoding='utf-8'), sort_keys=False, **options)
)");
  for (int i = 0; i < 7; ++i) {
    const std::string text = base::read_text(folder.path() / fmt::format("in{}.yaml", i));
    const std::string normal = normalize_user_yaml(text);
    CHECK(normalize_user_yaml(normal) == normal);
    write_text(folder.path() / fmt::format("out{}.yaml", i), normal);
  }
  run_python(folder.path(), value + R"(
for i in range(7):
    there, back = (yaml.safe_load(open(name % i, encoding='utf-8'))
                   for name in ('in%d.yaml', 'out%d.yaml'))
    assert back == there and list(back) == list(there) and len(back) == len(value), (i, back)
)");
}

// ---- times ---------------------------------------------------------------------------------

TEST_CASE("Times convert to Unix seconds and back", "[time]") {
  CHECK(unix_seconds("1970-01-01T00:00:00") == 0);
  CHECK(unix_seconds("2026-11-22T06:28:11.25") == 1795328891.25);
  CHECK(unix_seconds("2026-11-22T06:28:11.25Z") == 1795328891.25);
  CHECK(unix_seconds("2026-11-22 07:28:11.25+01:00") == 1795328891.25);
  CHECK(unix_seconds("2026-11-22T00:58:11.25-0530") == 1795328891.25);
  CHECK(unix_seconds("2026-11-22") == 1795305600);
  CHECK(unix_seconds("1969-12-31T23:59:59.5") == -0.5);
  CHECK(iso8601_utc(1795328891.25) == "2026-11-22T06:28:11.250000");
  CHECK(iso8601_utc(0) == "1970-01-01T00:00:00");
  CHECK(iso8601_utc(-0.5) == "1969-12-31T23:59:59.500000");
  CHECK(iso8601_utc(0.9999999) == "1970-01-01T00:00:01");
  CHECK(iso8601_utc(951868799) == "2000-02-29T23:59:59");
  for (const char* text : {"2026-11-22T06:28:11.142833", "2001-09-09T01:46:40.999999"}) {
    CHECK(iso8601_utc(unix_seconds(text)) == text);
  }
  const std::string bad = GENERATE(as<std::string>(), "", "now", "2026-13-01", "2026-02-29",
                                   "2026-11-22T24:00:00", "2026-11-22T06:28:11x", "26-11-22",
                                   "2026-11-22T06:60:00", "2026-11-22T06:28:11+99:00");
  CAPTURE(bad);
  CHECK(error_of([&] { unix_seconds(bad); }).kind == ErrorKind::invalid_argument);
  CHECK(error_of([] { iso8601_utc(std::nan("")); }).kind == ErrorKind::invalid_argument);
  CHECK(error_of([] { iso8601_utc(1e18); }).kind == ErrorKind::invalid_argument);
}

TEST_CASE("Now is now", "[time]") {
  const std::string now = utc_now();
  CHECK(now.size() >= 19);
  CHECK(std::abs(unix_seconds(now) - static_cast<double>(std::time(nullptr))) < 5);
}

TEST_CASE("TZ names the zone if it holds a name", "[time]") {
  const char* before = std::getenv("TZ");
  const std::optional<std::string> saved =
      before != nullptr ? std::optional<std::string>(before) : std::nullopt;
  const auto name_with = [](const char* value) {
    ::setenv("TZ", value, 1);
    return local_timezone_name();
  };
  ::unsetenv("TZ");
  const std::string system = local_timezone_name();
  CHECK_FALSE(system.empty());
  CHECK(name_with("America/New_York") == "America/New_York");
  CHECK(name_with(":Europe/Vienna") == "Europe/Vienna");
  CHECK(name_with("/usr/share/zoneinfo/Asia/Tokyo") == "Asia/Tokyo");
  CHECK(name_with("CET-1CEST,M3.5.0,M10.5.0/3") == system);
  CHECK(name_with("Mars/Olympus") == system);
  CHECK(name_with("../../etc/passwd") == system);
  CHECK(name_with("") == system);
  // A store without a zone of its own uses the machine's.
  ::setenv("TZ", "America/New_York", 1);
  CHECK(time_in_folder_name("20190523_110102", "no zone") == unix_seconds("2019-05-23T15:01:02"));
  CHECK_FALSE(time_in_folder_name("20190523110102", "").has_value());
  saved ? ::setenv("TZ", saved->c_str(), 1) : ::unsetenv("TZ");
}

TEST_CASE("UUIDs are random, version 4", "[uuid]") {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const std::string uuid = new_uuid();
    REQUIRE(uuid.size() == 32);
    CHECK(uuid.find_first_not_of("0123456789abcdef") == std::string::npos);
    CHECK(uuid[12] == '4');
    CHECK(std::string("89ab").find(uuid[16]) != std::string::npos);
    seen.insert(uuid);
  }
  CHECK(seen.size() == 100);
}

// ---- extra data ----------------------------------------------------------------------------

TEST_CASE("Extra data keeps every digit and Python's NaN", "[extra]") {
  CHECK(normalize_extra_json(" { \"a\" : [ 1 , -2.50e+3 ] , \"b\":{} ,\n\"c\":[]} ") ==
        R"({"a": [1, -2.50e+3], "b": {}, "c": []})");
  CHECK(normalize_extra_json(R"({"a":NaN,"b":-Infinity,"c":[Infinity,null,true,false]})") ==
        R"({"a": NaN, "b": -Infinity, "c": [Infinity, null, true, false]})");
  CHECK(normalize_extra_json(R"({"n":123456789012345678901234567890})") ==
        R"({"n": 123456789012345678901234567890})");
  CHECK(normalize_extra_json(R"({"s":"NaN \u00e9\ud83d\ude00\ud83d\n\/"})") ==
        "{\"s\": \"NaN \u00e9\U0001F600\\ud83d\\n/\"}");
  CHECK(normalize_extra_json(R"({"a":1,"b":2,"a":3})") == R"({"a": 3, "b": 2})");
  CHECK(normalize_extra_json(R"({"frame_number":1,"a":2,"frame_t\u0069me":3,"frame_index":4})") ==
        R"({"a": 2})");
}

TEST_CASE("What is not one JSON object is no extra data", "[extra][hostile]") {
  const std::string bad =
      GENERATE(as<std::string>(), "", "[]", "1", "{", "{}x", "{\"a\":}", "{\"a\":1,}", "{a:1}",
               "{\"a\":01}", "{\"a\":1.}", "{\"a\":.5}", "{\"a\":+1}", "{\"a\":1e}", "{\"a\":nan}",
               "{\"a\":-NaN}", "{\"a\":\"\n\"}", "{\"a\":\"\\x\"}", "{\"a\":\"\\u12g4\"}",
               "{\"a\":\"\xFF\"}", "{\"a\":\"\xED\xA0\x80\"}", "{\"a\":\"", "{'a':1}",
               "{\"a\":[1,]}", "{\"a\" 1}", "{\"a\":tru}");
  CAPTURE(bad);
  CHECK(error_of([&] { normalize_extra_json(bad); }).kind == ErrorKind::invalid_argument);
}

TEST_CASE("Deep and long JSON ends in an error", "[extra][hostile]") {
  const auto kind = [](const std::string& value) {
    return error_of([&] { normalize_extra_json("{\"a\":" + value + "}"); }).kind;
  };
  CHECK(kind(std::string(1000000, '[')) == ErrorKind::invalid_argument);
  CHECK(kind(std::string(5000, '9')) == ErrorKind::invalid_argument);
}

TEST_CASE("Extra data is written as the reference writes it", "[extra]") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "000000.extra.json";
  const std::vector<ExtraRecord> records = {
      {3, 2045, 1500001000.2801795, R"({"temperature":20.8,"humidity":null})"},
      {4, -1, std::nan(""), "{}"}};
  write_extra_json(file, records);
  CHECK(base::read_text(file) ==
        R"([{"temperature": 20.8, "humidity": null, "frame_time": 1500001000.2801795, )"
        R"("frame_number": 2045, "frame_index": 3}, )"
        R"({"frame_time": NaN, "frame_number": -1, "frame_index": 4}])");
  const std::vector<ExtraRecord> back = read_extra_json(file);
  REQUIRE(back.size() == 2);
  CHECK(back[0].frame_index == 3);
  CHECK(back[0].frame_number == 2045);
  CHECK(back[0].frame_time == 1500001000.2801795);
  CHECK(back[0].json == R"({"temperature": 20.8, "humidity": null})");
  CHECK(std::isnan(back[1].frame_time));
  CHECK(back[1].json == "{}");

  write_extra_json(file, {});
  CHECK(base::read_text(file) == "[]");
  CHECK(read_extra_json(file).empty());
  CHECK(error_of([&] {
          write_extra_json(file, {{0, 0, 0, "oops"}});
        }).kind == ErrorKind::invalid_argument);
  // As pandas writes it: no spaces, columns as floats, missing times null.
  write_text(file, R"([{"frame_time":null,"frame_number":4.0,"frame_index":6,"k":6}])");
  CHECK(read_extra_json(file)[0].frame_number == 4);
  CHECK(std::isnan(read_extra_json(file)[0].frame_time));
}

TEST_CASE("Damaged extra data is refused by name", "[extra][hostile]") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "000001.extra.json";
  const auto refused = [&](const std::string& text, const std::string& why) {
    write_text(file, text);
    const Caught caught = error_of([&] { read_extra_json(file); });
    CAPTURE(text, caught.message);
    CHECK(caught.kind == ErrorKind::corrupt);
    CHECK(caught.says("000001.extra.json"));
    CHECK(caught.says(why));
  };
  const std::string good = R"({"frame_time":1,"frame_number":2,"frame_index":3})";
  refused("", "byte 0");
  refused("{}", "byte 0");
  refused("[1]", "byte 1");
  refused("[" + good, "expected ','");
  refused("[" + good + "]]", "after the end");
  refused("[" + good + R"(,{"frame_time":1,"frame_index":3}])", "record 1: frame_number");
  refused(R"([{"frame_time":1,"frame_number":2}])", "record 0: frame_index");
  refused(R"([{"frame_time":"1","frame_number":2,"frame_index":3}])", "frame_time");
  refused(R"([{"frame_time":1,"frame_number":2.5,"frame_index":3}])", "frame_number");
  refused(R"([{"frame_time":1,"frame_number":1e30,"frame_index":3}])", "frame_number");
  refused(R"([{"frame_time":1,"frame_number":99999999999999999999,"frame_index":3}])",
          "frame_number");
  refused(R"([{"frame_time":1,"frame_number":"","frame_index":3}])", "frame_number");
  CHECK(error_of([&] { read_extra_json(folder.path() / "none"); }).kind == ErrorKind::not_found);
}

TEST_CASE("Python's json reads the extra data written here", "[extra][python]") {
  if (lacks_python()) {
    return;
  }
  const TemporaryFolder folder;
  write_extra_json(
      folder.path() / "e.json",
      {{0, 5, 0.1, R"({"nan":NaN,"big":123456789012345678901234567890,"s":"\ud83d"})"}});
  run_python(folder.path(), R"(
import json, math
[r] = json.load(open('e.json', encoding='utf-8'))
assert math.isnan(r.pop('nan'))
assert r == dict(big=123456789012345678901234567890, s='\ud83d', frame_time=.1, frame_number=5,
                 frame_index=0), r
)");
}

// ---- stores that the reference wrote -------------------------------------------------------

namespace {

// Reads one store and compares it with what the reference reads from it.
void check_golden_store(const fs::path& store, const nlohmann::json& expected) {
  const StoreMetadata metadata = read_metadata(store);
  std::string store_class = expected.at("class_");
  if (store_class == "VideoImgStoreFFMPEG") {
    store_class = "VideoImgStore";
  }
  const auto text = [&expected](const char* key) {
    return expected.contains(key) && expected[key].is_string() ? expected[key].get<std::string>()
                                                               : std::string();
  };
  CHECK(metadata.store_class == store_class);
  CHECK(metadata.format == text("format"));
  CHECK(metadata.encoding == text("encoding"));
  CHECK(metadata.uuid == text("uuid"));
  CHECK(metadata.timezone_local == text("timezone"));
  if (expected.contains("created_utc")) {
    CHECK(metadata.created_utc + "+00:00" == text("created_utc"));
  }
  const auto user = nlohmann::json::parse(user_yaml_to_json(metadata.user_yaml));
  const auto none = nlohmann::json::object();
  CHECK((user.is_null() ? none : user) == expected.value("user_metadata", none));

  // The reference stops at a chunk whose index is lost.
  std::vector<std::int64_t> numbers;
  std::vector<double> times;
  for (const ChunkFile& chunk : find_chunks(store, metadata)) {
    CHECK(fs::exists(store / chunk.data));
    if (!chunk.index) {
      break;
    }
    const ChunkIndex index = read_chunk_index(store / *chunk.index);
    numbers.insert(numbers.end(), index.frame_number.begin(), index.frame_number.end());
    times.insert(times.end(), index.frame_time.begin(), index.frame_time.end());
  }
  CHECK(numbers == expected.at("frame_number").get<std::vector<std::int64_t>>());
  CHECK(times == expected.at("frame_time").get<std::vector<double>>());
}

}  // namespace

TEST_CASE("Stores of the reference read as it reads them", "[golden]") {
  const char* folder = std::getenv("AVSTORE_GOLDEN");
  if (folder == nullptr) {
    WARN("not checked: AVSTORE_GOLDEN does not name a folder of stores");
    return;
  }
  int stores = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!entry.is_directory()) {
      continue;
    }
    fs::path expected = entry.path();
    expected += ".expected.json";
    CAPTURE(entry.path().string());
    check_golden_store(entry.path(), nlohmann::json::parse(base::read_text(expected)));
    ++stores;
  }
  CHECK(stores > 0);
}
