#include "imgstore/extra_table.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <type_traits>
#include <utility>

#include "imgstore/chunk_index.h"

namespace avstore::imgstore {
namespace {

using Integers = std::vector<std::int64_t>;
using Naturals = std::vector<std::uint64_t>;
using Reals = std::vector<double>;
using Texts = std::vector<std::string>;
using Jsons = std::vector<ExtraJson>;
using Values = decltype(ExtraColumn::values);

// A table has a cell for each record in each column, and records that share no members leave most
// of them empty. More of them than this, with as few filled, are no table.
constexpr std::size_t kMostEmptyCells = std::size_t{1} << 20U;
constexpr std::size_t kMostCellsForOne = 64;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// ---- JSON cells ----------------------------------------------------------------------------

template <typename Integer = std::int64_t>
std::optional<Integer> as_integer(const std::string& json) {
  Integer value = 0;
  const char* end = json.data() + json.size();
  const auto result = std::from_chars(json.data(), end, value);
  return result.ec == std::errc() && result.ptr == end ? std::optional(value) : std::nullopt;
}

bool is_absent(const std::string& json) {
  return json.empty() || json == "null";
}

// Python writes NaN of a frame where there was none yet.
bool is_nothing(const std::string& json) {
  return is_absent(json) || json == "NaN";
}

bool is_real(const std::string& json) {
  return !json.empty() && std::string_view("-0123456789NI").find(json.front()) != std::string::npos;
}

constexpr std::int64_t kMostExactInteger = std::int64_t{1} << 53;  // as a double

bool is_exact_as_real(std::int64_t value) {
  return value <= kMostExactInteger && value >= -kMostExactInteger;
}
bool is_exact_as_real(std::uint64_t value) {
  return value <= static_cast<std::uint64_t>(kMostExactInteger);
}

// Integers of any size have all their digits; what has a point or an exponent is a double.
bool loses_digits_as_real(const std::string& json) {
  const bool whole = json.find_first_not_of("-0123456789") == std::string::npos;
  const auto integer = as_integer(json);
  return whole && !json.empty() && !(integer && is_exact_as_real(*integer));
}

bool is_text(const std::string& json) {
  return !json.empty() && json.front() == '"';
}

// The content of a JSON string: as the key of an object it comes unescaped.
std::string unescaped(const std::string& json) {
  const std::string object = '{' + json + ":0}";
  JsonReader reader(object);
  return reader.object().at(0).key;
}

// The cells of a column in the narrowest type that holds all of them.
Values typed(const Texts& cells) {
  const auto all = [&cells](const auto& fits) {
    return std::all_of(cells.begin(), cells.end(), fits);
  };
  if (all([](const std::string& cell) { return as_integer(cell).has_value(); })) {
    Integers values;
    for (const std::string& cell : cells) {
      values.push_back(as_integer(cell).value_or(0));
    }
    return values;
  }
  if (all([](const std::string& cell) { return as_integer<std::uint64_t>(cell).has_value(); })) {
    Naturals values;
    for (const std::string& cell : cells) {
      values.push_back(as_integer<std::uint64_t>(cell).value_or(0));
    }
    return values;
  }
  if (all([](const std::string& cell) {
        return is_absent(cell) || (is_real(cell) && !loses_digits_as_real(cell));
      })) {
    Reals values;
    for (const std::string& cell : cells) {
      values.push_back(is_absent(cell) ? kNaN : json_to_double(cell));
    }
    return values;
  }
  if (all(is_text)) {
    Texts values;
    for (const std::string& cell : cells) {
      values.push_back(unescaped(cell));
    }
    return values;
  }
  Jsons values;
  for (const std::string& cell : cells) {
    values.push_back({cell});
  }
  return values;
}

// ---- types that hold more ------------------------------------------------------------------

// Of numbers.
Reals to_reals(const Values& values) {
  return std::visit(
      [](const auto& numbers) -> Reals {
        if constexpr (std::is_arithmetic_v<typename std::decay_t<decltype(numbers)>::value_type>) {
          return {numbers.begin(), numbers.end()};
        } else {
          return {};
        }
      },
      values);
}

bool are_natural(const Values& values) {
  const auto* integers = std::get_if<Integers>(&values);
  return std::holds_alternative<Naturals>(values) ||
         (integers != nullptr && std::all_of(integers->begin(), integers->end(),
                                             [](std::int64_t value) { return value >= 0; }));
}

// Of values that are_natural().
Naturals to_naturals(const Values& values) {
  const auto* integers = std::get_if<Integers>(&values);
  return integers != nullptr ? Naturals(integers->begin(), integers->end())
                             : std::get<Naturals>(values);
}

ExtraJson to_json(std::int64_t value) {
  return {std::to_string(value)};
}
ExtraJson to_json(std::uint64_t value) {
  return {std::to_string(value)};
}
ExtraJson to_json(double value) {
  return {std::isnan(value) ? "null" : json_number(value)};
}
ExtraJson to_json(const std::string& value) {
  return {json_string(value)};
}
ExtraJson to_json(ExtraJson value) {
  return value;
}

Jsons to_jsons(const Values& values) {
  return std::visit(
      [](const auto& typed_values) {
        Jsons out;
        out.reserve(typed_values.size());
        for (const auto& value : typed_values) {
          out.push_back(to_json(value));
        }
        return out;
      },
      values);
}

// Whether they can become doubles, and the same numbers.
bool fits_reals(const Values& values) {
  const auto exact = [](const auto* integers) {
    return integers != nullptr &&
           std::all_of(integers->begin(), integers->end(),
                       [](const auto value) { return is_exact_as_real(value); });
  };
  return std::holds_alternative<Reals>(values) || exact(std::get_if<Integers>(&values)) ||
         exact(std::get_if<Naturals>(&values));
}

// Make both of the same type.
void unify(Values& a, Values& b) {
  if (a.index() == b.index()) {
    return;
  }
  const bool numeric = fits_reals(a) && fits_reals(b);
  const bool natural = are_natural(a) && are_natural(b);
  for (Values* values : {&a, &b}) {
    if (natural) {
      *values = to_naturals(*values);
    } else if (numeric) {
      *values = to_reals(*values);
    } else {
      *values = to_jsons(*values);
    }
  }
}

// A column of records that have nothing there, to go with `like`.
Values absent(std::size_t count, const Values& like) {
  return fits_reals(like) ? Values(Reals(count, kNaN)) : Values(Jsons(count));
}

void append_values(Values& to, Values more) {
  unify(to, more);
  std::visit(
      [&more](auto& values) {
        auto& other = std::get<std::decay_t<decltype(values)>>(more);
        values.insert(values.end(), std::make_move_iterator(other.begin()),
                      std::make_move_iterator(other.end()));
      },
      to);
}

ExtraColumn* find_column(ExtraData& data, const std::string& name) {
  const auto found =
      std::find_if(data.columns.begin(), data.columns.end(),
                   [&name](const ExtraColumn& column) { return column.name == name; });
  return found == data.columns.end() ? nullptr : &*found;
}

// ---- records -------------------------------------------------------------------------------

// The records of one file, as text, column by column.
class CellTable {
 public:
  void add(std::vector<JsonMember> members) {
    filled_ += members.size();
    for (JsonMember& member : members) {
      Texts& cells = column(member.key);
      require_table();
      cells.resize(rows_);
      cells.push_back(std::move(member.value));
    }
    ++rows_;
    require_table();
  }

  ExtraData finish() {
    ExtraData data;
    for (const std::string& name : names_) {
      Texts& cells = cells_[name];
      cells.resize(rows_);
      take(name, cells, data);
      cells.clear();
    }
    data.frame_index.resize(rows_, FrameIndex(-1));
    data.frame_time.resize(rows_, FrameTime(kNaN));
    if (data.frame_number.size() != rows_) {
      throw std::invalid_argument("records without frame_number");
    }
    require_numbers(data);
    return data;
  }

 private:
  // Only a record from before the first frame has none.
  static void require_numbers(const ExtraData& data) {
    for (std::size_t row = 0; row < data.frame_number.size(); ++row) {
      if (data.frame_number[row] == kNoFrameNumber && data.frame_index[row].value >= 0) {
        throw std::invalid_argument("record " + std::to_string(row) +
                                    ": frame_number must be an integer");
      }
    }
  }

  Texts& column(const std::string& name) {
    const auto [found, is_new] = cells_.try_emplace(name);
    if (is_new) {
      names_.push_back(name);
    }
    return found->second;
  }

  void require_table() const {
    if (names_.size() * (rows_ + 1) > kMostEmptyCells + filled_ * kMostCellsForOne) {
      throw std::invalid_argument("record " + std::to_string(rows_) +
                                  ": so many records with so few members in common make no table");
    }
  }

  static void take(const std::string& name, const Texts& cells, ExtraData& data) {
    if (name != "frame_index" && name != "frame_number" && name != "frame_time") {
      data.columns.push_back({name, typed(cells)});
      return;
    }
    for (const std::string& cell : cells) {
      if (name == "frame_index") {
        data.frame_index.emplace_back(is_nothing(cell) ? -1 : whole_number(name, cell));
      } else if (name == "frame_number") {
        const bool none = is_nothing(cell) && !cell.empty();
        data.frame_number.push_back(none ? kNoFrameNumber : FrameNumber(whole_number(name, cell)));
      } else {
        data.frame_time.emplace_back(real(name, cell));
      }
    }
  }

  static double real(const std::string& name, const std::string& cell) {
    if (!is_absent(cell) && !is_real(cell)) {
      throw std::invalid_argument(name + " must be a number");
    }
    return is_absent(cell) ? kNaN : json_to_double(cell);
  }

  // An integer, or a float that is one: pandas writes a column as floats once a value is missing.
  static std::int64_t whole_number(const std::string& name, const std::string& cell) {
    if (const auto integer = as_integer(cell)) {
      return *integer;
    }
    const double number = real(name, cell);
    if (!(std::abs(number) <= static_cast<double>(kMostExactInteger)) ||
        number != std::floor(number)) {
      throw std::invalid_argument(name + " must be an integer");
    }
    return static_cast<std::int64_t>(number);
  }

  std::size_t rows_ = 0;
  std::size_t filled_ = 0;  // cells
  Texts names_;
  std::map<std::string, Texts> cells_;
};

// NaN where there is none.
double number_at(const Values& values, std::size_t row) {
  if (const auto* integers = std::get_if<Integers>(&values)) {
    return static_cast<double>((*integers)[row]);
  }
  if (const auto* naturals = std::get_if<Naturals>(&values)) {
    return static_cast<double>((*naturals)[row]);
  }
  if (const auto* reals = std::get_if<Reals>(&values)) {
    return (*reals)[row];
  }
  const auto* jsons = std::get_if<Jsons>(&values);
  return jsons != nullptr && is_real((*jsons)[row].text) ? json_to_double((*jsons)[row].text)
                                                         : kNaN;
}

}  // namespace

ExtraData parse_extra_json(const std::string& text) {
  CellTable table;
  JsonReader reader(text);
  reader.enter_array();
  while (reader.next_element()) {
    table.add(reader.object());
  }
  reader.finish();
  return table.finish();
}

void append_extra(ExtraData& all, ExtraData more) {
  const std::size_t before = all.size();
  for (ExtraColumn& column : more.columns) {
    if (ExtraColumn* there = find_column(all, column.name)) {
      append_values(there->values, std::move(column.values));
    } else {
      Values values = before == 0 ? std::move(column.values) : absent(before, column.values);
      if (before != 0) {
        append_values(values, std::move(column.values));
      }
      all.columns.push_back({column.name, std::move(values)});
    }
  }
  for (ExtraColumn& column : all.columns) {
    if (find_column(more, column.name) == nullptr && more.size() > 0) {
      append_values(column.values, absent(more.size(), column.values));
    }
  }
  const auto append = [](auto& to, const auto& from) {
    to.insert(to.end(), from.begin(), from.end());
  };
  append(all.frame_index, more.frame_index);
  append(all.frame_number, more.frame_number);
  append(all.frame_time, more.frame_time);
  all.sample_rates.insert(more.sample_rates.begin(), more.sample_rates.end());
}

ExtraData pick(const ExtraData& data, const ExtraRows& rows) {
  const auto picked = [&rows](const auto& values) {
    std::decay_t<decltype(values)> out;
    out.reserve(rows.size());
    for (const std::size_t row : rows) {
      out.push_back(values[row]);
    }
    return out;
  };
  ExtraData out;
  out.frame_index = picked(data.frame_index);
  out.frame_number = picked(data.frame_number);
  out.frame_time = picked(data.frame_time);
  out.sample_rates = data.sample_rates;
  for (const ExtraColumn& column : data.columns) {
    out.columns.push_back(
        {column.name, std::visit([&picked](const auto& values) { return Values(picked(values)); },
                                 column.values)});
  }
  return out;
}

ExtraRows all_rows(const ExtraData& data) {
  ExtraRows rows(data.size());
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  return rows;
}

ExtraRows rows_without_padding(const ExtraData& data) {
  // Renumbering gives real frames negative numbers, and these the number that they had.
  const ExtraColumn* before = data.find(std::string(kBeforeReindex));
  ExtraRows rows = all_rows(data);
  std::erase_if(rows, [&](std::size_t row) {
    const bool was_natural = before != nullptr && number_at(before->values, row) >= 0;
    return data.frame_number[row].value < 0 && !was_natural;
  });
  return rows;
}

ExtraRows sorted_rows(const ExtraData& data, ExtraRows rows, const std::string& second) {
  const ExtraColumn* column = data.find(second);
  const auto rank = [&](std::size_t row) {
    const double key = column == nullptr ? 0 : number_at(column->values, row);
    // NaN would make no order; it comes last.
    return std::pair(data.frame_index[row],
                     std::isnan(key) ? std::numeric_limits<double>::infinity() : key);
  };
  std::stable_sort(rows.begin(), rows.end(),
                   [&rank](std::size_t a, std::size_t b) { return rank(a) < rank(b); });
  return rows;
}

}  // namespace avstore::imgstore

namespace avstore {

const ExtraColumn* ExtraData::find(const std::string& name) const {
  const auto found =
      std::find_if(columns.begin(), columns.end(),
                   [&name](const ExtraColumn& column) { return column.name == name; });
  return found == columns.end() ? nullptr : &*found;
}

}  // namespace avstore
