// Any bytes as a chunk's .extra.json: as records, and as columns. Records that could be read must
// be fit to be written.
#include <stdexcept>
#include <string>

#include "avstore/error.h"
#include "fuzz/scratch.h"
#include "imgstore/extra_data.h"
#include "imgstore/extra_table.h"

namespace {

namespace imgstore = avstore::imgstore;

void read_records(const std::filesystem::path& file) {
  std::vector<imgstore::ExtraRecord> records;
  try {
    records = imgstore::read_extra_json(file);
  } catch (const avstore::Error&) {
    return;  // a refusal is what a damaged file should get
  }
  imgstore::extra_json_text(records);
}

void read_columns(const std::string& text) {
  avstore::ExtraData all;
  try {
    all = imgstore::parse_extra_json(text);
  } catch (const imgstore::JsonError&) {
    return;
  } catch (const std::invalid_argument&) {
    return;
  }
  imgstore::append_extra(all, all);
  imgstore::pick(all, imgstore::sorted_rows(all, imgstore::rows_without_padding(all), "a"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const avstore::fuzz::Scratch scratch;
  const std::string_view text = avstore::fuzz::as_text(data, size);
  read_records(scratch.file("000000.extra.json", text));
  read_columns(std::string(text));
  return 0;
}
