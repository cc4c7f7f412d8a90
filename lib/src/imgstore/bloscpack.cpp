#include "imgstore/bloscpack.h"

#include <blosc.h>
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <string_view>

#include "avstore/error.h"
#include "imgstore/json_text.h"
#include "imgstore/npy.h"

namespace avstore::imgstore {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::string_view kMagic = "blpk";
constexpr std::size_t kHeaderSize = 32;
constexpr int kVersion = 3;
constexpr unsigned kHasOffsets = 1;
constexpr unsigned kHasMetadata = 2;
constexpr std::size_t kMaxMetadata = std::size_t{1} << 20U;
constexpr std::size_t kWrittenChunk = std::size_t{1} << 20U;
// No compressor of Blosc's makes this much of a byte; more is a lie that would cost memory.
constexpr std::uint64_t kMostExpansion = 20000;
// As long as the longest image file that is read.
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 32U;
constexpr std::size_t kMostDimensions = 64;

[[noreturn]] void corrupt(const std::string& name, const std::string& what) {
  throw Error(ErrorKind::corrupt, name + ": " + what);
}

// ---- bytes ---------------------------------------------------------------------------------

template <class Value>
Value little_endian(Bytes bytes, std::size_t at) {
  std::uint64_t value = 0;
  for (std::size_t i = sizeof(Value); i-- > 0;) {
    value = (value << 8U) | bytes[at + i];
  }
  return static_cast<Value>(value);
}

template <class Value>
void append(std::vector<std::uint8_t>& out, Value value) {
  auto rest = static_cast<std::uint64_t>(value);
  for (std::size_t i = 0; i < sizeof(Value); ++i, rest >>= 8U) {
    out.push_back(static_cast<std::uint8_t>(rest));
  }
}

// Goes through a file from front to back and never past its end.
class Cursor {
 public:
  Cursor(Bytes file, const std::string& name) : file_(file), name_(name) {}

  Bytes take(std::uint64_t size) {
    if (size > file_.size() - position_) {
      corrupt(name_, "cut off");
    }
    const Bytes taken = file_.subspan(position_, static_cast<std::size_t>(size));
    position_ += taken.size();
    return taken;
  }
  // Not back: chunks that lie over one another would be decompressed to many times the file.
  void go_on_to(std::int64_t position) {
    if (position < 0 || static_cast<std::uint64_t>(position) > file_.size()) {
      corrupt(name_, "a chunk is said to lie past the end");
    }
    if (static_cast<std::uint64_t>(position) < position_) {
      corrupt(name_, "a chunk is said to lie over what comes before it");
    }
    position_ = static_cast<std::size_t>(position);
  }
  std::size_t left() const { return file_.size() - position_; }

 private:
  Bytes file_;
  const std::string& name_;
  std::size_t position_ = 0;
};

// ---- checksums -----------------------------------------------------------------------------

enum Checksum : unsigned { kNoChecksum = 0, kAdler32 = 1, kCrc32 = 2 };

std::size_t digest_size(unsigned kind, const std::string& name) {
  constexpr std::array<std::size_t, 9> kSizes{0, 4, 4, 16, 20, 28, 32, 48, 64};
  if (kind >= kSizes.size()) {
    corrupt(name, fmt::format("checksum {} is none", kind));
  }
  return kSizes[kind];
}

std::uint32_t adler32_of(Bytes bytes) {
  return static_cast<std::uint32_t>(::adler32_z(1, bytes.data(), bytes.size()));
}

void check_digest(unsigned kind, Bytes bytes, Bytes digest, const std::string& name) {
  if (kind != kAdler32 && kind != kCrc32) {
    return;
  }
  const auto made = kind == kAdler32
                        ? adler32_of(bytes)
                        : static_cast<std::uint32_t>(::crc32_z(0, bytes.data(), bytes.size()));
  if (little_endian<std::uint32_t>(digest, 0) != made) {
    corrupt(name, "damaged: a checksum does not match");
  }
}

// ---- headers -------------------------------------------------------------------------------

struct Header {
  unsigned options = 0;
  unsigned checksum = 0;
  std::int64_t chunk_size = 0;  // bytes once decompressed, of all but the last
  std::int64_t last_chunk = 0;
  std::int64_t chunks = 0;
  std::int64_t offsets = 0;  // how many there is room for

  std::int64_t size() const { return (chunks - 1) * chunk_size + last_chunk; }
};

Header read_header(Cursor& cursor, const std::string& name) {
  const Bytes bytes = cursor.take(kHeaderSize);
  if (!std::equal(kMagic.begin(), kMagic.end(), bytes.begin())) {
    corrupt(name, "not a Bloscpack file");
  }
  if (bytes[4] != kVersion) {
    throw Error(ErrorKind::unsupported,
                fmt::format("{}: version {} of the Bloscpack format", name, bytes[4]));
  }
  Header header;
  header.options = bytes[5];
  header.checksum = bytes[6];
  header.chunk_size = little_endian<std::int32_t>(bytes, 8);
  header.last_chunk = little_endian<std::int32_t>(bytes, 12);
  header.chunks = little_endian<std::int64_t>(bytes, 16);
  const auto more = little_endian<std::int64_t>(bytes, 24);
  // Each chunk begins with a header of its own, so there cannot be many more than that.
  const auto most = static_cast<std::int64_t>(cursor.left() / BLOSC_MIN_HEADER_LENGTH);
  if (header.chunks < 1 || header.chunks > most || header.chunk_size < 0 || header.last_chunk < 0) {
    corrupt(name, fmt::format("claims {} chunks of {} bytes", header.chunks, header.chunk_size));
  }
  const auto size = static_cast<std::uint64_t>(header.size());
  if (size > kMostBytes || size / kMostExpansion > cursor.left()) {
    corrupt(name, fmt::format("claims to hold {} bytes", size));
  }
  header.offsets = header.chunks;
  if (more > 0) {
    const auto room = static_cast<std::int64_t>(cursor.left() / sizeof(std::int64_t));
    header.offsets += std::min(more, room);
  }
  return header;
}

std::vector<std::uint8_t> inflate_all(Bytes stored, std::size_t size, const std::string& name) {
  std::vector<std::uint8_t> out(size);
  auto out_size = static_cast<uLongf>(size);
  if (::uncompress(out.data(), &out_size, stored.data(), static_cast<uLong>(stored.size())) !=
          Z_OK ||
      out_size != size) {
    corrupt(name, "the metadata cannot be decompressed");
  }
  return out;
}

std::string read_metadata_text(Cursor& cursor, const std::string& name) {
  const Bytes header = cursor.take(kHeaderSize);
  const unsigned checksum = header[9];
  const unsigned codec = header[10];
  const auto size = little_endian<std::uint32_t>(header, 12);
  const auto allocated = little_endian<std::uint32_t>(header, 16);
  const auto stored_size = little_endian<std::uint32_t>(header, 20);
  if (size > kMaxMetadata || stored_size > allocated || codec > 1) {
    corrupt(name, "its metadata are not readable");
  }
  const Bytes stored = cursor.take(allocated).first(stored_size);
  check_digest(checksum, stored, cursor.take(digest_size(checksum, name)), name);
  if (codec == 0) {
    return {stored.begin(), stored.end()};
  }
  const auto text = inflate_all(stored, size, name);
  return {text.begin(), text.end()};
}

// What the metadata say of the array.
struct Array {
  std::string dtype;
  std::vector<std::int64_t> shape;
  bool fortran_order = false;
};

// The dtype is a Python literal within a JSON string: "'<u2'".
std::string unquoted(const std::string& json) {
  std::string text;
  for (const char c : json) {
    if (c != '"' && c != '\'') {
      text += c;
    }
  }
  return text;
}

std::int64_t extent(const std::string& json, const std::string& name) {
  std::int64_t value = -1;
  const char* end = json.data() + json.size();
  const auto result = std::from_chars(json.data(), end, value);
  if (result.ec != std::errc() || result.ptr != end || value < 0) {
    corrupt(name, "its shape is none: " + json);
  }
  return value;
}

std::vector<std::int64_t> parse_shape(const std::string& json, const std::string& name) {
  std::vector<std::int64_t> shape;
  JsonReader reader(json);
  reader.enter_array();
  while (reader.next_element()) {
    if (shape.size() == kMostDimensions) {
      corrupt(name, "more dimensions than NumPy has");
    }
    shape.push_back(extent(reader.value(), name));
  }
  return shape;
}

Array parse_metadata(const std::string& text, const std::string& name) {
  Array array;
  try {
    JsonReader reader(text);
    for (const JsonMember& member : reader.object()) {
      if (member.key == "dtype") {
        array.dtype = unquoted(member.value);
      } else if (member.key == "shape") {
        array.shape = parse_shape(member.value, name);
      } else if (member.key == "order") {
        array.fortran_order = unquoted(member.value) == "F";
      }
    }
  } catch (const JsonError& error) {
    corrupt(name, std::string("metadata: ") + error.what());
  }
  return array;
}

// The header of the array as a .npy file, whose shape must be that of as many bytes as there are.
std::vector<std::uint8_t> header_of(const Array& array, const Header& header,
                                    const std::string& name) {
  std::vector<std::uint8_t> npy;
  try {
    npy = npy_header(array.dtype, array.shape, array.fortran_order);
  } catch (const Error& error) {
    corrupt(name, error.what());
  }
  const auto size = static_cast<std::uint64_t>(header.size());
  const NpyHeader parsed = parse_npy_header(npy, npy.size() + size, name);
  if (static_cast<std::uint64_t>(parsed.element_count()) * parsed.element_size() != size) {
    corrupt(name, fmt::format("holds {} bytes, but an array of another size", size));
  }
  return npy;
}

// ---- chunks --------------------------------------------------------------------------------

std::vector<std::int64_t> read_offsets(Cursor& cursor, const Header& header) {
  if ((header.options & kHasOffsets) == 0) {
    return {};
  }
  const auto count = static_cast<std::uint64_t>(header.offsets);
  const Bytes bytes = cursor.take(count * sizeof(std::int64_t));
  std::vector<std::int64_t> offsets;
  for (std::int64_t i = 0; i < header.chunks; ++i) {
    offsets.push_back(little_endian<std::int64_t>(bytes, static_cast<std::size_t>(i) * 8));
  }
  return offsets;
}

void append_chunk(Cursor& cursor, const Header& header, std::size_t size,
                  std::vector<std::uint8_t>& out, const std::string& name) {
  Cursor ahead = cursor;
  const Bytes start = ahead.take(BLOSC_MIN_HEADER_LENGTH);
  const Bytes chunk = cursor.take(little_endian<std::uint32_t>(start, 12));
  check_digest(header.checksum, chunk, cursor.take(digest_size(header.checksum, name)), name);
  std::size_t claimed = 0;
  if (chunk.size() < BLOSC_MIN_HEADER_LENGTH ||
      ::blosc_cbuffer_validate(chunk.data(), chunk.size(), &claimed) != 0 || claimed != size ||
      claimed / kMostExpansion > chunk.size()) {
    corrupt(name, "a chunk is damaged");
  }
  const std::size_t before = out.size();
  out.resize(before + size);
  const int got = ::blosc_decompress_ctx(chunk.data(), out.data() + before, size, 1);
  if (got < 0 || static_cast<std::size_t>(got) != size) {
    corrupt(name, fmt::format("Blosc cannot decompress a chunk ({})", got));
  }
}

// ---- writing -------------------------------------------------------------------------------

std::vector<std::uint8_t> compress(Bytes bytes, std::size_t element, const std::string& name) {
  std::vector<std::uint8_t> out(bytes.size() + BLOSC_MAX_OVERHEAD);
  constexpr int kLevel = 7;
  const int size = ::blosc_compress_ctx(kLevel, BLOSC_SHUFFLE, element, bytes.size(), bytes.data(),
                                        out.data(), out.size(), BLOSC_BLOSCLZ_COMPNAME, 0, 1);
  if (size <= 0) {
    throw Error(ErrorKind::unsupported, fmt::format("{}: Blosc cannot compress ({})", name, size));
  }
  out.resize(static_cast<std::size_t>(size));
  return out;
}

void append_metadata(std::vector<std::uint8_t>& out, const NpyHeader& header) {
  std::string shape;
  for (const std::int64_t extent : header.shape) {
    shape += (shape.empty() ? "" : ",") + std::to_string(extent);
  }
  const std::string text = fmt::format(
      R"({{"dtype":"'{}'","shape":[{}],"order":"C","container":"numpy"}})", header.dtype, shape);
  constexpr std::string_view kJson("JSON\0\0\0\0", 8);
  out.insert(out.end(), kJson.begin(), kJson.end());
  out.insert(out.end(), {0, kAdler32, 0, 0});  // options, checksum, not compressed, level
  for (int i = 0; i < 3; ++i) {                // size, room for it, size as stored
    append(out, static_cast<std::uint32_t>(text.size()));
  }
  append(out, std::uint64_t{0});
  out.insert(out.end(), text.begin(), text.end());
  append(out, adler32_of(Bytes(reinterpret_cast<const std::uint8_t*>(text.data()), text.size())));
}

}  // namespace

bool has_bloscpack() {
  return true;
}

std::vector<std::uint8_t> bloscpack_to_npy(Bytes file, const std::string& name) {
  Cursor cursor(file, name);
  const Header header = read_header(cursor, name);
  if ((header.options & kHasMetadata) == 0) {
    corrupt(name, "does not say what array it holds");
  }
  const Array array = parse_metadata(read_metadata_text(cursor, name), name);
  const std::vector<std::int64_t> offsets = read_offsets(cursor, header);
  std::vector<std::uint8_t> npy = header_of(array, header, name);
  for (std::int64_t i = 0; i < header.chunks; ++i) {
    if (!offsets.empty()) {
      cursor.go_on_to(offsets[static_cast<std::size_t>(i)]);
    }
    const std::int64_t size = i + 1 < header.chunks ? header.chunk_size : header.last_chunk;
    append_chunk(cursor, header, static_cast<std::size_t>(size), npy, name);
  }
  return npy;
}

std::vector<std::uint8_t> npy_to_bloscpack(Bytes npy, const std::string& name) {
  const NpyHeader header = parse_npy_header(npy, npy.size(), name);
  const Bytes data = npy.subspan(header.data_offset);
  const std::size_t element = std::max<std::size_t>(header.element_size(), 1);
  const std::size_t step = std::max<std::size_t>(kWrittenChunk / element, 1) * element;
  if (step > BLOSC_MAX_BUFFERSIZE) {
    throw Error(ErrorKind::unsupported,
                fmt::format("{}: elements of {} bytes are more than Blosc takes", name, element));
  }
  const std::size_t chunks = std::max<std::size_t>((data.size() + step - 1) / step, 1);
  const std::size_t last = data.size() - (chunks - 1) * step;

  std::vector<std::uint8_t> out(kMagic.begin(), kMagic.end());
  out.insert(out.end(), {kVersion, kHasOffsets | kHasMetadata, kAdler32,
                         static_cast<std::uint8_t>(std::min<std::size_t>(element, 255))});
  append(out, static_cast<std::int32_t>(chunks > 1 ? step : last));
  append(out, static_cast<std::int32_t>(last));
  append(out, static_cast<std::int64_t>(chunks));
  append(out, std::int64_t{0});
  append_metadata(out, header);
  const std::size_t offsets_at = out.size();
  out.resize(offsets_at + chunks * sizeof(std::int64_t));
  for (std::size_t i = 0; i < chunks; ++i) {
    std::vector<std::uint8_t> offset;
    append(offset, static_cast<std::int64_t>(out.size()));
    std::copy(offset.begin(), offset.end(),
              out.begin() + static_cast<std::ptrdiff_t>(offsets_at + i * offset.size()));
    const auto chunk =
        compress(data.subspan(i * step, i + 1 < chunks ? step : last), element, name);
    out.insert(out.end(), chunk.begin(), chunk.end());
    append(out, adler32_of(chunk));
  }
  return out;
}

}  // namespace avstore::imgstore
