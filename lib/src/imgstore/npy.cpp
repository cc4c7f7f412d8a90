#include "imgstore/npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "avstore/error.h"
#include "imgstore/utf8.h"

namespace avstore::imgstore {
namespace {

constexpr std::array<std::uint8_t, 6> kMagic = {0x93, 'N', 'U', 'M', 'P', 'Y'};
constexpr std::size_t kAlignment = 64;
constexpr std::size_t kMaxDimensions = 64;
constexpr std::size_t kMaxDtypeLength = 64;
constexpr char kNativeOrder = std::endian::native == std::endian::little ? '<' : '>';
constexpr std::int64_t kMaxCount = std::numeric_limits<std::int64_t>::max();

[[noreturn]] void corrupt(const std::string& name, const std::string& what) {
  throw Error(ErrorKind::corrupt, name + ": " + what);
}

// ---- types ---------------------------------------------------------------------------------

// A type string taken apart: "<f8" is order '<', kind 'f', size 8.
struct Dtype {
  char order = '|';       // '<', '>', or '|' where it does not matter
  char kind = '\0';       // as NumPy: b, i, u, f, c, S, U, V, M, m, O
  std::size_t size = 0;   // bytes of an element; 0 for objects
  std::size_t parts = 1;  // a complex number is two floats
};

bool parse_size(std::string_view digits, std::size_t& size) {
  constexpr std::size_t kMostDigits = 9;
  if (digits.empty() || digits.size() > kMostDigits ||
      digits.find_first_not_of("0123456789") != std::string_view::npos) {
    return false;
  }
  size = 0;
  for (const char c : digits) {
    size = size * 10 + static_cast<std::size_t>(c - '0');
  }
  return true;
}

bool is_size_of_kind(char kind, std::size_t size) {
  switch (kind) {
    case 'b':
      return size == 1;
    case 'i':
    case 'u':
      return size == 1 || size == 2 || size == 4 || size == 8;
    case 'f':
      return size == 2 || size == 4 || size == 8 || size == 16;
    case 'c':
      return size == 8 || size == 16 || size == 32;
    case 'M':
    case 'm':
      return size == 8;
    case 'S':
    case 'U':
    case 'V':
      return true;
    default:
      return false;
  }
}

bool parse_dtype(std::string_view text, Dtype& dtype) {
  if (text.empty() || text.size() > kMaxDtypeLength) {
    return false;
  }
  dtype.order = kNativeOrder;
  if (std::string_view("<>|=").find(text.front()) != std::string_view::npos) {
    dtype.order = text.front() == '=' ? kNativeOrder : text.front();
    text.remove_prefix(1);
  }
  if (text.empty()) {
    return false;
  }
  dtype.kind = text.front();
  text.remove_prefix(1);
  if (dtype.kind == 'O') {
    dtype.size = 0;
    return text.empty() || text == "4" || text == "8";
  }
  if (dtype.kind == 'M' || dtype.kind == 'm') {
    // The unit, as in M8[ns], does not change how the bytes lie.
    text = text.substr(0, text.find('['));
  }
  if (!parse_size(text, dtype.size) || !is_size_of_kind(dtype.kind, dtype.size)) {
    return false;
  }
  dtype.size *= dtype.kind == 'U' ? 4 : 1;
  dtype.parts = dtype.kind == 'c' ? 2 : 1;
  return true;
}

Dtype dtype_of(const NpyHeader& header) {
  Dtype dtype;
  if (!parse_dtype(header.dtype, dtype)) {
    throw Error(ErrorKind::invalid_argument, "\"" + header.dtype + "\" is no NumPy type");
  }
  return dtype;
}

// ---- the header's text ---------------------------------------------------------------------

// Reads the one kind of Python literal that a header holds:
// {'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }
class LiteralReader {
 public:
  LiteralReader(std::string_view text, const std::string& name) : rest_(text), name_(name) {}

  void read(NpyHeader& header) {
    expect('{');
    while (!accept('}')) {
      read_entry(header);
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (!rest_.empty()) {
      fail("more text after the dictionary");
    }
    if (seen_ != (kDescr | kOrder | kShape)) {
      fail("descr, fortran_order or shape is missing");
    }
  }

 private:
  static constexpr unsigned kDescr = 1;
  static constexpr unsigned kOrder = 2;
  static constexpr unsigned kShape = 4;

  [[noreturn]] void fail(const std::string& what) const {
    corrupt(name_, "the array's header: " + what);
  }

  void read_entry(NpyHeader& header) {
    const std::string key = string();
    expect(':');
    if (key == "descr") {
      seen_ |= kDescr;
      header.dtype = type();
    } else if (key == "fortran_order") {
      seen_ |= kOrder;
      header.fortran_order = boolean();
    } else if (key == "shape") {
      seen_ |= kShape;
      header.shape = tuple();
    } else {
      fail("unknown key " + key);
    }
  }

  std::string type() {
    skip_space();
    if (rest_.starts_with('[') || rest_.starts_with('(')) {
      throw Error(ErrorKind::unsupported, name_ + ": an array of structures");
    }
    return string();
  }

  std::string string() {
    skip_space();
    const char quote = rest_.empty() ? '\0' : rest_.front();
    if (quote != '\'' && quote != '"') {
      fail("expected a string");
    }
    const std::size_t end = rest_.find(quote, 1);
    const auto is_odd = [](char c) { return c < ' ' || c > '~' || c == '\\'; };
    if (end == std::string_view::npos || end > kMaxDtypeLength ||
        std::any_of(rest_.begin(), rest_.begin() + static_cast<std::ptrdiff_t>(end), is_odd)) {
      fail("not a string that such a header holds");
    }
    std::string text(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return text;
  }

  bool boolean() {
    skip_space();
    for (const bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (rest_.starts_with(word)) {
        rest_.remove_prefix(word.size());
        return value;
      }
    }
    fail("expected True or False");
  }

  std::vector<std::int64_t> tuple() {
    std::vector<std::int64_t> extents;
    expect('(');
    while (!accept(')')) {
      if (extents.size() == kMaxDimensions) {
        fail("more dimensions than NumPy has");
      }
      extents.push_back(extent());
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return extents;
  }

  std::int64_t extent() {
    skip_space();
    if (rest_.starts_with('-')) {
      fail("a negative extent");
    }
    std::int64_t value = 0;
    std::size_t digits = 0;
    for (; digits < rest_.size() && rest_[digits] >= '0' && rest_[digits] <= '9'; ++digits) {
      const std::int64_t digit = rest_[digits] - '0';
      if (value > (kMaxCount - digit) / 10) {
        fail("an extent past all bounds");
      }
      value = value * 10 + digit;
    }
    if (digits == 0) {
      fail("expected a number");
    }
    rest_.remove_prefix(digits);
    // Python 2 wrote long integers so.
    if (rest_.starts_with('L')) {
      rest_.remove_prefix(1);
    }
    return value;
  }

  bool accept(char c) {
    skip_space();
    if (!rest_.starts_with(c)) {
      return false;
    }
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!accept(c)) {
      fail(fmt::format("expected '{}'", c));
    }
  }
  void skip_space() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size()));
  }

  std::string_view rest_;
  const std::string& name_;
  unsigned seen_ = 0;
};

// The header's text, and where it ends.
std::string_view header_text(std::span<const std::uint8_t> bytes, const std::string& name,
                             std::size_t& end) {
  constexpr std::size_t kVersionAt = kMagic.size();
  constexpr std::size_t kLengthAt = kVersionAt + 2;
  if (bytes.size() < kLengthAt + 2 || !std::equal(kMagic.begin(), kMagic.end(), bytes.begin())) {
    corrupt(name, "not a NumPy array");
  }
  const unsigned version = bytes[kVersionAt];
  if (version < 1 || version > 3) {
    throw Error(ErrorKind::unsupported,
                fmt::format("{}: version {} of NumPy's array format", name, version));
  }
  const std::size_t width = version == 1 ? 2 : 4;
  const std::size_t start = kLengthAt + width;
  std::size_t length = 0;
  for (std::size_t i = 0; i < width && kLengthAt + i < bytes.size(); ++i) {
    length |= std::size_t{bytes[kLengthAt + i]} << (8 * i);
  }
  if (bytes.size() < start || length > bytes.size() - start) {
    corrupt(name, "the array's header goes past the end of the file");
  }
  end = start + length;
  return {reinterpret_cast<const char*>(bytes.data()) + start, length};
}

// The product of the extents; false if it does not fit.
bool count_elements(std::span<const std::int64_t> shape, std::int64_t& count) {
  count = 1;
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) {
    count = 0;
    return true;
  }
  for (const std::int64_t extent : shape) {
    if (extent < 0 || count > kMaxCount / extent) {
      return false;
    }
    count *= extent;
  }
  return true;
}

void check_size(const NpyHeader& header, const Dtype& dtype, std::size_t file_size,
                const std::string& name) {
  std::int64_t count = 0;
  if (!count_elements(header.shape, count)) {
    corrupt(name, "a shape of more elements than there can be");
  }
  const std::size_t room = file_size - std::min(file_size, header.data_offset);
  if (dtype.size > 0 && static_cast<std::uint64_t>(count) > room / dtype.size) {
    corrupt(name, fmt::format("claims {} elements of {} bytes, but only {} bytes follow", count,
                              dtype.size, room));
  }
}

// ---- elements ------------------------------------------------------------------------------

// IEEE half precision.
double half_to_double(std::uint16_t bits) {
  constexpr int kBias = 15;
  const int exponent = (bits >> 10U) & 0x1F;
  const int fraction = bits & 0x3FF;
  double magnitude = 0;
  if (exponent == 0x1F) {
    magnitude = fraction == 0 ? std::numeric_limits<double>::infinity()
                              : std::numeric_limits<double>::quiet_NaN();
  } else {
    const int significand = exponent == 0 ? fraction : fraction + 0x400;
    magnitude = std::ldexp(significand, std::max(exponent, 1) - kBias - 10);
  }
  return (bits & 0x8000U) != 0 ? -magnitude : magnitude;
}

// The x87's 80 bits, padded to 16 bytes: what NumPy calls f16 on x86, little-endian there.
double extended_to_double(const std::array<std::uint8_t, 16>& bytes) {
  constexpr int kBias = 16383;
  std::uint64_t significand = 0;
  for (std::size_t i = 8; i-- > 0;) {
    significand = (significand << 8U) | bytes[i];
  }
  const int exponent = ((bytes[9] & 0x7F) << 8) | bytes[8];
  double magnitude = 0;
  if (exponent == 0x7FFF) {
    magnitude = (significand << 1U) == 0 ? std::numeric_limits<double>::infinity()
                                         : std::numeric_limits<double>::quiet_NaN();
  } else {
    magnitude = std::ldexp(static_cast<double>(significand), std::max(exponent, 1) - kBias - 63);
  }
  return (bytes[9] & 0x80U) != 0 ? -magnitude : magnitude;
}

template <std::size_t Size>
std::array<std::uint8_t, Size> load_bytes(const std::uint8_t* data, bool swap) {
  std::array<std::uint8_t, Size> bytes;
  std::memcpy(bytes.data(), data, Size);
  if (swap) {
    std::reverse(bytes.begin(), bytes.end());
  }
  return bytes;
}

template <class Value>
Value load(const std::uint8_t* data, bool swap) {
  return std::bit_cast<Value>(load_bytes<sizeof(Value)>(data, swap));
}

// Call `visit` with each element, in the type it has.
template <class Value, class Visitor>
void visit_all(std::span<const std::uint8_t> data, bool swap, const Visitor& visit) {
  for (std::size_t at = 0; at < data.size(); at += sizeof(Value)) {
    visit(load<Value>(data.data() + at, swap));
  }
}

template <class Visitor>
bool visit_integers(const Dtype& dtype, std::span<const std::uint8_t> data, bool swap,
                    const Visitor& visit) {
  const bool is_signed = dtype.kind == 'i';
  switch (dtype.size) {
    case 1:
      is_signed ? visit_all<std::int8_t>(data, swap, visit)
                : visit_all<std::uint8_t>(data, swap, visit);
      return true;
    case 2:
      is_signed ? visit_all<std::int16_t>(data, swap, visit)
                : visit_all<std::uint16_t>(data, swap, visit);
      return true;
    case 4:
      is_signed ? visit_all<std::int32_t>(data, swap, visit)
                : visit_all<std::uint32_t>(data, swap, visit);
      return true;
    default:
      is_signed ? visit_all<std::int64_t>(data, swap, visit)
                : visit_all<std::uint64_t>(data, swap, visit);
      return true;
  }
}

template <class Visitor>
void visit_floats(const Dtype& dtype, std::span<const std::uint8_t> data, bool swap,
                  const Visitor& visit) {
  switch (dtype.size) {
    case 2:
      visit_all<std::uint16_t>(data, swap,
                               [&](std::uint16_t bits) { visit(half_to_double(bits)); });
      return;
    case 4:
      visit_all<float>(data, swap, [&](float value) { visit(static_cast<double>(value)); });
      return;
    case 8:
      visit_all<double>(data, swap, visit);
      return;
    default:
      for (std::size_t at = 0; at < data.size(); at += dtype.size) {
        visit(extended_to_double(load_bytes<16>(data.data() + at, dtype.order == '>')));
      }
  }
}

bool must_swap(const Dtype& dtype) {
  return dtype.order != '|' && dtype.order != kNativeOrder;
}

std::span<const std::uint8_t> element_bytes(const NpyHeader& header,
                                            std::span<const std::uint8_t> file) {
  const auto count = static_cast<std::size_t>(header.element_count());
  return file.subspan(header.data_offset, count * header.element_size());
}

template <class Result, class Visitor>
std::vector<Result> convert(std::span<const std::uint8_t> file, const std::string& name,
                            const Visitor& to_result) {
  const NpyHeader header = parse_npy_header(file, file.size(), name);
  const Dtype dtype = dtype_of(header);
  const bool is_float = dtype.kind == 'f';
  if (!is_float && dtype.kind != 'i' && dtype.kind != 'u' && dtype.kind != 'b') {
    corrupt(name, "holds no numbers but the type " + header.dtype);
  }
  if (header.shape.size() > 1) {
    corrupt(name, fmt::format("has {} dimensions, one is needed", header.shape.size()));
  }
  std::vector<Result> out;
  out.reserve(static_cast<std::size_t>(header.element_count()));
  const auto append = [&](auto value) { out.push_back(to_result(value)); };
  const auto data = element_bytes(header, file);
  if (is_float) {
    visit_floats(dtype, data, must_swap(dtype), append);
  } else {
    visit_integers(dtype, data, must_swap(dtype), append);
  }
  return out;
}

// A whole number within the range; throws otherwise.
std::int64_t whole(double value, const std::string& name) {
  constexpr double kLimit = 9223372036854775808.0;  // 2^63
  if (!(value >= -kLimit && value < kLimit) || value != std::floor(value)) {
    corrupt(name, fmt::format("holds {}, which is not a whole number", value));
  }
  return static_cast<std::int64_t>(value);
}

void copy_element(std::uint8_t* to, const std::uint8_t* from, const Dtype& dtype) {
  if (!must_swap(dtype)) {
    std::memcpy(to, from, dtype.size);
    return;
  }
  const std::size_t part = dtype.size / dtype.parts;
  for (std::size_t start = 0; start < dtype.size; start += part) {
    std::reverse_copy(from + start, from + start + part, to + start);
  }
}

// Where the elements lie that come one after the other in C order.
class FortranOrder {
 public:
  explicit FortranOrder(const std::vector<std::int64_t>& shape)
      : shape_(shape), strides_(shape.size()), index_(shape.size(), 0) {
    std::size_t stride = 1;
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      strides_[axis] = stride;
      stride *= static_cast<std::size_t>(shape[axis]);
    }
  }
  std::size_t place() const { return place_; }
  void advance() {
    for (std::size_t axis = shape_.size(); axis-- > 0;) {
      place_ += strides_[axis];
      if (++index_[axis] < shape_[axis]) {
        return;
      }
      place_ -= strides_[axis] * static_cast<std::size_t>(shape_[axis]);
      index_[axis] = 0;
    }
  }

 private:
  const std::vector<std::int64_t>& shape_;
  std::vector<std::size_t> strides_;  // in elements
  std::vector<std::int64_t> index_;
  std::size_t place_ = 0;
};

// ---- making files --------------------------------------------------------------------------

template <class Value>
void append_little_endian(std::vector<std::uint8_t>& out, Value value) {
  const auto bytes =
      load_bytes<sizeof(Value)>(reinterpret_cast<const std::uint8_t*>(&value), kNativeOrder == '>');
  out.insert(out.end(), bytes.begin(), bytes.end());
}

template <class Value>
std::vector<std::uint8_t> array_file(const std::string& dtype, std::span<const Value> values) {
  const std::array<std::int64_t, 1> shape = {static_cast<std::int64_t>(values.size())};
  std::vector<std::uint8_t> out = npy_header(dtype, shape);
  out.reserve(out.size() + values.size_bytes());
  for (const Value value : values) {
    append_little_endian(out, value);
  }
  return out;
}

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] < 0) {
      throw Error(ErrorKind::invalid_argument, "an array cannot have a negative extent");
    }
    text += (i > 0 ? " " : "") + std::to_string(shape[i]);
    text += i + 1 < shape.size() || shape.size() == 1 ? "," : "";
  }
  return text + ')';
}

}  // namespace

std::int64_t NpyHeader::element_count() const {
  std::int64_t count = 0;
  return count_elements(shape, count) ? count : kMaxCount;
}

std::size_t NpyHeader::element_size() const {
  return dtype_of(*this).size;
}

NpyHeader parse_npy_header(std::span<const std::uint8_t> bytes, std::size_t file_size,
                           const std::string& name) {
  NpyHeader header;
  LiteralReader(header_text(bytes, name, header.data_offset), name).read(header);
  Dtype dtype;
  if (!parse_dtype(header.dtype, dtype)) {
    corrupt(name, "\"" + header.dtype + "\" is no NumPy type");
  }
  check_size(header, dtype, file_size, name);
  return header;
}

std::vector<std::uint8_t> npy_header(const std::string& dtype, std::span<const std::int64_t> shape,
                                     bool fortran_order) {
  Dtype parsed;
  if (!parse_dtype(dtype, parsed)) {
    throw Error(ErrorKind::invalid_argument, "\"" + dtype + "\" is no NumPy type");
  }
  constexpr std::size_t kBeforeText = kMagic.size() + 4;
  std::string text = fmt::format("{{'descr': '{}', 'fortran_order': {}, 'shape': {}, }}", dtype,
                                 fortran_order ? "True" : "False", shape_text(shape));
  const std::size_t unpadded = kBeforeText + text.size() + 1;
  text.append((kAlignment - unpadded % kAlignment) % kAlignment, ' ');
  text += '\n';
  std::vector<std::uint8_t> out(kMagic.begin(), kMagic.end());
  out.push_back(1);
  out.push_back(0);
  append_little_endian(out, static_cast<std::uint16_t>(text.size()));
  out.insert(out.end(), text.begin(), text.end());
  return out;
}

std::vector<std::uint8_t> npy_of(std::span<const std::int64_t> values) {
  return array_file("<i8", values);
}

std::vector<std::uint8_t> npy_of(std::span<const double> values) {
  return array_file("<f8", values);
}

std::vector<std::uint8_t> npy_scalar(std::int64_t value) {
  std::vector<std::uint8_t> out = npy_header("<i8", {});
  append_little_endian(out, value);
  return out;
}

std::vector<std::uint8_t> npy_scalar(std::string_view text) {
  std::vector<std::uint8_t> characters;
  for (std::size_t position = 0; position < text.size();) {
    const char32_t c = next_code_point(text, position);
    if (c == kInvalidCodePoint) {
      throw Error(ErrorKind::invalid_argument, "a string that is not UTF-8");
    }
    append_little_endian(characters, static_cast<std::uint32_t>(c));
  }
  // NumPy has no strings of length 0: it stores one character, a zero.
  characters.resize(std::max<std::size_t>(characters.size(), 4));
  std::vector<std::uint8_t> out = npy_header("<U" + std::to_string(characters.size() / 4), {});
  out.insert(out.end(), characters.begin(), characters.end());
  return out;
}

std::vector<std::int64_t> npy_to_int64(std::span<const std::uint8_t> file,
                                       const std::string& name) {
  return convert<std::int64_t>(file, name, [&name](auto value) {
    using Value = decltype(value);
    if constexpr (std::is_same_v<Value, double>) {
      return whole(value, name);
    } else {
      if (std::is_same_v<Value, std::uint64_t> &&
          static_cast<std::uint64_t>(value) > static_cast<std::uint64_t>(kMaxCount)) {
        corrupt(name, fmt::format("holds {}, past the largest frame number", value));
      }
      return static_cast<std::int64_t>(value);
    }
  });
}

std::vector<double> npy_to_double(std::span<const std::uint8_t> file, const std::string& name) {
  return convert<double>(file, name, [](auto value) { return static_cast<double>(value); });
}

std::vector<std::uint8_t> npy_to_c_order(std::span<const std::uint8_t> file, NpyHeader& header,
                                         const std::string& name) {
  header = parse_npy_header(file, file.size(), name);
  const Dtype dtype = dtype_of(header);
  if (std::string_view("biufc").find(dtype.kind) == std::string_view::npos) {
    throw Error(ErrorKind::unsupported, name + ": holds no numbers but the type " + header.dtype);
  }
  const auto data = element_bytes(header, file);
  std::vector<std::uint8_t> out(data.size());
  FortranOrder fortran(header.shape);
  for (std::size_t at = 0; at < out.size(); at += dtype.size) {
    const std::size_t from = header.fortran_order ? fortran.place() * dtype.size : at;
    copy_element(out.data() + at, data.data() + from, dtype);
    fortran.advance();
  }
  header.fortran_order = false;
  const char order = dtype.size == 1 ? '|' : kNativeOrder;
  header.dtype = order + (dtype.kind + std::to_string(dtype.size));
  return out;
}

}  // namespace avstore::imgstore
