// metadata.yaml: what it holds and what readers take from it, against PyYAML and against files that
// are damaged or hostile.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "avstore/error.h"
#include "base/files.h"
#include "imgstore/metadata.h"
#include "imgstore/yaml_scalar.h"
#include "support/catch.h"
#include "support/imgstore_files.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/programs.h"

using namespace avstore;            // NOLINT
using namespace avstore::imgstore;  // NOLINT
using namespace avstore::test;      // NOLINT
namespace fs = std::filesystem;

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
    CHECK(error_of([&] { write_metadata(folder.path(), metadata); }).kind() ==
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
    base::write_file_atomically(store / "metadata.yaml", yaml);
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
  base::write_file_atomically(unnamed / "metadata.yaml", old);
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
    base::write_file_atomically(folder.path() / "metadata.yaml", yaml);
    const Error caught = error_of([&] { read_metadata(folder.path()); });
    CAPTURE(yaml.substr(0, 200), caught.what());
    CHECK(caught.kind() == kind);
    CHECK(says(caught, "metadata.yaml"));
    CHECK(says(caught, why));
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
  refused("__store: {format\n", ErrorKind::corrupt, "line 2");
  refused("a: \xFF\n", ErrorKind::corrupt, "line 1");
  refused(std::string(100000, '['), ErrorKind::corrupt, "nested too deeply");
  refused(std::string(100000, '{'), ErrorKind::corrupt, "nested too deeply");
  CHECK(error_of([&] { read_metadata(folder.path() / "none"); }).kind() == ErrorKind::not_found);
}

TEST_CASE("A pipe in the place of a store's file keeps nobody waiting", "[metadata][hostile]") {
  const TemporaryFolder folder;
  REQUIRE(::mkfifo((folder.path() / "metadata.yaml").c_str(), 0600) == 0);
  const Error caught = error_of([&] { read_metadata(folder.path()); });
  CHECK(caught.kind() == ErrorKind::io);
  CHECK(says(caught, "metadata.yaml: is a pipe or a device"));
}

TEST_CASE("A store is given as its folder or as its metadata.yaml", "[metadata]") {
  const TemporaryFolder folder;
  const fs::path& root = folder.path();
  CHECK(says(error_of([&] { store_folder(root); }), "metadata.yaml"));
  base::write_file_atomically(root / "metadata.yaml", "");
  base::write_file_atomically(root / "other.yaml", "");
  CHECK(store_folder(root) == root);
  CHECK(store_folder(root / "metadata.yaml") == root);
  CHECK(error_of([&] { store_folder(root / "other.yaml"); }).kind() == ErrorKind::not_found);
  CHECK(says(error_of([&] { store_folder(root / "none"); }), "none"));
}

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
  CHECK(json("1:30") == "\"1:30\"");
  CHECK(json("-1:30:05") == "\"-1:30:05\"");
  CHECK(json("1:60") == "\"1:60\"");
  CHECK(json("123456789012345678901234567890") == "123456789012345678901234567890");
  CHECK(json("0xFFFFFFFFFFFFFFFFFFFF") == "1208925819614629174706175");
  CHECK(json("1.") == "1.0");
  CHECK(json(".5") == "0.5");
  CHECK(json("1.5e+3") == "1500.0");
  CHECK(json("1e3") == "\"1e3\"");
  CHECK(json("1.5e3") == "\"1.5e3\"");
  CHECK(json("1:30.5") == "\"1:30.5\"");
  CHECK(json(".inf") == "Infinity");
  CHECK(json("-.INF") == "-Infinity");
  CHECK(json(".nan") == "NaN");
  CHECK(json("2020-02-29") == "\"2020-02-29\"");
  CHECK(json("1d39fd14471446b6bb06635460f1b416") == "\"1d39fd14471446b6bb06635460f1b416\"");
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
    const Error caught = error_of([&] { normalize_user_yaml(yaml); });
    CAPTURE(yaml.substr(0, 200), caught.what());
    CHECK(caught.kind() == ErrorKind::invalid_argument);
    CHECK(says(caught, why));
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
  refused("a: *b", "anchor");
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
  refused(bomb, "more than 1000000 values");
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
    return error_of([&] { set_user_key(yaml, key, value); }).kind();
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
  if (!has_python_modules()) {
    SKIP("needs python3 with numpy and yaml");
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
  base::write_file_atomically(folder.path() / "words.json", words.dump());
  base::write_file_atomically(folder.path() / "ours.json", user_yaml_to_json(metadata.user_yaml));
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
        if not isinstance(value, datetime.date) and ':' not in word:
            assert repr(ours[key]) == repr(value), (word, value, ours[key])
)");
}

TEST_CASE("Metadata that PyYAML dumps comes back from here the same", "[yaml][python]") {
  if (!has_python_modules()) {
    SKIP("needs python3 with numpy and yaml");
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
    base::write_file_atomically(folder.path() / fmt::format("out{}.yaml", i), normal);
  }
  run_python(folder.path(), value + R"(
for i in range(7):
    there, back = (yaml.safe_load(open(name % i, encoding='utf-8'))
                   for name in ('in%d.yaml', 'out%d.yaml'))
    assert back == there and list(back) == list(there) and len(back) == len(value), (i, back)
)");
}
