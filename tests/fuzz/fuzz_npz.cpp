// Any bytes as the index file of a chunk: as .npz where they begin like an archive, else as .yaml.
// What could be read is written anew, as renumbering does.
#include "avstore/error.h"
#include "fuzz/scratch.h"
#include "imgstore/chunk_index.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const avstore::fuzz::Scratch scratch;
  const std::string_view text = avstore::fuzz::as_text(data, size);
  const bool archive = text.starts_with("PK");
  try {
    const auto file = scratch.file(archive ? "000000.npz" : "000000.yaml", text);
    const auto index = avstore::imgstore::read_chunk_index(file);
    if (archive) {
      avstore::imgstore::rewrite_chunk_index(file, scratch.path() / "000001.npz", index);
    }
  } catch (const avstore::Error&) {
    // A refusal is what a damaged file should get.
  }
  return 0;
}
