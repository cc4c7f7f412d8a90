// Pipes that the system refuses to open or to wait for.
#include <malloc.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "media/byte_stream.h"
#include "media/demuxer.h"
#include "support/catch.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/processes.h"

namespace {

namespace fs = std::filesystem;

using avstore::media::ByteStream;
using avstore::media::Demuxer;
using avstore::media::DemuxerOptions;
using avstore::test::in_child;
using avstore::test::outcome_of;
using avstore::test::TemporaryFolder;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

fs::path make_pipe(const TemporaryFolder& folder) {
  const fs::path pipe = folder.path() / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  return pipe;
}

void limit_descriptors(rlim_t most) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = most;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

TEST_CASE("a pipe that the system refuses to wait for is an error") {
  const TemporaryFolder folder;
  const fs::path pipe = make_pipe(folder);
  CHECK_THAT(in_child([&] {
               int asked = 0;
               ByteStream stream(pipe, {}, [&asked] { return ++asked > 100; });
               limit_descriptors(0);  // poll() takes no more of them than may be open
               std::array<std::uint8_t, 1> byte{};
               return outcome_of([&] { stream.read(byte); });
             }),
             ContainsSubstring(pipe.string()) && ContainsSubstring("Invalid argument"));
}

TEST_CASE("a pipe that cannot be opened is an error, and costs no memory") {
  const TemporaryFolder folder;
  const fs::path pipe = make_pipe(folder);
  CHECK_THAT(in_child([&] {
               DemuxerOptions options;
               options.give_up = [] { return false; };
               options.leads_elsewhere = true;
               limit_descriptors(0);
               const auto open = [&] { return outcome_of([&] { Demuxer(pipe, options); }); };
               const std::string outcome = open();
               constexpr std::int64_t kTimes = 1000;
               const auto used = [] { return static_cast<std::int64_t>(mallinfo2().uordblks); };
               const std::int64_t before = used();
               for (std::int64_t i = 0; i < kTimes; ++i) {
                 open();
               }
               const std::int64_t lost = used() - before;
               return lost < 100 * kTimes ? outcome : "lost " + std::to_string(lost) + " bytes";
             }),
             StartsWith("io: " + pipe.string() + ": cannot open: Too many open files"));
}
