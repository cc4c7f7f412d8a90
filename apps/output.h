// Standard output: where results go.
#pragma once

#include <avstore/error.h>
#include <fmt/format.h>

#include <cstdint>
#include <iterator>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace avstore::cli {

// What to tell of standard output that cannot be written, for a reason other than EPIPE.
Error output_error(int error);

// Whoever read our output has stopped reading, as `head` does. No error: nobody wants the rest.
struct ClosedPipe {};

// A buffered writer on standard output that notices every failure. All its functions throw
// ClosedPipe, Error(io) and, if a signal comes while the reader keeps us waiting, Interrupted.
class Output {
 public:
  void write(std::string_view text);
  // For much at once: goes past the buffer without being copied.
  void write(std::span<const std::uint8_t> bytes);

  template <typename... Values>
  void print(fmt::format_string<Values...> format, Values&&... values) {
    fmt::format_to(std::back_inserter(buffer_), format, std::forward<Values>(values)...);
    flush_if_full();
  }

  void print_json(const nlohmann::ordered_json& value);

  void flush();

  // The command has failed, and ends so even if nobody reads what it found.
  void note_failure() { failed_ = true; }
  bool has_failed() const { return failed_; }

  // Flush, and wait that long. False once a signal has come. Also throws ClosedPipe when the reader
  // stops reading meanwhile.
  bool wait(double seconds);

 private:
  void flush_if_full();

  std::string buffer_;
  bool failed_ = false;
};

// JSON text of a value. File names need not be UTF-8, JSON must be: what is not becomes U+FFFD.
std::string json_text(const nlohmann::ordered_json& value, int indent = -1);

// Is standard output, or standard error, a terminal?
bool output_is_terminal();
bool messages_are_on_terminal();

// Open whichever of the standard streams the caller closed, so that no file of a store gets their
// descriptors. Reading or writing them fails as if they were closed still.
void occupy_standard_streams();

}  // namespace avstore::cli
