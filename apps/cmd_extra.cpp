// avstore extra: the extra data of a store.
#include <avstore/extra.h>

#include <cmath>

#include "arguments.h"
#include "command.h"
#include "messages.h"

namespace avstore::cli {
namespace {

using nlohmann::ordered_json;

struct Options {
  std::filesystem::path store;
  bool ignore_corrupt = false;
  bool json = false;
};

void declare(Arguments& arguments, Options& options) {
  add_store(arguments, options.store);
  add_ignore_corrupt(arguments, options.ignore_corrupt,
                     "Leave out chunks whose extra data are damaged");
  add_json(arguments, options.json);
}

// Python's JSON knows NaN and Infinity, no other does: null instead, but not within strings.
std::string strict_json(const std::string& text) {
  std::string strict;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape = in_string && text[i] == '\\';
    in_string = text[i] == '"' ? !in_string : in_string;
    const std::size_t sign = text[i] == '-' ? 1 : 0;
    std::size_t length = 0;
    for (const std::string_view word : {"NaN", "Infinity"}) {
      if (!in_string && text.compare(i + sign, word.size(), word) == 0) {
        length = sign + word.size();
      }
    }
    strict += length > 0 ? "null" : text.substr(i, escape ? 2 : 1);
    i += length > 0 ? length - 1 : escape ? 1 : 0;
  }
  return strict;
}

// ---- CSV -----------------------------------------------------------------------------------

std::string csv_text(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) {
    return text;
  }
  std::string quoted = "\"";
  for (const char c : text) {
    quoted += c == '"' ? "\"\"" : std::string(1, c);
  }
  return quoted + '"';
}

std::string csv_cell(std::uint64_t value) {
  return std::to_string(value);
}
std::string csv_cell(std::int64_t value) {
  return std::to_string(value);
}
std::string csv_cell(double value) {
  return std::isnan(value) ? "" : fmt::format("{}", value);
}
std::string csv_cell(const std::string& value) {
  return csv_text(value);
}
std::string csv_cell(const ExtraJson& value) {
  return csv_text(value.text);
}

// An empty cell where there is nothing.
std::string csv_index(FrameIndex index) {
  return index.value < 0 ? "" : std::to_string(index.value);
}

std::string csv_number(FrameNumber number) {
  return number == kNoFrameNumber ? "" : std::to_string(number.value);
}

void write_csv(const ExtraData& data, Output& out) {
  out.write("frame_index,frame_number,frame_time");
  for (const ExtraColumn& column : data.columns) {
    out.write("," + csv_text(column.name));
  }
  out.write("\n");
  for (std::size_t row = 0; row < data.size(); ++row) {
    out.print("{},{},{}", csv_index(data.frame_index[row]), csv_number(data.frame_number[row]),
              csv_cell(data.frame_time[row].seconds));
    for (const ExtraColumn& column : data.columns) {
      out.write("," + std::visit([row](const auto& values) { return csv_cell(values[row]); },
                                 column.values));
    }
    out.write("\n");
  }
}

// ---- JSON ----------------------------------------------------------------------------------

std::string json_cell(const ExtraJson& value) {
  return value.text.empty() ? "null" : strict_json(value.text);
}
template <typename Value>
std::string json_cell(const Value& value) {
  return json_text(ordered_json(value));
}

std::string json_number(FrameNumber number) {
  return number == kNoFrameNumber ? "null" : std::to_string(number.value);
}

std::string json_record(const ExtraData& data, std::size_t row) {
  const std::int64_t index = data.frame_index[row].value;
  std::string text =
      fmt::format(R"({{"frame_index":{},"frame_number":{},"frame_time":{})",
                  index < 0 ? "null" : std::to_string(index), json_number(data.frame_number[row]),
                  json_cell(data.frame_time[row].seconds));
  for (const ExtraColumn& column : data.columns) {
    text += ',' + json_text(ordered_json(column.name)) + ':' +
            std::visit([row](const auto& values) { return json_cell(values[row]); }, column.values);
  }
  return text + '}';
}

// A record a line, none of them kept.
void write_json(const ExtraData& data, Output& out) {
  const ordered_json rates = data.sample_rates;
  out.print("{{\"sample_rates\":{},\"records\":[", rates.empty() ? "{}" : json_text(rates));
  const char* separator = "\n";
  for (std::size_t row = 0; row < data.size(); ++row) {
    out.write(separator);
    out.write(json_record(data, row));
    separator = ",\n";
  }
  out.write(data.size() > 0 ? "\n]}\n" : "]}\n");
}

int run(const Options& options, Output& out) {
  const ExtraData data = read_extra(options.store, {options.ignore_corrupt, say});
  if (options.json) {
    write_json(data, out);
  } else {
    write_csv(data, out);
  }
  return kDone;
}

}  // namespace

Command extra_command(CommandLine& line) {
  return make_command<Options>(
      line,
      {"extra",
       "Write the extra data of a store, the records tied to its frames, as CSV: a line a record",
       "  avstore extra arena.store > sensors.csv\n"
       "  avstore extra arena.store --json --ignore-corrupt"},
      declare, run);
}

}  // namespace avstore::cli
