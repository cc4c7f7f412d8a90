// YAML as PyYAML reads and writes it, where yaml-cpp would have it otherwise, and YAML that is
// damaged or hostile.

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "imgstore/yaml.h"
#include "support/catch.h"
#include "support/media_folder.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;

using avstore::imgstore::BadTags;
using avstore::imgstore::EqualKeys;
using avstore::imgstore::parse_yaml;
using avstore::imgstore::write_yaml;
using avstore::imgstore::yaml_to_json;
using avstore::imgstore::YamlError;
using avstore::imgstore::YamlNode;
using avstore::test::TemporaryFolder;
using Catch::Matchers::ContainsSubstring;

std::string json_of(const std::string& yaml) {
  return yaml_to_json(parse_yaml(yaml, BadTags::refuse));
}

std::string refusal_of(const std::string& yaml) {
  try {
    parse_yaml(yaml, BadTags::drop);
  } catch (const YamlError& error) {
    return error.what();
  }
  return "none";
}

std::string repeated(const std::string& unit, std::size_t times) {
  std::string text;
  while (times-- > 0) {
    text += unit;
  }
  return text;
}

std::string from_environment(const char* name, const std::string& otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : value;
}

}  // namespace

TEST_CASE("what yaml-cpp reads otherwise is read as PyYAML reads it", "[yaml]") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      // Escapes
      {R"("a\_b\Nc\\_\\N")", "\"a\u00a0b\u0085c\\\\_\\\\N\""},
      {R"("\0\a\b\t\n\v\f\r\e\ \"\/\\\L\P\x41\u20ac\U0001f41f")",
       "\"\\u0000\\u0007\\u0008\\t\\n\\u000b\\u000c\\r\\u001b "
       "\\\"/\\\\\u2028\u2029A\u20ac\U0001f41f\""},
      {"!!str \"\\_\"", "\"\u00a0\""},
      {"[&a \"\\N\", &b !!str \"\\_\", *a]", "[\"\u0085\", \"\u00a0\", \"\u0085\"]"},
      // Lines in quotes
      {"'a\n\n\n  '", "\"a\\n\\n\""},
      {"'\n\n  '", "\"\\n\""},
      {"\"a \\\n   \\ b\\n\n\n\n  \"", "\"a  b\\n\\n\\n\""},
      {"'a\u2028   b \u2029\n c\n\u2028d'", "\"a\u2028b\u2029\\nc\u2028d\""},
      {"'a\u0085  b\r\n\r\n  c\rd'", "\"a b\\nc d\""},
      // Block scalars
      {"- >+\n  a\n\n\n- |+\n  b\n\n- >+\n\n- |\n  c", R"(["a\n\n\n", "b\n\n", "\n", "c"])"},
      {"- |\n  a\u2028    b\n- >-\n  c\u2028  d\n  e\n", "[\"a\u2028  b\\n\", \"c\u2028d e\"]"},
      {"- |2-\n\u2028    a\n- b", "[\"\u2028  a\", \"b\"]"},
      {"- !!binary |\n  YWJj\n- 1", R"(["YWJj\n", 1])"},
      {"a:\n- - &x !!str |2\n      b\n\n  - *x\n- - ! >-\n    12\n",
       R"({"a": [["  b\n", "  b\n"], [12]]})"},
      {"? !!str |-\n  a\n: !!int |-\n  1\n? b\n: c\n", R"({"a": 1, "b": "c"})"},
      {"- !!str |\n  # no comment\n- !!str |\n- 2", R"(["# no comment\n", "", 2])"},
      {"- !!binary |\n  YWJj\n- |\n  - !!binary |\n    YWJj\n",
       R"(["YWJj\n", "- !!binary |\n  YWJj\n"])"},
      // Question marks
      {"{source: http://cam/?x=1, b: [what?, a? b?]}",
       R"({"source": "http://cam/?x=1", "b": ["what?", "a? b?"]})"},
      {"{? a? : \"b?\", c: ?d}", R"({"a?": "b?", "c": "?d"})"},
      // What is written out means no more than nothing
      {"[! '12', ! x, '12', !!str 12]", R"([12, "x", "12", "12"])"},
  };
  for (const auto& [yaml, json] : cases) {
    CAPTURE(yaml);
    CHECK(json_of(yaml) == json);
  }
}

TEST_CASE("dates, bytes, sets and base-60 numbers come out as they went in", "[yaml]") {
  const std::string text =
      "date: 2020-02-29\ntime: 2020-02-29 1:02:03.5 +02:00\nday: 12:30:45\nseconds: 1:30.5\n"
      "minutes: !!float '1:30'\nbytes: !!binary \"YWJj\\n\"\nset: !!set\n  a: null\n  2: null\n"
      "empty: !!set {}\nmap: !!omap\n- a: 1\n- b: 2\npairs: !!pairs\n- a: 1\n- a: 2\n"
      "integers:\n- 0x1F\n- 017\n- 1_000\n- 0b11\n";
  CHECK(write_yaml(parse_yaml(text, BadTags::refuse)) == text);
  CHECK(
      json_of(text) ==
      R"({"date": "2020-02-29", "time": "2020-02-29 1:02:03.5 +02:00", "day": "12:30:45", )"
      R"("seconds": "1:30.5", "minutes": "1:30", "bytes": "YWJj\n", "set": {"a": null, "2": null}, )"
      R"("empty": {}, "map": [{"a": 1}, {"b": 2}], "pairs": [{"a": 1}, {"a": 2}], )"
      R"("integers": [31, 15, 1000, 3]})");
}

TEST_CASE("tags of Python are dropped where a stranger wrote them", "[yaml]") {
  const std::string text =
      "a: !!python/tuple [1, 2]\nb: !!python/object/apply:numpy.core.multiarray.scalar\n- 1\n"
      "c: !!python/name:numpy.ndarray ''\nd: !mine 3\ne: !<tag:example.com,2000:x> y\n";
  CHECK(yaml_to_json(parse_yaml(text, BadTags::drop)) ==
        R"({"a": [1, 2], "b": [1], "c": "", "d": "3", "e": "y"})");
  CHECK_THROWS_WITH(parse_yaml(text, BadTags::refuse),
                    ContainsSubstring("line 1, column 4: the tag "));
}

TEST_CASE("hostile YAML is refused", "[yaml][hostile]") {
  // Ends within quotes, as a file does that was cut off
  CHECK_THAT(refusal_of("a: 1\nb: 'c\n"), ContainsSubstring("line 2, column 4: a quoted text"));
  CHECK_THAT(refusal_of("a: 1\nb: \"c\\\""), ContainsSubstring("illegal EOF in scalar"));
  CHECK_THAT(refusal_of("a: 1\nb"), ContainsSubstring("line 2, column 1: a key without a colon"));
  CHECK_THAT(refusal_of("a: [1, 2\n"), ContainsSubstring("end of sequence flow not found"));
  CHECK_THAT(refusal_of("a: {b: 1\n"), ContainsSubstring("end of map flow not found"));
  // No end of documents, for yaml-cpp
  CHECK_THAT(refusal_of(","), ContainsSubstring("a second document"));
  CHECK_THAT(refusal_of("a: 1\n---\n"), ContainsSubstring("line 2, column 1: a second document"));
  // Text that is none. yaml-cpp takes U+0004 for the end.
  CHECK_THAT(refusal_of("a: \x04\nb: ]"),
             ContainsSubstring("line 1, column 4: a control character"));
  CHECK_THAT(refusal_of("a: \xA0"), ContainsSubstring("not UTF-8"));
  CHECK_THAT(refusal_of("\xFF\xFE"
                        "a"),
             ContainsSubstring("not UTF-8"));
  CHECK_THAT(refusal_of("\"\\ud800\""), ContainsSubstring("invalid unicode"));
  CHECK_THAT(refusal_of("&a\n\"\\_\""), ContainsSubstring("must begin in the line of its tag"));
  // Depth
  for (const char* unit :
       {"[", "{", "[a, ", "{a: ", "- ", "? ", ": ", "&a [", "!!seq [", "[? ", "{? "}) {
    CAPTURE(unit);
    CHECK_THAT(refusal_of(repeated(unit, 20000)),
               ContainsSubstring("nested too deeply") || ContainsSubstring("unknown token"));
  }
  std::string steps;
  for (std::size_t i = 0; i < 2000; ++i) {
    steps += std::string(i, ' ') + "a:\n";
  }
  CHECK_THAT(refusal_of(steps), ContainsSubstring("line 400, column 400: nested too deeply"));
  CHECK(refusal_of(repeated("[", 400) + repeated("]", 400)) == "none");
  // Size
  CHECK_THROWS_WITH(parse_yaml(repeated("- a\n", 1001), BadTags::drop, EqualKeys::keep_last, 1000),
                    ContainsSubstring("line 1000, column 3: more than 1000 values"));
  CHECK_THAT(refusal_of(repeated("[", 4000001)), ContainsSubstring("brackets"));
  CHECK_THAT(refusal_of(std::string((32U << 20U) + 1, 'a')), ContainsSubstring("32 MiB"));
  CHECK_THAT(refusal_of("a: &a {b: 1}\nc: &c [" + repeated("*a, ", 1000) + "]\nd: [" +
                        repeated("*c, ", 1000) + "]"),
             ContainsSubstring("line 3, ") && ContainsSubstring("aliases expanded"));
  CHECK_THAT(refusal_of("a: &a [" + repeated("&b [", 398) + repeated("]", 399) + "\nb: [*a]"),
             ContainsSubstring("line 2, column 5: nested too deeply"));
  // What refers to itself
  CHECK_THAT(refusal_of("&a [*a]"), ContainsSubstring("part of"));
  CHECK_THAT(refusal_of("&a {<<: *a}"), ContainsSubstring("part of"));
  // Rewording takes no longer than parsing
  CHECK_THAT(refusal_of("a: ]\n" + repeated(repeated("- ", 500) + "|x\n", 1000)),
             ContainsSubstring("line 1, column 4"));
  CHECK_THAT(refusal_of("a: ]\n" + repeated("|    ", 200000)),
             ContainsSubstring("line 1, column 4"));
}

TEST_CASE("what is written can be read again, or is not written", "[yaml][hostile]") {
  // A quarter of the quotes that are read, and twice those that are written
  YamlNode map = parse_yaml("{k: v}", BadTags::refuse);
  map.items[1].text = std::string(2000001, '\'');
  CHECK_THROWS_WITH(write_yaml(map), ContainsSubstring("brackets, commas, colons and quotes"));
  // Indentation alone
  std::string deep = "[";
  for (int i = 0; i < 390; ++i) {
    deep += "[";
  }
  deep += repeated("1,", 100000) + repeated("]", 391);
  YamlNode nested = parse_yaml("{k: " + deep + "}", BadTags::refuse);
  CHECK_THROWS_WITH(write_yaml(nested), ContainsSubstring("32 MiB"));
}

// AVSTORE_YAML_SEED chooses the documents, AVSTORE_YAML_DOCUMENTS says how many.
TEST_CASE("what PyYAML dumps and people write is read as PyYAML reads it", "[yaml][python]") {
  if (!avstore::test::has_python_modules()) {
    SKIP("needs python3 with numpy and yaml");
  }
  const std::string seed =
      from_environment("AVSTORE_YAML_SEED", std::to_string(std::random_device()()));
  const std::string count = from_environment("AVSTORE_YAML_DOCUMENTS", "2000");
  WARN("AVSTORE_YAML_SEED=" << seed);
  const TemporaryFolder folder;
  const fs::path script = fs::path(AVSTORE_DATA).parent_path() / "tests/support/yaml_documents.py";
  // The order of sets is part of the documents.
  const std::string command = "cd " + avstore::test::quoted(folder.path()) +
                              " && PYTHONHASHSEED=0 /usr/bin/python3 " +
                              avstore::test::quoted(script);
  const auto documents = nlohmann::json::parse(
      avstore::test::run(command + " make " + seed + ' ' + count + " | tee documents.json"));
  REQUIRE(documents.size() == std::stoul(count));
  auto answers = nlohmann::json::array();
  for (const auto& document : documents) {
    try {
      const YamlNode root = parse_yaml(document["text"].get<std::string>(), BadTags::refuse);
      answers.push_back({{"yaml", write_yaml(root)}, {"json", yaml_to_json(root)}});
    } catch (const YamlError& error) {
      answers.push_back({{"error", error.what()}});
    }
  }
  avstore::test::write_text(folder.path() / "answers.json", answers.dump());
  avstore::test::run(command + " compare documents.json answers.json 2>&1");
}
