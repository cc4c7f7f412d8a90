#include "output.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <avstore/tools.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <system_error>

#include "interrupt.h"

namespace avstore::cli {
namespace {

constexpr std::size_t kBufferSize = 1 << 16;

[[noreturn]] void fail(int error) {
  if (error == EPIPE) {
    throw ClosedPipe{};
  }
  throw output_error(error);
}

void write_all(const char* bytes, std::size_t size) {
  while (size > 0) {
    const ssize_t written = ::write(STDOUT_FILENO, bytes, size);
    if (written >= 0) {
      bytes += written;
      size -= static_cast<std::size_t>(written);
    } else if (errno != EINTR) {
      fail(errno);
    } else if (interrupted()) {
      throw Interrupted("standard output");
    }
  }
}

}  // namespace

Error output_error(int error) {
  return {ErrorKind::io,
          "standard output: cannot be written: " + std::generic_category().message(error) +
              "; what came out is incomplete"};
}

void Output::write(std::string_view text) {
  buffer_.append(text);
  flush_if_full();
}

void Output::write(std::span<const std::uint8_t> bytes) {
  flush();
  write_all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void Output::print_json(const nlohmann::ordered_json& value) {
  write(json_text(value, 2));
  write("\n");
}

void Output::flush() {
  // Emptied first: a failure must not be met again when the program ends.
  const std::string text = std::exchange(buffer_, {});
  write_all(text.data(), text.size());
}

bool Output::wait(double seconds) {
  using std::chrono::steady_clock;
  flush();
  const auto end = steady_clock::now() + std::chrono::duration<double>(seconds);
  while (!interrupted()) {
    // The signal may be another thread's, and end no wait here.
    constexpr double kLongest = 0.1;
    const double left = std::chrono::duration<double>(end - steady_clock::now()).count();
    if (left <= 0) {
      return true;
    }
    pollfd output{STDOUT_FILENO, 0, 0};
    const int timeout = static_cast<int>(std::ceil(std::min(left, kLongest) * 1000));
    if (::poll(&output, 1, timeout) < 0 && errno != EINTR) {
      fail(errno);
    }
    if ((output.revents & (POLLERR | POLLHUP)) != 0) {
      throw ClosedPipe{};
    }
  }
  return false;
}

void Output::flush_if_full() {
  if (buffer_.size() >= kBufferSize) {
    flush();
  }
}

std::string json_text(const nlohmann::ordered_json& value, int indent) {
  return value.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

bool output_is_terminal() {
  return isatty(STDOUT_FILENO) == 1;
}
bool messages_are_on_terminal() {
  return isatty(STDERR_FILENO) == 1;
}

void occupy_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(stream, F_GETFD) == -1 && errno == EBADF) {
      // The lowest free descriptor is this stream's; opened the wrong way round, it stays unusable.
      [[maybe_unused]] const int opened =
          ::open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    }
  }
}

}  // namespace avstore::cli
