// The stores that programs of fuzz_commands begin with.
#pragma once

#include <array>
#include <filesystem>
#include <string_view>

namespace avstore::fuzz {

// Those of data/golden that the reference implementation wrote; closed ones of avstore's with three
// chunks, named by their format; and what a killed writer leaves.
inline constexpr auto kSeedStores = std::to_array<std::string_view>(
    {"wrap_npy", "bayer_bg_png", "dir_bpk_u16", "legacy_ffmpeg_20190523_110102",
     "missing_index_avc1", "motif_extra_h5", "mp4", "mkv", "avi", "png", "killed-mp4", "killed-mkv",
     "killed-npy"});

// Makes that store in `folder`, which must not be there yet. All have images of 64x48 pixels.
void make_seed_store(std::string_view name, const std::filesystem::path& folder);

}  // namespace avstore::fuzz
