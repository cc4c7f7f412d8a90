#include "support/extra_store.h"

#include <sstream>
#include <utility>
#include <variant>

#include "support/catch.h"
#include "support/programs.h"

namespace avstore::test {

namespace fs = std::filesystem;

WriterOptions vienna_options(const std::string& format, std::int64_t chunk_size) {
  WriterOptions options = options_of(format, chunk_size);
  options.timezone_local = "Europe/Vienna";
  return options;
}

void write_extra_store(const fs::path& store, const std::vector<Name>& names, int first_code,
                       const WriterOptions& options, Extra extra) {
  Writer writer(store, options);
  for (std::size_t i = 0; i < names.size(); ++i) {
    add(writer, draw(pixel::gray8, first_code + static_cast<int>(i)).view, names[i]);
    if (extra == Extra::each_frame) {
      writer.add_extra("{\"k\": " + std::to_string(i) + "}");
    }
  }
  writer.close();
}

const std::vector<Name>& names_of_late_camera() {
  static const std::vector<Name> kNames{{3, 10.0}, {4, 10.1}, {0, 10.2}, {1, 10.3},
                                        {2, 10.4}, {3, 10.5}, {4, 10.6}};
  return kNames;
}

fs::path golden_copy(const std::string& name, const fs::path& folder) {
  const fs::path original = fs::path(AVSTORE_DATA) / "golden" / name;
  REQUIRE(fs::exists(original));
  fs::copy(original, folder / name, fs::copy_options::recursive);
  run("chmod -R u+w " + quoted(folder / name));
  return folder / name;
}

std::vector<std::int64_t> numbers(const fs::path& store, ReaderOptions options) {
  return numbers_of(Reader(store, std::move(options)).infos({0, kMaxNumber}));
}

std::vector<std::int64_t> extra_numbers(const fs::path& store) {
  std::vector<std::int64_t> all;
  for (const FrameNumber number : read_extra(store).frame_number) {
    all.push_back(number.value);
  }
  return all;
}

std::vector<ExtraRow> extra_rows(const ExtraData& data, const std::string& column) {
  std::vector<ExtraRow> rows;
  const ExtraColumn* values = data.find(column);
  REQUIRE(values != nullptr);
  for (std::size_t i = 0; i < data.size(); ++i) {
    const std::string text = std::visit(
        [i](const auto& all) {
          std::ostringstream out;
          if constexpr (requires { out << all[i]; }) {
            out << all[i];
          } else {
            out << all[i].text;
          }
          return out.str();
        },
        values->values);
    rows.emplace_back(data.frame_index[i].value, data.frame_number[i].value, text);
  }
  return rows;
}

}  // namespace avstore::test
