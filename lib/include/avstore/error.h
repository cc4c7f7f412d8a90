// Errors of the library.
#pragma once

#include <stdexcept>
#include <string>

namespace avstore {

// What kind of thing went wrong, for callers that react differently to each.
enum class ErrorKind {
  not_found,         // no such file, store, frame number or stream
  end_of_store,      // an index past the last frame
  invalid_argument,  // the caller asked for something that cannot be
  exists,            // the destination is there already
  corrupt,           // a file or database contradicts itself or another
  unsupported,       // well-formed, but not something this library or machine can do
  io,                // the operating system refused (full disk, permissions, ...)
};

// Every failure of the library is thrown as this type. The message names the file concerned, what
// failed and, where libav* or SQLite reported it, their own words.
//
// For libav's words the library sets the log callback of the whole process (av_log_set_callback)
// when it first uses libav: from then on libav prints nothing, and another callback that was set
// before is not called.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message, int system_error = 0)
      : std::runtime_error(message), kind_(kind), system_error_(system_error) {}
  ErrorKind kind() const noexcept { return kind_; }
  // The operating system's number (errno) of what it refused, such as ENOSPC; 0 if not known.
  int system_error() const noexcept { return system_error_; }

 private:
  ErrorKind kind_;
  int system_error_;
};

}  // namespace avstore
