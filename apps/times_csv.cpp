#include "times_csv.h"

#include <avstore/error.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

#include "arguments.h"

namespace avstore::cli {
namespace {

// Where in a line the two values stand.
struct Columns {
  std::size_t number = 0;
  std::size_t time = 1;
  std::size_t count = 2;
};

std::string trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\"";  // some programs quote everything
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) {
    return {};
  }
  return std::string(text.substr(begin, text.find_last_not_of(kBlank) - begin + 1));
}

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> fields;
  for (std::size_t begin = 0; begin <= line.size();) {
    const std::size_t comma = std::min(line.find(',', begin), line.size());
    fields.push_back(trimmed(std::string_view(line).substr(begin, comma - begin)));
    begin = comma + 1;
  }
  return fields;
}

bool is_header(const std::vector<std::string>& fields) {
  try {
    parse_number(fields.front());
    return false;
  } catch (const BadValue&) {
    return true;
  }
}

std::size_t column_named(const std::string& name, const std::vector<std::string>& header) {
  const auto found = std::find(header.begin(), header.end(), name);
  if (found == header.end()) {
    throw BadValue(fmt::format("the first line names no column {}", name));
  }
  return static_cast<std::size_t>(found - header.begin());
}

Columns columns_of(const std::vector<std::string>& header) {
  return {column_named("frame_number", header), column_named("frame_time", header), header.size()};
}

FrameNames names_in(const std::vector<std::string>& fields, const Columns& columns) {
  if (fields.size() != columns.count) {
    throw BadValue(fmt::format("{} values instead of {}", fields.size(), columns.count));
  }
  return {FrameNumber(parse_integer(fields[columns.number])),
          FrameTime(parse_number(fields[columns.time]))};
}

class TimesReader {
 public:
  void take(const std::string& line) {
    if (trimmed(line).empty()) {
      return;
    }
    const std::vector<std::string> fields = split(line);
    if (first_ && is_header(fields)) {
      columns_ = columns_of(fields);
    } else {
      names_.push_back(names_in(fields, columns_));
    }
    first_ = false;
  }

  std::vector<FrameNames> result() && { return std::move(names_); }

 private:
  bool first_ = true;
  Columns columns_;
  std::vector<FrameNames> names_;
};

std::ifstream open(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::error_code unknown;
  if (!stream || std::filesystem::is_directory(file, unknown)) {
    const int error = stream ? EISDIR : errno;
    throw Error(error == ENOENT ? ErrorKind::not_found : ErrorKind::io,
                fmt::format("{}: cannot be opened: {}", file.string(),
                            std::generic_category().message(error)));
  }
  return stream;
}

void skip_byte_order_mark(std::string& line) {
  constexpr std::string_view kMark = "\xEF\xBB\xBF";
  if (line.starts_with(kMark)) {
    line.erase(0, kMark.size());
  }
}

}  // namespace

std::vector<FrameNames> read_times_csv(const std::filesystem::path& file) {
  std::ifstream stream = open(file);
  TimesReader reader;
  std::string line;
  for (std::int64_t number = 1; std::getline(stream, line); ++number) {
    try {
      skip_byte_order_mark(line);
      reader.take(line);
    } catch (const BadValue& bad) {
      throw Error(ErrorKind::invalid_argument,
                  fmt::format("{}: line {}: {}; each line should be frame_number,frame_time",
                              file.string(), number, bad.what()));
    }
  }
  if (stream.bad()) {
    throw Error(ErrorKind::io, file.string() + ": cannot be read");
  }
  std::vector<FrameNames> names = std::move(reader).result();
  if (names.empty()) {
    throw Error(ErrorKind::invalid_argument,
                file.string() + ": names no frame; each line should be frame_number,frame_time");
  }
  return names;
}

}  // namespace avstore::cli
