// Bytes as they come from a pipe or an address.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>

struct AVIOContext;

namespace avstore::media {

// Standard input ("-") or a FIFO: what can only be waited for.
bool is_pipe(const std::string& url);

// For one thread at a time.
class ByteStream {
 public:
  // `url` is a pipe, a file, or any address that libavformat reads ("tcp://", "unix:", ...), with
  // options of its protocol. `give_up` is asked while nothing comes; true ends the waiting, with
  // Error(io). Throws Error: not_found, io, invalid_argument (unknown option).
  ByteStream(const std::string& url, const std::map<std::string, std::string>& options,
             std::function<bool()> give_up);
  ByteStream(ByteStream&&) noexcept;
  ByteStream& operator=(ByteStream&&) noexcept;
  ~ByteStream();

  // Fills `bytes`; less than all of them only at the end. Returns how many. Throws Error(io).
  std::size_t read(std::span<std::uint8_t> bytes);

  // For a demuxer, which reads by itself then.
  AVIOContext* context();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace avstore::media
