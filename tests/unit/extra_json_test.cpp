// Extra data as JSON files: every digit and Python's NaN stay, and damaged ones are refused by
// name.
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "avstore/error.h"
#include "base/files.h"
#include "imgstore/extra_data.h"
#include "support/catch.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/programs.h"

using namespace avstore;            // NOLINT
using namespace avstore::imgstore;  // NOLINT
using namespace avstore::test;      // NOLINT
namespace fs = std::filesystem;

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
  CHECK(error_of([&] { normalize_extra_json(bad); }).kind() == ErrorKind::invalid_argument);
}

TEST_CASE("Deep and long JSON ends in an error", "[extra][hostile]") {
  const auto kind = [](const std::string& value) {
    return error_of([&] { normalize_extra_json("{\"a\":" + value + "}"); }).kind();
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
        }).kind() == ErrorKind::invalid_argument);
  // As pandas writes it: no spaces, columns as floats, missing times null.
  base::write_file_atomically(file,
                              R"([{"frame_time":null,"frame_number":4.0,"frame_index":6,"k":6}])");
  CHECK(read_extra_json(file)[0].frame_number == 4);
  CHECK(std::isnan(read_extra_json(file)[0].frame_time));
}

TEST_CASE("Damaged extra data is refused by name", "[extra][hostile]") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "000001.extra.json";
  const auto refused = [&](const std::string& text, const std::string& why) {
    base::write_file_atomically(file, text);
    const Error caught = error_of([&] { read_extra_json(file); });
    CAPTURE(text, caught.what());
    CHECK(caught.kind() == ErrorKind::corrupt);
    CHECK(says(caught, "000001.extra.json"));
    CHECK(says(caught, why));
  };
  const std::string good = R"({"frame_time":1,"frame_number":2,"frame_index":3})";
  refused("", "byte 0");
  refused("{}", "byte 0");
  refused("[1]", "byte 1");
  refused("[" + good, "expected ','");
  refused("[" + good + "]]", "after the end");
  refused("[" + good + R"(,{"frame_time":1,"frame_index":3}])", "record 1: frame_number");
  refused(R"([{"frame_time":"1","frame_number":2,"frame_index":3}])", "frame_time");
  refused(R"([{"frame_time":1,"frame_number":2.5,"frame_index":3}])", "frame_number");
  refused(R"([{"frame_time":1,"frame_number":1e30,"frame_index":3}])", "frame_number");
  refused(R"([{"frame_time":1,"frame_number":99999999999999999999,"frame_index":3}])",
          "frame_number");
  refused(R"([{"frame_time":1,"frame_number":"","frame_index":3}])", "frame_number");
  CHECK(error_of([&] { read_extra_json(folder.path() / "none"); }).kind() == ErrorKind::not_found);
}

TEST_CASE("Python's json reads the extra data written here", "[extra][python]") {
  if (!has_python_modules()) {
    SKIP("needs python3 with numpy and yaml");
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
