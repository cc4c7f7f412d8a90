// Importing without encoding anew: the coded packets of a file are cut into chunks at keyframes.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "avstore/tools.h"

namespace avstore::tools {

// The format a file is imported to where its packets cannot be kept: pixels come out the same.
inline constexpr const char* kLosslessInsteadOfCopy = "ffv1/mkv";

// `store` is an empty folder. None if the packets cannot be kept, because an edit list hides frames
// among those shown; the notice has said so then.
std::optional<ImportResult> import_copy(const std::filesystem::path& file,
                                        const std::filesystem::path& store,
                                        const ImportOptions& options);

// Of a source that was found to be cut off, if `truncation` is not empty. Throws Error(corrupt)
// unless the options allow that.
void require_whole(const std::string& truncation, const std::string& file,
                   const ImportOptions& options);
// Where that is allowed, a notice tells of it.
void tell_of_truncation(const std::string& truncation, const std::string& file,
                        const ImportOptions& options);

}  // namespace avstore::tools
