#include "imgstore/extra_data.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>

#include "avstore/error.h"
#include "avstore/extra.h"
#include "base/files.h"
#include "imgstore/json_text.h"

namespace avstore::imgstore {
namespace {

constexpr std::string_view kIndex = "frame_index";
constexpr std::string_view kNumber = "frame_number";
constexpr std::string_view kTime = "frame_time";

std::vector<JsonMember> parse_object(const std::string& json) {
  try {
    JsonReader reader(json);
    std::vector<JsonMember> members = reader.object();
    reader.finish();
    return members;
  } catch (const JsonError& error) {
    throw Error(ErrorKind::invalid_argument,
                std::string("extra data must be one JSON object: ") + error.what());
  }
}

// Remove a member; its value, or "" if it was not there.
std::string take_member(std::vector<JsonMember>& members, std::string_view key) {
  for (auto member = members.begin(); member != members.end(); ++member) {
    if (member->key == key) {
      std::string value = std::move(member->value);
      members.erase(member);
      return value;
    }
  }
  return "";
}

std::vector<JsonMember> users_members(std::vector<JsonMember> members) {
  for (const std::string_view key : {kTime, kNumber, kIndex}) {
    take_member(members, key);
  }
  return members;
}

bool is_number(const std::string& json) {
  return !json.empty() && std::string_view("-0123456789NI").find(json.front()) != std::string::npos;
}

// An integer, or a float that is one: pandas writes a column as floats once a value is missing.
std::int64_t to_integer(const std::string& json, std::string_view key) {
  std::int64_t value = 0;
  const char* end = json.data() + json.size();
  const auto result = std::from_chars(json.data(), end, value);
  if (!json.empty() && result.ec == std::errc() && result.ptr == end) {
    return value;
  }
  constexpr double kExactIntegers = 9007199254740992;  // 2^53
  const double number =
      is_number(json) ? json_to_double(json) : std::numeric_limits<double>::quiet_NaN();
  if (!(std::abs(number) <= kExactIntegers) || number != std::floor(number)) {
    throw std::invalid_argument(std::string(key) + " must be an integer");
  }
  return static_cast<std::int64_t>(number);
}

// What there is of a frame before the first one.
bool is_absent(const std::string& json) {
  return json.empty() || json == "null" || json == "NaN";
}

double to_seconds(const std::string& json) {
  if (json == "null") {
    return std::numeric_limits<double>::quiet_NaN();
  }
  if (!is_number(json)) {
    throw std::invalid_argument(std::string(kTime) + " must be a number");
  }
  return json_to_double(json);
}

ExtraRecord to_record(std::vector<JsonMember> members) {
  ExtraRecord record;
  record.frame_time = to_seconds(take_member(members, kTime));
  const std::string number = take_member(members, kNumber);
  const std::string index = take_member(members, kIndex);
  record.frame_index = is_absent(index) ? -1 : to_integer(index, kIndex);
  const bool none = is_absent(number) && !number.empty() && record.frame_index < 0;
  record.frame_number = none ? kNoFrameNumber.value : to_integer(number, kNumber);
  record.json = json_object(members);
  return record;
}

std::vector<ExtraRecord> read_records(const std::string& text) {
  std::vector<ExtraRecord> records;
  JsonReader reader(text);
  reader.enter_array();
  while (reader.next_element()) {
    auto members = reader.object();
    try {
      records.push_back(to_record(std::move(members)));
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument("record " + std::to_string(records.size()) + ": " + error.what());
    }
  }
  reader.finish();
  return records;
}

std::string record_text(const ExtraRecord& record) {
  std::vector<JsonMember> members = users_members(parse_object(record.json));
  members.push_back({std::string(kTime), json_number(record.frame_time)});
  const bool none = record.frame_number == kNoFrameNumber.value;
  members.push_back({std::string(kNumber), none ? "NaN" : std::to_string(record.frame_number)});
  members.push_back({std::string(kIndex), std::to_string(record.frame_index)});
  return json_object(members);
}

}  // namespace

std::string normalize_extra_json(const std::string& json) {
  return json_object(users_members(parse_object(json)));
}

std::vector<std::string> users_json(const std::string& text) {
  std::vector<std::string> records;
  JsonReader reader(text);
  reader.enter_array();
  while (reader.next_element()) {
    records.push_back(json_object(users_members(reader.object())));
  }
  reader.finish();
  return records;
}

std::string extra_json_text(const std::vector<ExtraRecord>& records) {
  std::string text = "[";
  for (const ExtraRecord& record : records) {
    text += text.size() > 1 ? ", " : "";
    text += record_text(record);
  }
  return text + ']';
}

void ExtraJsonFile::add(const ExtraRecord& record) {
  constexpr std::size_t kBlock = std::size_t{1} << 18;
  text_ += is_first_ ? "" : ", ";
  text_ += record_text(record);
  is_first_ = false;
  if (text_.size() >= kBlock) {
    file_.write(text_);
    text_.clear();
  }
}

void ExtraJsonFile::finish() {
  file_.write(text_ + ']');
  file_.put_in_place();
}

void write_extra_json(const std::filesystem::path& file, const std::vector<ExtraRecord>& records) {
  ExtraJsonFile written(file);
  for (const ExtraRecord& record : records) {
    written.add(record);
  }
  written.finish();
}

std::vector<ExtraRecord> read_extra_json(const std::filesystem::path& file) {
  const std::string text = base::read_text(file);
  try {
    return read_records(text);
  } catch (const JsonError& error) {
    throw Error(ErrorKind::corrupt, file.string() + ": " + error.what());
  } catch (const std::invalid_argument& error) {
    throw Error(ErrorKind::corrupt, file.string() + ": " + error.what());
  }
}

}  // namespace avstore::imgstore
