// The index of a chunk, as npz or YAML: that others read it, and that damaged and hostile ones are
// refused by name.
#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "avstore/error.h"
#include "base/files.h"
#include "imgstore/chunk_index.h"
#include "imgstore/npy.h"
#include "imgstore/zip.h"
#include "support/catch.h"
#include "support/imgstore_files.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/programs.h"

using namespace avstore;            // NOLINT
using namespace avstore::imgstore;  // NOLINT
using namespace avstore::test;      // NOLINT
namespace fs = std::filesystem;

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
  CHECK(error_of([&] { reader.read(reader.find("a.npy"), 4); }).kind() == ErrorKind::corrupt);
  if (!succeeds("unzip -v")) {
    SKIP("needs unzip");
  }
  CHECK(succeeds("unzip -tq " + quoted(file)));
}

TEST_CASE("Hostile archives are refused before memory is spent", "[zip][hostile]") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "evil.npz";
  const auto refused = [&](const Bytes& archive) {
    base::write_file_atomically(file, std::span<const std::uint8_t>(archive));
    const Error caught = error_of([&] { read_chunk_index(file); });
    CHECK(says(caught, "evil.npz"));
    return caught.kind();
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

TEST_CASE("A chunk's index reads back as it was written", "[index]") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "000000.npz";
  const ChunkIndex index{odd_numbers(), odd_times(), {1, 2, 3}};
  write_chunk_index(file, index, video_metadata());
  const Bytes first = base::read_file(file);
  const ChunkIndex back = read_chunk_index(file);
  CHECK(back.frame_number == odd_numbers());
  CHECK(back.frame_time == odd_times());
  CHECK(back.before_reindex == std::vector<std::int64_t>{1, 2, 3});

  write_chunk_index(file, index, video_metadata());
  CHECK(base::read_file(file) == first);

  write_chunk_index(file, {}, video_metadata());
  CHECK(read_chunk_index(file).frame_number.empty());

  const Error caught = error_of([&] {
    write_chunk_index(file, ChunkIndex{{1, 2}, {0.5}}, video_metadata());
  });
  CHECK(caught.kind() == ErrorKind::invalid_argument);
}

TEST_CASE("NumPy reads every member of an index without pickles", "[index][python]") {
  if (!has_python_modules()) {
    SKIP("needs python3 with numpy and yaml");
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
    const Error caught = error_of([&] { read_chunk_index(file); });
    CAPTURE(caught.what());
    CHECK(caught.kind() == ErrorKind::corrupt);
    CHECK(says(caught, "odd.npz"));
    CHECK(says(caught, why));
  };
  const auto members = index_members();
  refused({members[0]}, "frame_time");
  refused({members[1]}, "frame_number");
  refused({members[0], honest_member("frame_time.npy", npy_of(std::span(odd_times()).first(2)))},
          "3 frame numbers but 2 frame times");
  refused({members[1], honest_member("frame_number.npy", array_of("|O", "(3,)", Bytes(20)))}, "|O");
  CHECK(error_of([&] { read_chunk_index(folder.path() / "none.npz"); }).kind() ==
        ErrorKind::not_found);
}

TEST_CASE("Of two members with one name the last counts, as in Python", "[index]") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "twice.npz";
  auto members = index_members();
  members.insert(members.begin(),
                 deflated_member("frame_number.npy", npy_of(std::span(odd_times()))));
  base::write_file_atomically(file, std::span<const std::uint8_t>(archive_of(members)));
  CHECK(read_chunk_index(file).frame_number == odd_numbers());
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
  const Error caught = error_of([&] { read_chunk_index(file); });
  CHECK(caught.kind() == ErrorKind::corrupt);
  CHECK(says(caught, "more than its chunk can hold"));
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
  base::write_file_atomically(
      file,
      "frame_number:\n- 2001\n- 0x10\n- -5.0\nother: {a: [1, x]}\nframe_time:\n- 1.5\n"
      "- .nan\n- 1.0e+10\n");
  const ChunkIndex block = read_chunk_index(file);
  CHECK(block.frame_number == std::vector<std::int64_t>{2001, 16, -5});
  CHECK(block.frame_time[0] == 1.5);
  CHECK(std::isnan(block.frame_time[1]));
  CHECK(block.frame_time[2] == 1e10);

  base::write_file_atomically(file, "{frame_time: [1, 2], frame_number: [3, 4]}");
  CHECK(read_chunk_index(file).frame_number == std::vector<std::int64_t>{3, 4});

  base::write_file_atomically(file, "frame_number: &id001\n- 1\n- 2\nframe_time: *id001\n");
  CHECK(read_chunk_index(file).frame_time == std::vector<double>{1, 2});
}

TEST_CASE("Damaged YAML indexes are refused with the place", "[index][yaml][hostile]") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "bad.yaml";
  const auto refused = [&](const std::string& text, const std::string& why) {
    base::write_file_atomically(file, text);
    const Error caught = error_of([&] { read_chunk_index(file); });
    CAPTURE(text, caught.what());
    CHECK(caught.kind() == ErrorKind::corrupt);
    CHECK(says(caught, "bad.yaml"));
    CHECK(says(caught, why));
  };
  refused("", "no list frame_number");
  refused("frame_number: [1]\n", "no list frame_time");
  refused("frame_number: [1]\nframe_time: []\n", "1 frame numbers but 0 frame times");
  refused("frame_number: [1.5]\nframe_time: [1]\n", "line 1, column 16");
  refused("frame_number: [99999999999999999999]\nframe_time: [1]\n", "line 1");
  refused("frame_number: [1]\nframe_time:\n- two\n", "line 3, column 3");
  refused("frame_number: [[1]]\nframe_time: [[1]]\n", "line 1, column 16: \"\" is not a number");
  refused("frame_number: 1\nframe_time: [1]\n", "no list frame_number");
  refused("frame_number: [1\n", "line 2");
  refused(std::string(100000, '['), "nested too deeply");
}
