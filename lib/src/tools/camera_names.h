// What cameras are called, and where their stores go.
#pragma once

#include <filesystem>
#include <string>

namespace avstore::tools {

// It may stand in names of files. Throws Error(invalid_argument) if it may not.
void require_fit_name(const std::string& camera);

// Fills in what stands in braces: {camera} and {time}. Throws Error(invalid_argument) for anything
// else there.
std::filesystem::path store_name(const std::string& pattern, const std::string& camera,
                                 const std::string& time);

}  // namespace avstore::tools
