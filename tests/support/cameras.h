// Cameras to record from: generated pictures, streams of raw frames, and servers that can be lost.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "avstore/image.h"
#include "avstore/record.h"

namespace avstore::test {

// What a raw frame has that has no number or time of its own.
constexpr std::int64_t kNoNumber = std::numeric_limits<std::int64_t>::min();
constexpr double kNoTime = std::numeric_limits<double>::quiet_NaN();

double unix_now();

// Pictures that libavfilter generates.
CameraOptions lavfi(const std::string& name, const std::string& source,
                    const std::filesystem::path& store, const std::string& format = "ffv1/mkv");

// No room is kept free, and the status comes often.
RecordOptions rig_of(std::vector<CameraOptions> cameras);

CameraResult record_one(const CameraOptions& camera);

// Closed, and verified deeply.
void check_whole(const std::filesystem::path& store);

// Of all frames, in order.
std::vector<std::string> md5s_of(const std::filesystem::path& store, PixelFormat format);

// What ffmpeg makes of the same source, in rgb24.
std::vector<std::string> lavfi_md5s(const std::string& source, std::int64_t frames);

// --- Raw frames with numbers and times (avstore-raw), byte by byte as README.md describes them ---

// Appends a number, least significant byte first.
void put(std::string& bytes, std::uint64_t value, int size);

std::string stream_header(std::uint32_t width, std::uint32_t height, const std::string& format,
                          std::uint32_t rate_num = 25, std::uint32_t rate_den = 1);
std::string frame_header(std::int64_t number, double time, std::uint64_t size,
                         std::size_t extra = 0);
// Of frames as raw_frame() makes them.
std::string gray_header();
// A frame that shows `code`.
std::string raw_frame(int code, std::int64_t number, double time, const std::string& extra = {});

CameraOptions raw_camera(const std::string& source, const std::filesystem::path& store);

// --- Another program that can be killed ---

class Program {
 public:
  // Without input and output.
  explicit Program(const std::vector<std::string>& words);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void kill();

 private:
  pid_t child_ = -1;
};

int free_port();

// Whether somebody waits for connections there: looked up, since to try would be to take the place.
bool is_listening(int port);

// The test fails if it does not become true within a minute.
void wait_until(const std::function<bool()>& condition);

}  // namespace avstore::test
