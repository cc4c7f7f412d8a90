// Sources on a network: they are lost, and sought again.
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "avstore/reader.h"
#include "avstore/record.h"
#include "avstore/text.h"
#include "support/cameras.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/media_folder.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;

using avstore::CameraOptions;
using avstore::CameraResult;
using avstore::CameraState;
using avstore::CameraStatus;
using avstore::FrameIndex;
using avstore::Reader;
using avstore::RecordEnd;
using avstore::RecordOptions;
using avstore::RecordStatus;
using avstore::test::check_whole;
using avstore::test::free_port;
using avstore::test::gray_header;
using avstore::test::is_listening;
using avstore::test::lavfi;
using avstore::test::Program;
using avstore::test::raw_camera;
using avstore::test::raw_frame;
using avstore::test::read_text;
using avstore::test::record_one;
using avstore::test::rig_of;
using avstore::test::sqlite;
using avstore::test::TemporaryFolder;
using avstore::test::unix_now;
using avstore::test::wait_until;
using avstore::test::write_text;
using Catch::Matchers::ContainsSubstring;

}  // namespace

namespace {

// A camera on the network that serves one client and can be lost.
class Server {
 public:
  Server(std::string protocol, int port) : protocol_(std::move(protocol)), port_(port) {
    start();
    wait_until([this] { return is_listening(port_); });
  }

  void start() {
    std::vector<std::string> words = {"ffmpeg", "-nostdin",   "-v",
                                      "error",  "-re",        "-f",
                                      "lavfi",  "-i",         "testsrc=size=160x96:rate=50",
                                      "-c:v",   "mpeg2video", "-g",
                                      "5",      "-f",         "mpegts"};
    if (protocol_ == "http") {
      words.insert(words.end(), {"-listen", "1", address()});
    } else {
      words.push_back(address() + "?listen=1");
    }
    program_ = std::make_unique<Program>(words);
  }
  void lose() { program_->kill(); }
  std::string address() const { return protocol_ + "://127.0.0.1:" + std::to_string(port_); }

 private:
  std::string protocol_;
  int port_;
  std::unique_ptr<Program> program_;
};

}  // namespace

TEST_CASE("a network source that is lost is sought again, and the gap is told") {
  for (const std::string protocol : {"tcp", "http"}) {
    DYNAMIC_SECTION(protocol) {
      const TemporaryFolder folder;
      Server server(protocol, free_port());
      CameraOptions camera;
      camera.name = "net";
      camera.source = server.address();
      camera.source.insert(camera.source.find("://") + 3, "admin:S3cret@");
      camera.store = folder.path() / "store";
      RecordOptions rig = rig_of({camera});
      enum class Stage { first, lost, again, done } stage = Stage::first;
      std::int64_t lost_at = 0;
      std::string trouble;
      double lost_time = 0;
      double back_time = 0;
      rig.status = [&](const RecordStatus& status) {
        const CameraStatus& now = status.cameras[0];
        if (stage == Stage::first && now.frames_arrived >= 10) {
          server.lose();
          lost_time = unix_now();
          stage = Stage::lost;
        } else if (stage == Stage::lost && now.state == CameraState::reconnecting) {
          lost_at = now.frames_arrived;
          trouble = now.trouble;
          back_time = unix_now();
          server.start();
          stage = Stage::again;
        } else if (stage == Stage::again && now.frames_arrived >= lost_at + 10) {
          CHECK(now.gaps == 1);
          stage = Stage::done;
        }
      };
      rig.go_on = [&] { return stage != Stage::done; };
      std::string told;
      rig.notice = [&told](const std::string& text) { told += text + "\n"; };
      const CameraResult result = avstore::record(rig).front();
      CHECK(result.error == "");  // NOLINT(readability-container-size-empty): shows it
      CHECK(result.end == RecordEnd::stopped);
      CHECK_FALSE(trouble.empty());
      CHECK_THAT(told, ContainsSubstring("lost " + server.address()));
      REQUIRE(result.gaps.size() == 1);
      const avstore::Gap& gap = result.gaps[0];
      CHECK(gap.index.value == lost_at);
      CHECK(gap.begin < lost_time + 1);
      CHECK(gap.end > back_time);
      CHECK_FALSE(gap.reason.empty());
      const auto infos = Reader(result.store).infos({0, result.frames});
      CHECK(infos[static_cast<std::size_t>(lost_at) - 1].time.seconds == gap.begin);
      CHECK(infos[static_cast<std::size_t>(lost_at)].time.seconds == gap.end);
      CHECK(sqlite(result.store,
                   "SELECT frame_index, json_extract(json, '$.gap.reason') FROM "
                   "extra_data") ==
            std::vector<std::string>{std::to_string(lost_at) + "|" + gap.reason});
      CHECK(result.frames >= lost_at + 10);
      check_whole(result.store);
      CHECK_THAT(told + trouble + gap.reason, !ContainsSubstring("S3cret"));
      for (const auto& entry : fs::recursive_directory_iterator(result.store)) {
        CHECK_THAT(read_text(entry.path()), !ContainsSubstring("S3cret"));
      }
    }
  }
}

namespace {

// One that was still open when the recording ended, and lasted so many seconds at least.
void check_gap_at_end(const CameraResult& result, double seconds) {
  REQUIRE(result.gaps.size() == 1);
  const avstore::Gap& gap = result.gaps[0];
  CHECK(gap.index.value == result.frames);
  const auto infos = Reader(result.store).infos({result.frames - 1, result.frames});
  CHECK(gap.begin == infos[0].time.seconds);
  CHECK(gap.end >= gap.begin + seconds);
  CHECK_FALSE(gap.reason.empty());
  CHECK(sqlite(result.store,
               "SELECT frame_index, json_extract(json, '$.gap.reason') FROM "
               "extra_data") ==
        std::vector<std::string>{std::to_string(result.frames - 1) + "|" + gap.reason});
}

}  // namespace

TEST_CASE("a network source is sought again only as long as asked for") {
  for (const double reconnect : {0.0, 0.5}) {
    const TemporaryFolder folder;
    Server server("tcp", free_port());
    CameraOptions camera;
    camera.name = "net";
    camera.source = server.address();
    camera.store = folder.path() / "store";
    camera.reconnect = reconnect;
    RecordOptions rig = rig_of({camera});
    rig.status = [&](const RecordStatus& status) {
      if (status.cameras[0].frames_arrived >= 10) {
        server.lose();
      }
    };
    const CameraResult result = avstore::record(rig).front();
    CAPTURE(reconnect, result.error);
    CHECK(result.frames >= 10);
    if (reconnect > 0) {
      CHECK(result.end == RecordEnd::failed);
      CHECK_THAT(result.error, ContainsSubstring("did not come back"));
      check_gap_at_end(result, reconnect);
    } else {
      CHECK(result.gaps.empty());
    }
    CHECK(Reader(result.store).frame_count() == result.frames);
    check_whole(result.store);
  }
}

namespace {

enum class Then { says_nothing, hangs_up };

// Sends each client the next of some texts, and then says nothing more or hangs up. The last goes
// to all that come later.
class Silent {
 public:
  Silent(const fs::path& folder, const std::vector<std::string>& texts,
         Then then = Then::says_nothing)
      : port_(free_port()), clients_(folder / "clients") {
    write_text(clients_, "");
    std::string files;
    for (const std::string& text : texts) {
      const fs::path file = folder / ("sent" + std::to_string(++count_));
      write_text(file, text);
      files += avstore::test::quoted(file) + ", ";
    }
    program_ = std::make_unique<Program>(std::vector<std::string>{
        "/usr/bin/python3", "-c",
        "import socket\n"
        "s = socket.create_server(('127.0.0.1', " +
            std::to_string(port_) +
            "))\n"
            "kept = []\n"
            "files = [" +
            files +
            "]\n"
            "while True:\n"
            "    kept.append(s.accept()[0])\n"
            "    open(" +
            avstore::test::quoted(clients_) +
            ", 'a').write('.')\n"
            "    kept[-1].sendall(open(files[min(len(kept), len(files)) - 1], 'rb').read())\n" +
            (then == Then::hangs_up ? "    kept[-1].close()\n" : "")});
    wait_until([this] { return is_listening(port_); });
  }
  // That came so far.
  std::size_t clients() const { return read_text(clients_).size(); }
  std::string address() const { return "tcp://127.0.0.1:" + std::to_string(port_); }

 private:
  int port_;
  fs::path clients_;
  int count_ = 0;
  std::unique_ptr<Program> program_;
};

// Ends the recording, should it not end by itself.
std::function<bool()> go_on_for_a_while() {
  return [begin = unix_now()] { return unix_now() < begin + 20; };
}

void check_gaps(const CameraResult& result, std::vector<avstore::Gap> expected) {
  REQUIRE(result.gaps.size() == expected.size());
  std::vector<std::string> records;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CHECK(result.gaps[i].index == expected[i].index);
    CHECK(result.gaps[i].begin == expected[i].begin);
    CHECK(result.gaps[i].end == expected[i].end);
    CHECK_THAT(result.gaps[i].reason, ContainsSubstring("nothing came for 0.3 s"));
    records.push_back(std::to_string(expected[i].index.value) + "|" +
                      std::to_string(static_cast<int>(expected[i].begin)) + "|" +
                      std::to_string(static_cast<int>(expected[i].end)));
  }
  CHECK(sqlite(result.store,
               "SELECT frame_index, cast(json_extract(json, '$.gap.begin') as int), "
               "cast(json_extract(json, '$.gap.end') as int) FROM extra_data "
               "WHERE frame_index >= " +
                   std::to_string(result.frames_before)) == records);
}

// Of all chunks, as they lie on the disk.
std::int64_t chunk_bytes(const fs::path& store) {
  std::int64_t bytes = 0;
  for (const std::string& path : sqlite(store, "SELECT chunk_path FROM chunks")) {
    bytes += static_cast<std::int64_t>(fs::file_size(store / path));
  }
  return bytes;
}

}  // namespace

TEST_CASE("a network source that says nothing is lost too") {
  const TemporaryFolder folder;
  const std::string head = gray_header();
  const Silent server(folder.path(),
                      {head,  // lost before its first frame, which is no gap
                       head + raw_frame(0, 0, 100) + raw_frame(1, 1, 101),
                       head + raw_frame(2, 2, 200), head + raw_frame(3, 3, 300), head,
                       head + raw_frame(4, 4, 400), head, head + raw_frame(5, 5, 500)});
  CameraOptions camera = raw_camera(server.address(), folder.path() / "store");
  camera.silence = 0.3;
  camera.append = true;
  RecordOptions rig = rig_of({camera});
  rig.frames = 4;
  const CameraResult result = avstore::record(rig).front();
  CHECK(result.frames == 4);
  CHECK(result.end == RecordEnd::frames);
  check_gaps(result, {{FrameIndex(2), 101, 200, ""}, {FrameIndex(3), 200, 300, ""}});
  check_whole(result.store);

  rig.frames = 2;
  RecordStatus last;
  std::int64_t fewest_bytes = 0;
  rig.status = [&](const RecordStatus& status) {
    last = status;
    fewest_bytes = std::min(fewest_bytes, status.cameras.at(0).writer.bytes_written);
  };
  const std::int64_t before = chunk_bytes(result.store);
  CHECK(before > 0);
  const CameraResult more = avstore::record(rig).front();
  CHECK(more.frames == 2);
  CHECK(more.frames_before == 4);
  CHECK(last.cameras.at(0).frames_before == 4);
  CHECK(last.cameras.at(0).frames_arrived == 2);
  CHECK(last.cameras.at(0).writer.frames_added == 2);
  CHECK(last.cameras.at(0).writer.frames_durable == 2);
  CHECK(last.cameras.at(0).writer.bytes_written == chunk_bytes(more.store) - before);
  CHECK(fewest_bytes == 0);
  check_gaps(more, {{FrameIndex(5), 400, 500, ""}});
  check_whole(more.store);
}

TEST_CASE("a source that was kept waiting is not taken for a silent one") {
  const TemporaryFolder folder;
  constexpr int kFrames = 20;
  const std::string pixels(std::size_t{2} * avstore::test::kWidth * avstore::test::kHeight, 'x');
  std::string text =
      avstore::test::stream_header(avstore::test::kWidth, avstore::test::kHeight, "gray16le");
  for (int i = 0; i < kFrames; ++i) {
    text += avstore::test::frame_header(i, i, pixels.size()) + pixels;
  }
  const Silent server(folder.path(), {text});
  CameraOptions camera = raw_camera(server.address(), folder.path() / "store");
  camera.writer.format = "jpg";
  camera.silence = 0.3;
  RecordOptions rig = rig_of({camera});
  rig.frames = kFrames;
  rig.go_on = go_on_for_a_while();
  std::vector<std::string> notices;
  rig.notice = [&notices](const std::string& what) {
    notices.push_back(what);
    std::this_thread::sleep_for(std::chrono::seconds(1));  // the camera waits for it
  };
  const CameraResult result = avstore::record(rig).front();
  REQUIRE(notices.size() == 1);
  CHECK_THAT(notices[0], ContainsSubstring("8 bit"));
  CHECK(result.frames == kFrames);
  CHECK(result.end == RecordEnd::frames);
  CHECK(result.gap_count == 0);
  CHECK(server.clients() == 1);
}

TEST_CASE("a source that opens and gives no frame is the same loss still") {
  const TemporaryFolder folder;
  const std::string head = gray_header();
  const Silent server(folder.path(), {head + raw_frame(0, 0, 100) + raw_frame(1, 1, 101), head},
                      Then::hangs_up);
  CameraOptions camera = raw_camera(server.address(), folder.path() / "store");
  camera.reconnect = 1.2;
  RecordOptions rig = rig_of({camera});
  std::vector<std::string> told;
  rig.notice = [&told](const std::string& text) { told.push_back(text); };
  rig.go_on = go_on_for_a_while();
  const CameraResult result = avstore::record(rig).front();
  CHECK(result.frames == 2);
  CHECK(result.end == RecordEnd::failed);
  CHECK_THAT(result.error, ContainsSubstring("was lost and did not come back"));
  REQUIRE(told.size() == 1);
  CHECK_THAT(told[0], ContainsSubstring("lost " + server.address()));
  // The first, and after 0.25, 0.75 and 1.2 seconds.
  CHECK(server.clients() <= 4);
  check_gap_at_end(result, camera.reconnect.value());
  check_whole(result.store);
}

TEST_CASE("a loss ends with the first frame after it, and the next one is sought soon") {
  const TemporaryFolder folder;
  const std::string head = gray_header();
  std::vector<std::string> texts;
  for (int i = 0; i < 6; ++i) {
    texts.push_back(head + raw_frame(i, i, 100 * i));
  }
  const Silent server(folder.path(), texts, Then::hangs_up);
  CameraOptions camera = raw_camera(server.address(), folder.path() / "store");
  camera.reconnect = 1;  // all losses together last longer
  RecordOptions rig = rig_of({camera});
  rig.frames = 6;
  int told = 0;
  rig.notice = [&told](const std::string& /*text*/) { ++told; };
  const CameraResult result = avstore::record(rig).front();
  CHECK(result.error == "");  // NOLINT(readability-container-size-empty): shows it
  CHECK(result.end == RecordEnd::frames);
  CHECK(result.gaps.size() == 5);
  CHECK(told == 5);
}

TEST_CASE("a first connection that ends without a frame is an error") {
  const TemporaryFolder folder;
  const Silent server(folder.path(), {gray_header()}, Then::hangs_up);
  CameraOptions camera = raw_camera(server.address(), folder.path() / "store");
  RecordOptions rig = rig_of({camera});
  rig.go_on = go_on_for_a_while();
  const CameraResult result = avstore::record(rig).front();
  CHECK(result.end == RecordEnd::failed);
  CHECK_THAT(result.error,
             ContainsSubstring(server.address()) && ContainsSubstring("gave no frame"));
  CHECK(server.clients() == 1);
  CHECK_FALSE(fs::exists(result.store));
}

namespace {

// Connects to a port again and again, and sends the next of some files each time; the last is sent
// for ever if it is to be.
Program clients_of(int port, const std::vector<fs::path>& files, bool for_ever) {
  std::string names;
  for (const fs::path& file : files) {
    names += avstore::test::quoted(file) + ", ";
  }
  return Program({"/usr/bin/python3", "-c",
                  "import itertools, socket, time\n"
                  "files = [" +
                      names + "]\n" + "for file in " +
                      (for_ever ? "itertools.chain(files, itertools.repeat(files[-1]))" : "files") +
                      ":\n"
                      "    connected = False\n"
                      "    while not connected:\n"
                      "        try:\n"
                      "            s = socket.create_connection(('127.0.0.1', " +
                      std::to_string(port) +
                      "))\n"
                      "            connected = True\n"
                      "        except OSError:\n"
                      "            time.sleep(0.01)\n"
                      "    with s, open(file, 'rb') as sent:\n"
                      "        try:\n"
                      "            s.sendall(sent.read())\n"
                      "        except OSError:\n"
                      "            pass\n"});
}

}  // namespace

TEST_CASE("who waits for connections may see one end without a frame") {
  const TemporaryFolder folder;
  const std::string head = gray_header();
  write_text(folder.path() / "first", head);
  write_text(folder.path() / "others", head + raw_frame(0, 0, 100) + raw_frame(1, 1, 101));
  const int port = free_port();
  const Program clients =
      clients_of(port, {folder.path() / "first", folder.path() / "others"}, true);
  CameraOptions camera =
      raw_camera("tcp://127.0.0.1:" + std::to_string(port) + "?listen=1", folder.path() / "store");
  RecordOptions rig = rig_of({camera});
  rig.frames = 2;
  const CameraResult result = avstore::record(rig).front();
  CHECK(result.error == "");  // NOLINT(readability-container-size-empty): shows it
  CHECK(result.frames == 2);
  CHECK(result.gaps.empty());
}

TEST_CASE("who waits for connections waits as long as asked for") {
  const TemporaryFolder folder;
  write_text(folder.path() / "first", gray_header() + raw_frame(0, 0, 100));
  const int port = free_port();
  const Program client = clients_of(port, {folder.path() / "first"}, false);
  CameraOptions camera =
      raw_camera("tcp://127.0.0.1:" + std::to_string(port) + "?listen=1", folder.path() / "store");
  camera.reconnect = 0.5;
  RecordOptions rig = rig_of({camera});
  rig.go_on = go_on_for_a_while();
  const CameraResult result = avstore::record(rig).front();
  CHECK(result.frames == 1);
  CHECK(result.end == RecordEnd::failed);
  CHECK_THAT(result.error, ContainsSubstring("was lost and did not come back"));
}

TEST_CASE("a gap that is open when the recording is stopped is told") {
  const TemporaryFolder folder;
  const std::string head = gray_header();
  const Silent server(folder.path(), {head + raw_frame(0, 0, 100) + raw_frame(1, 1, 101), head});
  CameraOptions camera = raw_camera(server.address(), folder.path() / "store");
  camera.silence = 0.3;
  RecordOptions rig = rig_of({camera});
  RecordStatus last;
  rig.status = [&last](const RecordStatus& status) { last = status; };
  rig.go_on = [&last] {
    return last.cameras.empty() || last.cameras[0].state != CameraState::reconnecting;
  };
  const CameraResult result = avstore::record(rig).front();
  CHECK(result.frames == 2);
  CHECK(result.end == RecordEnd::stopped);
  CHECK(last.cameras.at(0).gaps == 1);
  check_gap_at_end(result, camera.silence);
  check_whole(result.store);
}

TEST_CASE("a server that takes the first connection and says nothing is not waited for for ever") {
  const TemporaryFolder folder;
  const Silent server(folder.path(), {""});
  CameraOptions camera = raw_camera(server.address(), folder.path() / "store");
  camera.silence = 0.3;
  const CameraResult result = record_one(camera);
  CHECK(result.end == RecordEnd::failed);
  CHECK_THAT(result.error,
             ContainsSubstring(server.address()) && ContainsSubstring("nothing came for 0.3 s"));
  CHECK_FALSE(fs::exists(result.store));
}

TEST_CASE("a file on a web server ends when all of it has come") {
  const TemporaryFolder folder;
  const int port = free_port();
  avstore::test::run(
      "ffmpeg -nostdin -v error -f lavfi -i testsrc=size=160x96:rate=25 -frames:v 20 "
      "-c:v mpeg2video -f mpegts " +
      avstore::test::quoted(folder.path() / "file.ts"));
  const Program program({"/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1",
                         "--directory", folder.path().string(), std::to_string(port)});
  wait_until([port] { return is_listening(port); });
  CameraOptions camera;
  camera.name = "web";
  camera.source = "http://127.0.0.1:" + std::to_string(port) + "/file.ts";
  camera.store = folder.path() / "store";
  const CameraResult result = record_one(camera);
  CHECK(result.error == "");  // NOLINT(readability-container-size-empty): shows it
  CHECK(result.end == RecordEnd::source_ended);
  CHECK(result.frames == 20);
  CHECK(result.gaps.empty());
}
