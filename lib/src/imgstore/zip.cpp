#include "imgstore/zip.h"

#include <zip.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "avstore/error.h"
#include "base/files.h"

namespace avstore::imgstore {
namespace {

constexpr std::uint64_t kBlock = std::uint64_t{1} << 20U;
// Deflate makes at most 258 bytes out of 2 bits.
constexpr std::uint64_t kMaxDeflateRatio = 1032;
constexpr zip_uint16_t kFirstDosDate = 0x21;  // 1980-01-01
constexpr zip_uint32_t kOwnerReadsAndWrites = 0600U << 16U;

class ZipError {
 public:
  ZipError() { zip_error_init(&error_); }
  explicit ZipError(int code) { zip_error_init_with_code(&error_, code); }
  ~ZipError() { zip_error_fini(&error_); }
  ZipError(const ZipError&) = delete;
  ZipError& operator=(const ZipError&) = delete;

  zip_error_t* get() { return &error_; }
  std::string text() { return zip_error_strerror(&error_); }

 private:
  zip_error_t error_{};
};

struct CloseMember {
  void operator()(zip_file_t* member) const noexcept { zip_fclose(member); }
};
struct FreeSource {
  void operator()(zip_source_t* source) const noexcept { zip_source_free(source); }
};
struct DiscardArchive {
  void operator()(zip_t* archive) const noexcept { zip_discard(archive); }
};
using Source = std::unique_ptr<zip_source_t, FreeSource>;
using Archive = std::unique_ptr<zip_t, DiscardArchive>;

ErrorKind kind_of(int code) {
  switch (code) {
    case ZIP_ER_OPEN:
    case ZIP_ER_READ:
    case ZIP_ER_SEEK:
    case ZIP_ER_MEMORY:
      return ErrorKind::io;
    default:
      return ErrorKind::corrupt;
  }
}

zip_t* open_archive(const std::filesystem::path& file) {
  int code = 0;
  zip_t* archive = zip_open(file.c_str(), ZIP_RDONLY, &code);
  if (archive == nullptr) {
    throw Error(kind_of(code), file.string() + ": " + ZipError(code).text());
  }
  return archive;
}

// Before libzip opens the file: it would wait at a pipe.
std::uint64_t size_of(const std::filesystem::path& file) {
  const auto size = static_cast<std::uint64_t>(base::file_size(file));
  // What a power cut leaves of a file that was not flushed; libzip would say that there is no file.
  if (size == 0) {
    throw Error(ErrorKind::corrupt, file.string() + ": an empty file");
  }
  return size;
}

[[noreturn]] void fail_writing(const std::string& why) {
  throw Error(ErrorKind::io, "cannot make a zip archive: " + why);
}

void add_member(zip_t* archive, const ZipMember& member) {
  // The archive does not copy the bytes; the caller keeps them until it is closed.
  Source source(zip_source_buffer(archive, member.bytes.data(), member.bytes.size(), 0));
  const zip_int64_t added =
      source ? zip_file_add(archive, member.name.c_str(), source.get(), ZIP_FL_ENC_UTF_8) : -1;
  if (added < 0) {
    fail_writing(zip_strerror(archive));
  }
  static_cast<void>(source.release());  // the archive's now
  const auto index = static_cast<zip_uint64_t>(added);
  if (zip_set_file_compression(archive, index, ZIP_CM_STORE, 0) != 0 ||
      zip_file_set_dostime(archive, index, 0, kFirstDosDate, 0) != 0 ||
      zip_file_set_external_attributes(archive, index, 0, ZIP_OPSYS_UNIX, kOwnerReadsAndWrites) !=
          0) {
    fail_writing(zip_strerror(archive));
  }
}

std::vector<std::uint8_t> read_source(zip_source_t* source) {
  zip_stat_t status;
  zip_stat_init(&status);
  if (zip_source_stat(source, &status) != 0 || zip_source_open(source) != 0) {
    fail_writing("the archive cannot be read back");
  }
  std::vector<std::uint8_t> bytes(status.size);
  const zip_int64_t n = zip_source_read(source, bytes.data(), bytes.size());
  zip_source_close(source);
  if (n < 0 || static_cast<std::uint64_t>(n) != bytes.size()) {
    fail_writing("the archive cannot be read back");
  }
  return bytes;
}

}  // namespace

void ZipReader::Discard::operator()(zip* archive) const noexcept {
  zip_discard(archive);
}

ZipReader::ZipReader(const std::filesystem::path& file)
    : file_(file.string()), file_size_(size_of(file)), archive_(open_archive(file)) {}

std::int64_t ZipReader::find(const std::string& name) const {
  for (std::int64_t i = zip_get_num_entries(archive_.get(), 0); i-- > 0;) {
    const char* entry = zip_get_name(archive_.get(), static_cast<zip_uint64_t>(i), 0);
    if (entry != nullptr && name == entry) {
      return i;
    }
  }
  return -1;
}

std::vector<std::string> ZipReader::names() const {
  std::vector<std::string> all;
  for (std::int64_t i = 0; i < zip_get_num_entries(archive_.get(), 0); ++i) {
    if (const char* name = zip_get_name(archive_.get(), static_cast<zip_uint64_t>(i), 0)) {
      all.emplace_back(name);
    }
  }
  return all;
}

std::uint32_t ZipReader::checksum(const std::string& name) const {
  zip_stat_t status;
  zip_stat_init(&status);
  const std::int64_t index = find(name);
  if (index < 0 ||
      zip_stat_index(archive_.get(), static_cast<zip_uint64_t>(index), 0, &status) != 0 ||
      (status.valid & ZIP_STAT_CRC) == 0) {
    throw Error(ErrorKind::corrupt, file_ + ": no checksum of " + name);
  }
  return status.crc;
}

std::vector<std::uint8_t> ZipReader::read(std::int64_t index, std::uint64_t limit) const {
  const std::uint64_t size = believable_size(index, limit);
  const std::unique_ptr<zip_file_t, CloseMember> member(
      zip_fopen_index(archive_.get(), static_cast<zip_uint64_t>(index), 0));
  if (!member) {
    fail(index, zip_strerror(archive_.get()));
  }
  std::vector<std::uint8_t> bytes;
  // One byte more than claimed is asked for, since only the read that meets the end verifies the
  // checksum.
  for (zip_int64_t n = -1; n != 0;) {
    const std::uint64_t done = bytes.size();
    bytes.resize(done + std::min(kBlock, size + 1 - done));
    n = zip_fread(member.get(), bytes.data() + done, bytes.size() - done);
    if (n < 0) {
      fail(index, zip_error_strerror(zip_file_get_error(member.get())));
    }
    bytes.resize(done + static_cast<std::uint64_t>(n));
  }
  if (bytes.size() != size) {
    fail(index, "has not the " + std::to_string(size) + " bytes it claims");
  }
  return bytes;
}

std::uint64_t ZipReader::believable_size(std::int64_t index, std::uint64_t limit) const {
  zip_stat_t status;
  zip_stat_init(&status);
  constexpr zip_uint64_t kNeeded = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
  if (zip_stat_index(archive_.get(), static_cast<zip_uint64_t>(index), 0, &status) != 0 ||
      (status.valid & kNeeded) != kNeeded) {
    fail(index, "no size");
  }
  if (status.comp_method != ZIP_CM_STORE && status.comp_method != ZIP_CM_DEFLATE) {
    throw Error(ErrorKind::unsupported, file_ + ": compressed by method " +
                                            std::to_string(status.comp_method) +
                                            ", only stored and deflated members are read");
  }
  const std::uint64_t ratio = status.comp_method == ZIP_CM_STORE ? 1 : kMaxDeflateRatio;
  if (status.comp_size > file_size_ || status.size > status.comp_size * ratio ||
      status.size > limit) {
    fail(index, "claims " + std::to_string(status.size) + " bytes");
  }
  return status.size;
}

void ZipReader::fail(std::int64_t index, const std::string& what) const {
  const char* name = zip_get_name(archive_.get(), static_cast<zip_uint64_t>(index), 0);
  throw Error(ErrorKind::corrupt,
              file_ + ": member " + (name != nullptr ? name : "?") + ": " + what);
}

std::vector<std::uint8_t> zip_stored(std::span<const ZipMember> members) {
  ZipError error;
  Source source(zip_source_buffer_create(nullptr, 0, 0, error.get()));
  if (!source) {
    fail_writing(error.text());
  }
  Archive archive(zip_open_from_source(source.get(), ZIP_CREATE | ZIP_TRUNCATE, error.get()));
  if (!archive) {
    fail_writing(error.text());
  }
  // The archive owns one reference to the source from here on, and `source` a second one.
  zip_source_keep(source.get());
  for (const ZipMember& member : members) {
    add_member(archive.get(), member);
  }
  if (zip_close(archive.get()) != 0) {
    fail_writing(zip_strerror(archive.get()));
  }
  static_cast<void>(archive.release());  // gone with its closing
  return read_source(source.get());
}

}  // namespace avstore::imgstore
