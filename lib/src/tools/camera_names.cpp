#include "tools/camera_names.h"

#include <fmt/format.h>

#include <algorithm>

#include "avstore/error.h"

namespace avstore::tools {
namespace {

void require(bool ok, const std::string& message) {
  if (!ok) {
    throw Error(ErrorKind::invalid_argument, message);
  }
}

bool is_fit_for_names(const std::string& name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  return !name.empty() && name.front() != '.' && std::all_of(name.begin(), name.end(), fits);
}

}  // namespace

void require_fit_name(const std::string& camera) {
  require(is_fit_for_names(camera),
          "'" + camera + "' is no name; take letters, digits, '-', '_' and '.'");
}

std::filesystem::path store_name(const std::string& pattern, const std::string& camera,
                                 const std::string& time) {
  std::string name;
  for (std::size_t at = 0; at < pattern.size();) {
    const std::size_t open = std::min(pattern.find('{', at), pattern.size());
    name += pattern.substr(at, open - at);
    if (open == pattern.size()) {
      break;
    }
    const std::size_t close = pattern.find('}', open);
    const std::string what =
        close == std::string::npos ? pattern.substr(open) : pattern.substr(open, close - open + 1);
    require(
        what == "{camera}" || what == "{time}",
        fmt::format("{}: there is no {} in names; write {{camera}} or {{time}}", pattern, what));
    name += what == "{camera}" ? camera : time;
    at = close + 1;
  }
  return name;
}

}  // namespace avstore::tools
