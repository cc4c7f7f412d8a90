#include "support/cameras.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <thread>
#include <utility>

#include "avstore/reader.h"
#include "avstore/tools.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/programs.h"

namespace avstore::test {

namespace fs = std::filesystem;

double unix_now() {
  using std::chrono::duration;
  return duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

CameraOptions lavfi(const std::string& name, const std::string& source, const fs::path& store,
                    const std::string& format) {
  CameraOptions camera;
  camera.name = name;
  camera.source = source;
  camera.input_format = "lavfi";
  camera.store = store;
  camera.writer.format = format;
  return camera;
}

RecordOptions rig_of(std::vector<CameraOptions> cameras) {
  RecordOptions rig;
  rig.cameras = std::move(cameras);
  rig.min_free = {0, 0};
  rig.status_interval = 0.02;
  return rig;
}

void check_whole(const fs::path& store) {
  CHECK_FALSE(fs::exists(store / ".lock"));
  CHECK_FALSE(fs::exists(store / ".index.sqlite-wal"));
  CHECK(avstore::verify(store, {.deep = true, .progress = {}}).findings.empty());
}

std::vector<std::string> md5s_of(const fs::path& store, avstore::PixelFormat format) {
  Reader reader = open_as(store, format);
  std::vector<std::string> all;
  while (const auto frame = reader.next()) {
    all.push_back(avstore::md5(frame->image.view()));
  }
  return all;
}

// What ffmpeg makes of the same source.
std::vector<std::string> lavfi_md5s(const std::string& source, std::int64_t frames) {
  std::vector<std::string> all;
  for (const std::string& line :
       run_lines("ffmpeg -nostdin -v error -f lavfi -i " + quoted(source) + " -frames:v " +
                 std::to_string(frames) + " -pix_fmt rgb24 -f framemd5 -")) {
    if (line[0] != '#') {
      all.push_back(line.substr(line.rfind(' ') + 1));
    }
  }
  return all;
}

void put(std::string& bytes, std::uint64_t value, int size) {
  for (int i = 0; i < size; ++i) {
    bytes += static_cast<char>(value >> (8 * i));
  }
}

std::string stream_header(std::uint32_t width, std::uint32_t height, const std::string& format,
                          std::uint32_t rate_num, std::uint32_t rate_den) {
  std::string bytes = "AVSRAW1\n";
  put(bytes, width, 4);
  put(bytes, height, 4);
  put(bytes, rate_num, 4);
  put(bytes, rate_den, 4);
  return bytes + format + std::string(40 - format.size(), '\0');
}

std::string frame_header(std::int64_t number, double time, std::uint64_t size, std::size_t extra) {
  std::string bytes = "FRAM";
  put(bytes, extra, 4);
  put(bytes, static_cast<std::uint64_t>(number), 8);
  put(bytes, std::bit_cast<std::uint64_t>(time), 8);
  put(bytes, size, 8);
  return bytes;
}

// A frame that shows `code`.
std::string raw_frame(int code, std::int64_t number, double time, const std::string& extra) {
  const auto pixels = draw(pixel::gray8, code).bytes;
  return frame_header(number, time, pixels.size(), extra.size()) +
         std::string(pixels.begin(), pixels.end()) + extra;
}

std::string gray_header() {
  return stream_header(kWidth, kHeight, "gray");
}

CameraOptions raw_camera(const std::string& source, const fs::path& store) {
  CameraOptions camera;
  camera.name = "raw";
  camera.source = source;
  camera.input_format = "avstore-raw";
  camera.store = store;
  camera.writer.format = "ffv1/mkv";
  return camera;
}

CameraResult record_one(const CameraOptions& camera) {
  return avstore::record(rig_of({camera})).front();
}

Program::Program(const std::vector<std::string>& words) {
  std::vector<char*> arguments;
  for (const std::string& word : words) {
    arguments.push_back(const_cast<char*>(word.c_str()));
  }
  arguments.push_back(nullptr);
  child_ = ::fork();
  REQUIRE(child_ >= 0);
  if (child_ == 0) {
    const int nothing = ::open("/dev/null", O_RDWR);
    ::dup2(nothing, 0);
    ::dup2(nothing, 1);
    ::dup2(nothing, 2);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
}

Program::~Program() {
  kill();
}

void Program::kill() {
  if (child_ > 0) {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
    child_ = -1;
  }
}

int free_port() {
  const int probe = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(::bind(probe, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::getsockname(probe, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  ::close(probe);
  return ntohs(address.sin_port);
}

// Whether somebody waits for connections there: looked up, since to try would be to take the place.
bool is_listening(int port) {
  std::array<char, 8> hex{};
  std::snprintf(hex.data(), hex.size(), ":%04X", port);
  std::ifstream table("/proc/net/tcp");
  std::string titles;
  std::getline(table, titles);
  for (std::string line; std::getline(table, line);) {
    const std::size_t local = line.find(':', line.find(':') + 1);
    if (line.compare(local, 5, hex.data()) == 0 && line.find(" 0A ") != std::string::npos) {
      return true;
    }
  }
  return false;
}

void wait_until(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    REQUIRE(std::chrono::steady_clock::now() < end);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

}  // namespace avstore::test
