// What verify finds in files of extra data, and what it takes for the same; extra data of
// recordings that were killed.
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "avstore/extra.h"
#include "avstore/reader.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/extra_store.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/processes.h"
#include "support/programs.h"
#include "support/sample.h"

namespace fs = std::filesystem;
using namespace avstore;
using namespace avstore::test;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using Strings = std::vector<std::string>;

namespace {

constexpr const char* kRecords[] = {
    R"({"force": 105, "valve": "open \u00e4", "t": 1709296205.0333333, "none": null})",
    R"({"list": [1, 2.25, {"a": true}], "big": 12345678901234567890, "e": 1e-07})",
    R"({"force": 0.1, "nan": NaN, "text": "x, {\"y\": [1]}"})"};

// Chunks of three frames, each with a record.
void write_records(const fs::path& store, const std::string& format, int frames = 7) {
  Writer writer(store, options_of(format, 3));
  for (int i = 0; i < frames; ++i) {
    writer.add(draw(pixel::gray8, i).view, FrameNumber(i), FrameTime(1709296205 + i / 30.0));
    writer.add_extra(kRecords[i % 3]);
  }
  writer.close();
}

Strings findings(const fs::path& store) {
  return verify(store, {}).findings;
}

// To which frame each byte of a file belongs; -1: to none.
std::vector<std::int64_t> frames_of_bytes(const std::string& text) {
  std::vector<std::int64_t> frames(text.size(), -1);
  std::int64_t frame = -1;
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      frames[i++] = frame;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && text[i] == '{' && depth++ == 0) {
      ++frame;
    }
    frames[i] = depth > 0 ? frame : -1;
    depth -= !quoted && text[i] == '}' ? 1 : 0;
  }
  return frames;
}

bool names_frame(const std::string& finding, std::int64_t frame) {
  const std::size_t one = finding.find("frame ");
  if (one != std::string::npos) {
    return std::stoll(finding.substr(one + 6)) == frame;
  }
  const std::size_t many = finding.find("frames ");
  return many != std::string::npos && std::stoll(finding.substr(many + 7)) <= frame &&
         std::stoll(finding.substr(finding.find(" to ", many) + 4)) >= frame;
}

void add_with_record(Writer& writer, int i) {
  add(writer, i);
  writer.add_extra("{\"k\": " + std::to_string(i) + "}");
}

std::vector<std::int64_t> indices(const fs::path& store) {
  std::vector<std::int64_t> found;
  for (const FrameIndex index : read_extra(store).frame_index) {
    found.push_back(index.value);
  }
  return found;
}

}  // namespace

TEST_CASE("verify finds any flipped bit of extra data, and names file and frame") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_records(store, "png");
  REQUIRE(findings(store).empty());
  const fs::path file = store / "000001" / "index.extra.json";
  const std::string good = read_text(file);
  const auto frames = frames_of_bytes(good);
  REQUIRE(frames.at(good.size() - 2) == 2);
  for (const std::int64_t place :
       sample("flipped bits of extra data", static_cast<std::int64_t>(good.size()) * 8, 150)) {
    const auto bit = static_cast<std::size_t>(place);
    std::string text = good;
    text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << (bit % 8)));
    write_text(file, text);
    const Strings found = findings(store);
    CAPTURE(bit, text, found);
    REQUIRE(found.size() == 1);
    CHECK_THAT(found[0], ContainsSubstring("000001/index.extra.json"));
    CHECK((frames[bit / 8] < 0 || names_frame(found[0], frames[bit / 8])));
  }
}

TEST_CASE("verify finds extra data that cannot be read, are gone or came to it") {
  const std::string format = GENERATE("avc1/mp4", "npy");
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_records(store, format);
  const std::string name = format == "npy" ? "000001/index.extra.json" : "000001.extra.json";
  const auto with = [&](const std::string& text) {
    write_text(store / name, text);
    const Strings found = findings(store);
    CAPTURE(found);
    REQUIRE(found.size() == 1);
    CHECK_THAT(found[0], ContainsSubstring(name));
    return found[0];
  };
  const auto changed = [&](const std::string& code) {
    return python("import json, sys\nr = json.load(open(sys.argv[1]))\n" + code +
                      "\njson.dump(r, sys.stdout)",
                  store / name);
  };
  const std::string damaged = "frames 0 to 2 are in the database alone";
  const std::string lacking = changed("del r[1]");
  const std::string more = changed("r.append(dict(r[2], force=2))");
  const std::string others = changed("r[0]['force'] = 905; r[1]['force'] = 905");
  const std::string moved = changed("r[0], r[1] = r[1], r[0]");
  CHECK_THAT(with("["), ContainsSubstring(damaged));
  CHECK_THAT(with(""), ContainsSubstring(damaged));
  CHECK_THAT(with("{\"k\": 1}"), ContainsSubstring(damaged));
  CHECK_THAT(with("[]"), EndsWith("has 0 records of extra data, the database 3; those of frames 0 "
                                  "to 2 differ"));
  CHECK_THAT(with(lacking), EndsWith("has 2 records of extra data, the database 3; those of frame "
                                     "1 differ"));
  CHECK_THAT(with(more), EndsWith("the database 3; those of frame 2 differ"));
  CHECK_THAT(with(others), EndsWith("frames 0 to 1 are not what the database has"));
  CHECK_THAT(with(moved), EndsWith("frames 0 to 1 are not what the database has"));
  fs::remove(store / name);  // the database has them
  CHECK(findings(store).empty());
  CHECK(verify(store, {}).repairs.size() == 1);
  repair(store, {});
  CHECK(findings(store).empty());
  CHECK(read_extra(store).size() == 7);
}

TEST_CASE("verify takes extra data that others wrote anew for what they are") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_records(store, "png");
  const fs::path file = store / "000001" / "index.extra.json";
  const std::string good = read_text(file);
  const auto rewrite = [&](const std::string& code) {
    python("import json, sys\nr = json.load(open(sys.argv[1]))\n" + code +
               "\nopen(sys.argv[1], 'w').write(t)",
           file);
    CHECK(read_text(file) != good);
    CAPTURE(read_text(file));
    CHECK(findings(store) == Strings{});
  };
  SECTION("by Python's json module") {
    rewrite("t = json.dumps(r)");
  }
  SECTION("for people") {
    rewrite("t = json.dumps(r, indent=2, sort_keys=True)");
  }
  SECTION("as pandas does") {
    rewrite(
        "keys = list(dict.fromkeys(k for x in r for k in x))\n"
        "def value(v):\n"
        "    if v != v: return None\n"
        "    return round(v, 10) if isinstance(v, float) else v\n"
        "r = [{k: value(x.get(k)) for k in keys} for x in r]\n"
        "for x in r: x['frame_number'] = float(x['frame_number'])\n"
        "t = json.dumps(r, separators=(',', ':'))");
  }
}

TEST_CASE("verify after frames were renumbered") {
  const std::string format = GENERATE("mjpeg/avi", "png");
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_extra_store(store, names_of_late_camera(), 1, vienna_options(format));
  const std::string database = read_text(store / ".index.sqlite");
  reindex(store, {});
  CHECK(findings(store) == Strings{});
  // As others do it, who know nothing of the database.
  write_text(store / ".index.sqlite", database);
  CHECK(Reader(store).find(FrameIndex(0)).number == FrameNumber(-2));
  CHECK(findings(store) == Strings{});
  const fs::path file = store / (format == "png" ? "000000/index.extra.json" : "000000.extra.json");
  const std::string good = read_text(file);
  for (const char* key : {"\"frame_number\": -", "_before_reindex\": "}) {
    std::string text = good;
    text[text.find(key) + std::string(key).size()] ^= 4;
    write_text(file, text);
    CHECK(findings(store).size() == 1);
  }
}

TEST_CASE("verify has nothing to say of extra data that others recorded") {
  const TemporaryFolder folder;
  for (const char* name : {"extra_mjpeg", "motif_extra_h5"}) {
    CAPTURE(name);
    if (!fs::exists(fs::path(AVSTORE_DATA) / "golden" / name)) {
      continue;
    }
    const fs::path store = golden_copy(name, folder.path());
    CHECK(findings(store) == Strings{});
    const std::size_t records = read_extra(store).size();
    // Nor when avstore goes on with the store.
    {
      Writer writer = Writer::append(store, {});
      writer.add_extra("{\"before\": 1}");
      const StoreInfo info = Reader(store).info();
      const Drawn drawn =
          draw(info.color ? pixel::bgr24 : pixel::gray8, 1, info.width, info.height);
      writer.add(drawn.view, FrameNumber(100000), FrameTime(1e10));
      writer.add_extra("{\"after\": 1}");
      writer.close();
    }
    CHECK(read_extra(store).size() == records + 2);
    CHECK(findings(store) == Strings{});
    for (const auto& entry : fs::directory_iterator(store)) {
      const std::string file = entry.path().filename().string();
      if (file.find("extra") != std::string::npos) {
        const std::string good = read_text(entry.path());
        write_text(entry.path(), "[");
        CHECK_THAT(findings(store).at(0),
                   ContainsSubstring(file) && ContainsSubstring("extra data"));
        write_text(entry.path(), good);
      }
    }
  }
}

TEST_CASE("extra data between the frames of two recordings are sound") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  {
    Writer writer(store, options_of("avc1/mp4", 7));
    writer.add_extra("{\"k\": -1}");
    add_with_record(writer, 0);
    writer.close();
  }
  {
    Writer writer = Writer::append(store, {});
    writer.add_extra("{\"k\": -2}");
    add_with_record(writer, 1);
    writer.close();
  }
  CHECK(findings(store) == Strings{});
  CHECK(indices(store) == std::vector<std::int64_t>{-1, 0, 0, 1});
  std::string text = read_text(store / "000001.extra.json");
  text[text.find("-2") + 1] = '3';
  write_text(store / "000001.extra.json", text);
  CHECK_THAT(findings(store).at(0),
             ContainsSubstring("000001.extra.json") && ContainsSubstring("before frame 0"));
  // Without a frame they are in no file yet.
  text[text.find("-3") + 1] = '2';
  write_text(store / "000001.extra.json", text);
  {
    Writer writer = Writer::append(store, {});
    writer.add_extra("{\"k\": -3}");
    writer.close();
  }
  CHECK(findings(store) == Strings{});
  CHECK(indices(store) == std::vector<std::int64_t>{-1, 0, 0, 1, 1});
}

TEST_CASE("extra data at the end of a recording that was killed") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  REQUIRE(run_child([&] {
            Writer writer(store, options_of("avc1/mp4", 7));
            for (int i = 0; i < 10; ++i) {
              add_with_record(writer, i);
            }
            writer.sync();
            return std::raise(SIGKILL);
          }) == -SIGKILL);
  std::vector<std::int64_t> expected{0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  SECTION("of frames that were lost") {
    sqlite(store,
           "INSERT INTO extra_data VALUES (NULL, 10, 10, (SELECT frame_time + 1 FROM frames "
           "WHERE frame_index = 9), '{\"k\": \"lost\"}')");
  }
  SECTION("in a file whose rows never came") {
    sqlite(store, "DELETE FROM extra_data WHERE frame_index = 9");
    std::string text = "[";
    for (int i = 7; i < 11; ++i) {
      const std::string time = sqlite(store,
                                      "SELECT printf('%.17g', frame_time) FROM frames WHERE "
                                      "frame_index = " +
                                          std::to_string(std::min(i, 9)))
                                   .front();
      const std::string k = std::to_string(i);
      text += (i == 7 ? "{\"k\": " : ", {\"k\": ") + k + ", \"frame_time\": " + time +
              ", \"frame_number\": " + k + ", \"frame_index\": " + k + "}";
    }
    write_text(store / "000001.extra.json", text + "]");
  }
  CHECK(findings(store) == Strings{});
  const auto planned = verify(store, {}).repairs;
  CHECK(repair(store, {}).steps == planned);
  CHECK(findings(store) == Strings{});
  CHECK(verify(store, {}).repairs == Strings{});
  CHECK(indices(store) == expected);
  {
    Writer writer = Writer::append(store, {});
    add_with_record(writer, 10);
    writer.close();
  }
  expected.push_back(10);
  CHECK(findings(store) == Strings{});
  CHECK(indices(store) == expected);
  CHECK(sqlite(store, "SELECT group_concat(frame_index) FROM extra_data").front() ==
        "0,1,2,3,4,5,6,7,8,9,10");
}
