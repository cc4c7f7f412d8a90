#include "support/imgstore_files.h"

#include <fmt/format.h>
#include <zlib.h>

#include <limits>
#include <span>

#include "imgstore/npy.h"

namespace avstore::test {

using imgstore::npy_of;
using imgstore::StoreMetadata;

Bytes bytes_of(std::string_view text) {
  return {text.begin(), text.end()};
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
               bool fortran) {
  return array_with_header(fmt::format("{{'descr': '{}', 'fortran_order': {}, 'shape': {}, }}\n",
                                       dtype, fortran ? "True" : "False", shape),
                           data);
}

const std::vector<std::int64_t>& odd_numbers() {
  static const std::vector<std::int64_t> kNumbers{5, -3, std::numeric_limits<std::int64_t>::max()};
  return kNumbers;
}

const std::vector<double>& odd_times() {
  static const std::vector<double> kTimes{1500001000.25, -0.5, 1e300};
  return kTimes;
}

namespace {

std::uint32_t crc32_of(const Bytes& bytes) {
  return static_cast<std::uint32_t>(::crc32_z(0, bytes.data(), bytes.size()));
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

}  // namespace

RawMember honest_member(const std::string& name, const Bytes& bytes) {
  const auto size = static_cast<std::uint32_t>(bytes.size());
  return {name, bytes, 0, size, size, crc32_of(bytes)};
}

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

Bytes archive_of(const std::vector<RawMember>& members) {
  ArchiveMaker maker;
  for (const RawMember& member : members) {
    maker.add(member);
  }
  return maker.finish();
}

std::vector<RawMember> index_members() {
  return {honest_member("frame_number.npy", npy_of(std::span(odd_numbers()))),
          honest_member("frame_time.npy", npy_of(std::span(odd_times())))};
}

}  // namespace avstore::test
