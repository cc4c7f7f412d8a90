// What calls that fail say, and what they leave behind.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "avstore/error.h"
#include "avstore/reader.h"
#include "support/catch.h"

namespace avstore::test {

// The error that the call ends with. Without one, the test fails.
Error error_of(const std::function<void()>& call);

// Whether its message holds `text`.
bool says(const Error& error, std::string_view text);

// The kind of that error, whose message must hold `part_of_message`.
ErrorKind kind_of_error(const std::function<void()>& call, const std::string& part_of_message = "");

#define CHECK_ERROR(kind, ...) \
  CHECK(::avstore::test::kind_of_error([&] { __VA_ARGS__; }) == ::avstore::ErrorKind::kind)

// "KIND: MESSAGE" of the error that the call ends with; "no error".
std::string outcome_of(const std::function<void()>& call);

// Whether outcome_of() speaks of an avstore::Error: not of another type, a crash or a hang.
bool is_an_error(const std::string& outcome);

// What a reader warns of. Must outlive the readers that were opened with its options.
struct Warned {
  std::vector<std::string> lines;
  ReaderOptions options(bool save_index = true);
};

// Everything below a folder: relative path to contents.
std::map<std::string, std::string> tree(const std::filesystem::path& folder);

// What lies right in a folder, sorted.
std::vector<std::string> names_in(const std::filesystem::path& folder);

}  // namespace avstore::test
