// Runs a fuzz target on files that are there, without libFuzzer: each in a process of its own, so
// that one which crashes, hangs or asks for too much memory is told by its name.
//
// usage: fuzz_replay TARGET FILE|FOLDER...
//
// The last line printed is `N passed, N failed, 0 skipped`; the exit status is 1 if any failed.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

// The LLVMFuzzerTestOneInput() of each target, which tests/meson.build has renamed.
extern "C" {
int fuzz_bpk(const std::uint8_t* data, std::size_t size);
int fuzz_commands(const std::uint8_t* data, std::size_t size);
int fuzz_csv(const std::uint8_t* data, std::size_t size);
int fuzz_extra(const std::uint8_t* data, std::size_t size);
int fuzz_import(const std::uint8_t* data, std::size_t size);
int fuzz_index(const std::uint8_t* data, std::size_t size);
int fuzz_media(const std::uint8_t* data, std::size_t size);
int fuzz_metadata(const std::uint8_t* data, std::size_t size);
int fuzz_npy(const std::uint8_t* data, std::size_t size);
int fuzz_npz(const std::uint8_t* data, std::size_t size);
int fuzz_raw(const std::uint8_t* data, std::size_t size);
int fuzz_rig(const std::uint8_t* data, std::size_t size);
}

namespace {

namespace fs = std::filesystem;

using Target = int (*)(const std::uint8_t* data, std::size_t size);

const std::map<std::string, Target> kTargets = {
    {"bpk", fuzz_bpk},     {"commands", fuzz_commands}, {"csv", fuzz_csv},
    {"extra", fuzz_extra}, {"import", fuzz_import},     {"index", fuzz_index},
    {"media", fuzz_media}, {"metadata", fuzz_metadata}, {"npy", fuzz_npy},
    {"npz", fuzz_npz},     {"raw", fuzz_raw},           {"rig", fuzz_rig}};

// What takes longer hangs: most inputs take milliseconds.
constexpr unsigned kSeconds = 60;
// SQLite asks for 2 GB where a row says so, see tests/fuzz.sh.
constexpr rlim_t kMemory = rlim_t{4} << 30;

// The sanitizers reserve far more.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kIsSanitized = true;
#else
constexpr bool kIsSanitized = false;
#endif

std::vector<fs::path> files_of(int argc, char** argv) {
  std::vector<fs::path> files;
  for (int i = 2; i < argc; ++i) {
    if (fs::is_directory(argv[i])) {
      const auto before = static_cast<std::ptrdiff_t>(files.size());
      for (const auto& entry : fs::directory_iterator(argv[i])) {
        files.push_back(entry.path());
      }
      std::sort(files.begin() + before, files.end());
    } else {
      files.emplace_back(argv[i]);
    }
  }
  return files;
}

std::string read(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(stream), {}};
  if (!stream) {
    throw std::runtime_error(file.string() + ": cannot be read");
  }
  return bytes;
}

// What a target throws ends the process, and must not reach what the parent process would do then.
[[noreturn]] void run(Target target, const std::string& input) noexcept {
  ::alarm(kSeconds);
  const rlimit memory{kMemory, kMemory};
  if (!kIsSanitized && ::setrlimit(RLIMIT_AS, &memory) != 0) {
    std::abort();
  }
  target(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
  std::exit(0);
}

// How the target ended on an input; empty if well.
std::string outcome_of(Target target, const std::string& input) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) {
    throw std::runtime_error(std::string("no process can be made: ") + std::strerror(errno));
  }
  if (child == 0) {
    run(target, input);
  }
  int status = 0;
  if (::waitpid(child, &status, 0) != child) {
    throw std::runtime_error(std::string("a process is lost: ") + std::strerror(errno));
  }
  if (WIFSIGNALED(status)) {
    return WTERMSIG(status) == SIGALRM
               ? "takes more than " + std::to_string(kSeconds) + " s"
               : std::string("ends by a signal: ") + ::strsignal(WTERMSIG(status));
  }
  return WEXITSTATUS(status) == 0 ? "" : "ends with status " + std::to_string(WEXITSTATUS(status));
}

// Where targets have their files, in memory where that is possible; it goes with all that is in it.
class Scratch {
 public:
  Scratch() {
    const bool in_memory = std::getenv("TMPDIR") == nullptr && ::access("/dev/shm", W_OK) == 0;
    std::string name =
        (in_memory ? fs::path("/dev/shm") : fs::temp_directory_path()) / "avstore-replay-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr || ::setenv("TMPDIR", name.c_str(), 1) != 0) {
      throw std::runtime_error(name + ": cannot be made: " + std::strerror(errno));
    }
    path_ = name;
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  void empty() const {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(path_, ignored)) {
      fs::remove_all(entry.path(), ignored);
    }
  }

 private:
  fs::path path_;
};

int replay(Target target, const std::vector<fs::path>& files) {
  const Scratch scratch;
  int failed = 0;
  for (const fs::path& file : files) {
    const std::string outcome = outcome_of(target, read(file));
    if (!outcome.empty()) {
      std::printf("%s: %s\n", file.c_str(), outcome.c_str());
      ++failed;
    }
    scratch.empty();
  }
  std::printf("%d passed, %d failed, 0 skipped\n", static_cast<int>(files.size()) - failed, failed);
  return failed > 0 ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const auto target = argc > 2 ? kTargets.find(argv[1]) : kTargets.end();
    if (target == kTargets.end()) {
      std::fprintf(stderr, "usage: fuzz_replay TARGET FILE|FOLDER...\n");
      return 2;
    }
    return replay(target->second, files_of(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fuzz_replay: %s\n", error.what());
    return 1;
  }
}
