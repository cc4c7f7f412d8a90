#include "support/outcome.h"

#include <algorithm>
#include <set>
#include <stdexcept>

#include "support/programs.h"

namespace avstore::test {

namespace fs = std::filesystem;

Error error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  FAIL("no error");
  throw std::logic_error("not reached");
}

bool says(const Error& error, std::string_view text) {
  return std::string_view(error.what()).find(text) != std::string_view::npos;
}

ErrorKind kind_of_error(const std::function<void()>& call, const std::string& part_of_message) {
  const Error error = error_of(call);
  INFO(error.what());
  CHECK(says(error, part_of_message));
  return error.kind();
}

namespace {

std::string name_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::not_found:
      return "not_found";
    case ErrorKind::end_of_store:
      return "end_of_store";
    case ErrorKind::invalid_argument:
      return "invalid_argument";
    case ErrorKind::exists:
      return "exists";
    case ErrorKind::corrupt:
      return "corrupt";
    case ErrorKind::unsupported:
      return "unsupported";
    case ErrorKind::io:
      return "io";
  }
  return "?";
}

}  // namespace

std::string outcome_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return name_of(error.kind()) + ": " + error.what();
  }
  return "no error";
}

bool is_an_error(const std::string& outcome) {
  static const std::set<std::string> kKinds{
      "not_found", "end_of_store", "exists", "invalid_argument", "corrupt", "unsupported", "io"};
  return kKinds.contains(outcome.substr(0, outcome.find(':')));
}

ReaderOptions Warned::options(bool save_index) {
  ReaderOptions made;
  made.save_index = save_index;
  made.on_warning = [this](const std::string& line) { lines.push_back(line); };
  return made;
}

std::map<std::string, std::string> tree(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    files[fs::relative(entry.path(), folder)] =
        entry.is_regular_file() ? read_text(entry.path()) : "";
  }
  return files;
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace avstore::test
