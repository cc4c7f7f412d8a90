// Arrays in .npy files: what they hold byte by byte, that NumPy reads them, and that hostile ones
// are refused by name.
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "avstore/error.h"
#include "base/files.h"
#include "imgstore/npy.h"
#include "support/catch.h"
#include "support/imgstore_files.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/programs.h"

using namespace avstore;            // NOLINT
using namespace avstore::imgstore;  // NOLINT
using namespace avstore::test;      // NOLINT

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
  const Error caught = error_of([&] { npy_to_int64(file, "evil.npy"); });
  CHECK(caught.kind() == ErrorKind::corrupt);
  CHECK(says(caught, "evil.npy"));
}

TEST_CASE("A .npy file that is cut off anywhere is refused", "[npy][hostile]") {
  const Bytes whole = npy_of(std::span(odd_numbers()));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
    CAPTURE(length);
    CHECK(error_of([&] { npy_to_int64(cut, "cut.npy"); }).kind() == ErrorKind::corrupt);
  }
  CHECK(npy_to_int64(whole, "whole.npy") == odd_numbers());
}

TEST_CASE("Arrays that hold no numbers are not read as numbers", "[npy][hostile]") {
  // What follows the header would be a pickle.
  const Bytes pickle = array_of("|O", "(1,)", bytes_of("\x80\x04N."));
  CHECK(error_of([&] { npy_to_int64(pickle, "o.npy"); }).kind() == ErrorKind::corrupt);
  const Bytes strings = array_of("<U1", "(1,)", Bytes(4));
  CHECK(error_of([&] { npy_to_double(strings, "s.npy"); }).kind() == ErrorKind::corrupt);
  const Bytes plane = array_of("|u1", "(2, 2)", Bytes(4));
  CHECK(error_of([&] { npy_to_int64(plane, "p.npy"); }).kind() == ErrorKind::corrupt);
  const Bytes records = array_with_header(
      "{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (1,), }", Bytes(4));
  CHECK(error_of([&] { npy_to_int64(records, "r.npy"); }).kind() == ErrorKind::unsupported);
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
    return error_of([&] { npy_to_int64(array_of(dtype, "(1,)", data), "a.npy"); }).kind();
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
  if (!has_python_modules()) {
    SKIP("needs python3 with numpy and yaml");
  }
  const TemporaryFolder folder;
  const auto save = [&folder](const std::string& name, const Bytes& bytes) {
    base::write_file_atomically(folder.path() / name, std::span<const std::uint8_t>(bytes));
  };
  save("numbers.npy", npy_of(std::span(odd_numbers())));
  save("times.npy", npy_of(std::span(odd_times())));
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
