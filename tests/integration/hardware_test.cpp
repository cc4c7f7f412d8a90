// Choosing among encoders, and going on with the next one when one fails. The hardware is played by
// support/encoder_drivers.
#include <barrier>
#include <cstdint>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "avstore/error.h"
#include "avstore/extra.h"
#include "avstore/format.h"
#include "avstore/reader.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/encoder_drivers.h"
#include "support/linear_decode.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/programs.h"
#include "support/sample.h"

namespace {

namespace fs = std::filesystem;
namespace pixel = avstore::pixel;

using avstore::EncoderRun;
using avstore::ErrorKind;
using avstore::FrameIndex;
using avstore::Reader;
using avstore::Writer;
using avstore::WriterOptions;
using avstore::test::add;
using avstore::test::check_names;
using avstore::test::chunk_file;
using avstore::test::EncoderCall;
using avstore::test::EncoderDrivers;
using avstore::test::error_of;
using avstore::test::frame_md5s;
using avstore::test::options_of;
using avstore::test::plain_names;
using avstore::test::TemporaryFolder;
using avstore::test::write_store;
using avstore::test::wrong_codes;
using Catch::Matchers::ContainsSubstring;

using Strings = std::vector<std::string>;

// What was found out of an encoder at some size counts for the whole process: each test has a size
// of its own.
int new_height() {
  static int height = avstore::test::kHeight;
  return height += 2;
}

// A recording of frames whose number is drawn into them, and what its user is told.
struct Recording {
  explicit Recording(const std::string& encoder, const std::string& format = "avc1/mp4") {
    options = options_of(format, 25);
    options.encoder.encoder = encoder;
    options.encoder.keyframe_interval = 10;
    options.on_warning = [this](const std::string& text) { warnings.push_back(text); };
  }

  void write(int count) { write_store(store, options, count, avstore::test::kWidth, height); }

  std::vector<EncoderRun> encoders() const { return Reader(store).info().encoders; }

  TemporaryFolder folder;
  fs::path store = folder.path() / "store";
  int height = new_height();
  WriterOptions options;
  Strings warnings;
};

// Every frame is there under its names, and is what ffmpeg's linear decode of the chunks gives.
void check_whole(const Recording& recording, int count) {
  Reader reader(recording.store);
  REQUIRE(reader.frame_count() == count);
  check_names(reader, plain_names(count));
  CHECK(wrong_codes(recording.store).empty());
  Strings oracle;
  for (int chunk = 0; chunk < reader.info().chunk_count; ++chunk) {
    const Strings md5s = frame_md5s(chunk_file(recording.store, recording.options.format, chunk));
    oracle.insert(oracle.end(), md5s.begin(), md5s.end());
  }
  REQUIRE(static_cast<int>(oracle.size()) == count);
  std::vector<std::size_t> wrong;
  for (std::size_t i = oracle.size(); i-- > 0;) {
    const auto frame = reader.read(FrameIndex(static_cast<std::int64_t>(i)));
    if (avstore::md5(frame.image.view()) != oracle[i]) {
      wrong.push_back(i);
    }
  }
  CHECK(wrong.empty());
  CHECK(avstore::verify(recording.store, {.deep = true, .progress = {}}).findings == Strings{});
}

// The encoder of all chunks.
std::string only_encoder(const Recording& recording) {
  const auto encoders = recording.encoders();
  return encoders.size() == 1 && encoders[0].first_chunk == 0 ? encoders[0].encoder : "several";
}

}  // namespace

TEST_CASE("the encoder is the first in line that works") {
  struct Case {
    Strings installed;
    std::string wanted, chosen;
  };
  const Strings all{"h264_nvenc", "h264_vaapi", "h264_qsv"};
  for (const Case& c : std::vector<Case>{
           {all, "", "h264_nvenc"},
           {all, "auto", "h264_nvenc"},
           {all, "hardware", "h264_nvenc"},
           {all, "vaapi", "h264_vaapi"},
           {all, "qsv", "h264_qsv"},
           {all, "software", "libx264"},
           {all, "h264_qsv", "h264_qsv"},
           {all, "libx264", "libx264"},
           {{"h264_vaapi", "h264_qsv"}, "auto", "h264_vaapi"},
           {{"h264_qsv"}, "auto", "h264_qsv"},
           {{}, "auto", "libx264"},
       }) {
    DYNAMIC_SECTION(c.wanted << " among " << c.installed.size()) {
      EncoderDrivers drivers;
      for (const std::string& encoder : c.installed) {
        drivers.install(encoder);
      }
      Recording recording(c.wanted);
      recording.write(30);
      CHECK(only_encoder(recording) == c.chosen);
      CHECK(Reader(recording.store).info().encoder == c.chosen);
      check_whole(recording, 30);
      CHECK(recording.warnings.empty());
    }
  }
}

TEST_CASE("an encoder asked for by name must work, and its driver says why not") {
  EncoderDrivers drivers;
  drivers.install("h264_qsv");
  drivers.limit_sessions("h264_qsv", 0);
  Recording recording("h264_qsv");
  const auto error = error_of([&] { recording.write(3); });
  CHECK(error.kind() == ErrorKind::unsupported);
  CHECK_THAT(error.what(),
             ContainsSubstring("h264_qsv") && ContainsSubstring("OpenEncodeSessionEx failed"));
  CHECK(!fs::exists(recording.store));
}

TEST_CASE("hardware asked for by its kind must work, and its drivers say why not") {
  EncoderDrivers drivers;
  drivers.install("h264_qsv");
  drivers.limit_sessions("h264_qsv", 0);
  const std::map<std::string, Strings> reasons{
      {"nvenc", {"h264_nvenc"}},
      {"vaapi", {"h264_vaapi"}},
      {"qsv", {"h264_qsv", "OpenEncodeSessionEx failed"}},
      {"hardware", {"h264_nvenc", "h264_vaapi", "h264_qsv", "OpenEncodeSessionEx failed"}}};
  for (const auto& [kind, whose] : reasons) {
    CAPTURE(kind);
    Recording recording(kind);
    const auto error = error_of([&] { recording.write(3); });
    CHECK(error.kind() == ErrorKind::unsupported);
    CHECK_THAT(error.what(),
               ContainsSubstring("avc1/mp4: no encoder of the kind '" + kind + "' opens"));
    for (const std::string& reason : whose) {
      CHECK_THAT(error.what(), ContainsSubstring(reason));
    }
    CHECK(!fs::exists(recording.store));
  }
}

TEST_CASE("hardware asked for by its kind whose sessions are all taken is an error") {
  EncoderDrivers drivers;
  drivers.install("h264_nvenc");
  drivers.limit_sessions("h264_nvenc", 1);
  Recording first("nvenc");
  Writer writer(first.store, first.options);
  add(writer, 0, avstore::test::kWidth, first.height);
  writer.sync();
  Recording second("nvenc");
  second.height = first.height;
  CHECK_THAT(error_of([&] { second.write(3); }).what(), ContainsSubstring("h264_nvenc"));
  CHECK(!fs::exists(second.store));
}

TEST_CASE("formats that hardware does not make are encoded in software") {
  EncoderDrivers drivers;
  drivers.install("h264_nvenc");
  for (const std::string format : {"ffv1/mkv", "h264-lossless/mkv", "mjpeg/avi"}) {
    CAPTURE(format);
    Recording recording("auto", format);
    recording.write(3);
    CHECK(recording.warnings.empty());
    Recording refused("hardware", format);
    CHECK_THAT(error_of([&] { refused.write(3); }).what(),
               ContainsSubstring("the format has none"));
    CHECK(drivers.opened("h264_nvenc") == 0);
  }
}

TEST_CASE("hardware is tried once for each size") {
  EncoderDrivers drivers;
  drivers.install("h264_vaapi");
  Recording first("auto");
  Recording second("auto");
  second.height = first.height;
  Recording other("auto");
  first.write(3);
  second.write(3);
  CHECK(drivers.opened("h264_nvenc") == 1);  // to no avail
  CHECK(drivers.opened("h264_vaapi") == 3);  // once to try
  other.write(3);
  CHECK(drivers.opened("h264_nvenc") == 2);
  CHECK(drivers.opened("h264_vaapi") == 5);
  CHECK(drivers.opened("h264_qsv") == 0);
  CHECK(drivers.open_now("h264_vaapi") == 0);
}

TEST_CASE("an encoder that opens but cannot encode is passed over") {
  EncoderDrivers drivers;
  drivers.install("h264_nvenc");
  drivers.fail("h264_nvenc", 1, EncoderCall::send, 1);
  Recording recording("auto");
  recording.write(3);
  CHECK(only_encoder(recording) == "libx264");
}

TEST_CASE("a driver that hangs is given up") {
  EncoderDrivers drivers;
  drivers.install("h264_vaapi");
  drivers.hang("h264_nvenc");
  Recording first("auto");
  first.write(3);  // while it hangs
  CHECK(only_encoder(first) == "libx264");
  drivers.be_patient();
  Recording second("auto");
  second.height = first.height;
  second.write(3);
  CHECK(only_encoder(second) == "h264_vaapi");  // the other is not waited for again
  CHECK(drivers.opened("h264_nvenc") == 1);
}

TEST_CASE("as many encoders as a card allows are used, whoever opens them at the same moment") {
  constexpr int kWriters = 5;
  constexpr int kAllowed = 2;
  EncoderDrivers drivers;
  drivers.install("h264_nvenc");
  drivers.limit_sessions("h264_nvenc", kAllowed);
  std::vector<std::unique_ptr<Recording>> recordings;
  const int height = new_height();
  for (int i = 0; i < kWriters; ++i) {
    recordings.push_back(std::make_unique<Recording>("auto"));
    recordings.back()->height = height;
  }
  std::barrier together(kWriters);
  std::vector<std::thread> threads;
  for (const auto& recording : recordings) {
    threads.emplace_back([&together, r = recording.get()] {
      Writer writer(r->store, r->options);
      together.arrive_and_wait();
      for (int i = 0; i < 30; ++i) {
        add(writer, i, avstore::test::kWidth, r->height);
      }
      writer.sync();
      together.arrive_and_wait();  // all are open
      writer.close();
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  std::map<std::string, int> used;
  for (const auto& recording : recordings) {
    ++used[recording->encoders().front().encoder];
    check_whole(*recording, 30);
  }
  CHECK(used ==
        std::map<std::string, int>{{"h264_nvenc", kAllowed}, {"libx264", kWriters - kAllowed}});
}

TEST_CASE("hardware that fails while all of its sessions are taken is tried again later") {
  EncoderDrivers drivers;
  drivers.install("h264_nvenc");
  drivers.limit_sessions("h264_nvenc", 1);
  Recording second("auto");
  {
    Recording first("auto");
    Writer writer(first.store, first.options);
    add(writer, 0, avstore::test::kWidth, first.height);
    writer.sync();
    second.write(3);
    CHECK(only_encoder(second) == "libx264");
  }
  Recording third("auto");
  third.height = second.height;
  third.write(3);
  CHECK(only_encoder(third) == "h264_nvenc");
}

TEST_CASE("hardware gets what it takes: its pixels, its options, its device") {
  EncoderDrivers drivers;
  for (const std::string codec : {"h264", "hevc"}) {
    for (const std::string family : {"_nvenc", "_vaapi", "_qsv"}) {
      drivers.install(codec + family);
    }
  }
  for (const std::string encoder : {"h264_nvenc", "h264_vaapi", "h264_qsv", "hevc_nvenc"}) {
    for (const auto& format : {pixel::gray8, pixel::bgr24, pixel::yuv420p, pixel::nv12}) {
      if (encoder == "hevc_nvenc" && format == pixel::nv12) {
        continue;  // libx265, which stands behind it, does not take that
      }
      DYNAMIC_SECTION(encoder << ", " << format.name()) {
        Recording recording(encoder, encoder.starts_with("hevc") ? "hevc/mp4" : "avc1/mp4");
        write_store(recording.store, recording.options, format, plain_names(30),
                    avstore::test::kWidth, recording.height);
        CHECK(drivers.pixels_of(encoder) ==
              (encoder.ends_with("_nvenc") && format != pixel::nv12 ? "yuv420p" : "nv12"));
        check_whole(recording, 30);
      }
    }
  }
}

TEST_CASE("the quality of hardware follows its own scale") {
  EncoderDrivers drivers;
  const std::map<std::string, std::string> scale{
      {"h264_nvenc", "cq"}, {"h264_vaapi", "qp"}, {"h264_qsv", "global_quality"}};
  for (const auto& [encoder, option] : scale) {
    drivers.install(encoder);
    Recording recording(encoder);
    double before = 1e9;
    for (const double quality : {0.0, 40.0, 75.0, 100.0}) {
      recording.options.encoder.quality = quality;
      recording.options.overwrite = true;
      recording.write(3);
      const double value = std::stod(drivers.options_of(encoder).at(option));
      CAPTURE(encoder, quality);
      CHECK(value < before);
      CHECK(value > 0);
      before = value;
    }
  }
}

TEST_CASE("a device is used by those that know such devices") {
  EncoderDrivers drivers;
  drivers.install("h264_nvenc");
  drivers.install("h264_vaapi");
  Recording on_node("auto");
  on_node.options.encoder.device = "/dev/dri/renderD129";
  on_node.write(3);
  CHECK(only_encoder(on_node) == "h264_vaapi");
  CHECK(drivers.devices() == Strings{"/dev/dri/renderD129", "/dev/dri/renderD129"});
  Recording on_gpu("auto");
  on_gpu.options.encoder.device = "1";
  on_gpu.write(3);
  CHECK(only_encoder(on_gpu) == "h264_nvenc");
  CHECK(drivers.options_of("h264_nvenc").at("gpu") == "1");
}

TEST_CASE("VAAPI's low-power encoders are used where there are no others") {
  EncoderDrivers drivers;
  drivers.install("h264_vaapi");
  drivers.have_low_power_only();
  Recording recording("vaapi");
  recording.write(30);
  CHECK(only_encoder(recording) == "h264_vaapi");
  CHECK(drivers.options_of("h264_vaapi").at("low_power") == "1");
  check_whole(recording, 30);
}

TEST_CASE("options of one encoder only choose that one") {
  EncoderDrivers drivers;
  drivers.install("h264_nvenc");
  Recording recording("auto");
  recording.options.encoder.options = {{"crf", "30"}};
  recording.write(3);
  CHECK(only_encoder(recording) == "libx264");
  Recording preset("auto");
  preset.options.encoder.preset = "superfast";
  preset.write(3);
  CHECK(only_encoder(preset) == "libx264");
  Recording unknown("auto");
  unknown.options.encoder.options = {{"no_such_option", "1"}};
  CHECK(error_of([&] { unknown.write(3); }).kind() == ErrorKind::invalid_argument);
}

TEST_CASE("where an encoder fails the next one goes on, and no frame is lost") {
  struct Failure {
    EncoderCall call;
    int nth;
    int b_frames = 0;
    int session = 0;
    bool synced = false;
  };
  std::vector<Failure> failures;
  for (const Failure& failure : {Failure{EncoderCall::send, 1},
                                 {EncoderCall::send, 2},
                                 {EncoderCall::send, 5},
                                 {EncoderCall::send, 11},
                                 {EncoderCall::send, 25},
                                 {EncoderCall::receive, 1},
                                 {EncoderCall::receive, 2},
                                 {EncoderCall::receive, 3},
                                 {EncoderCall::receive, 12},
                                 {EncoderCall::receive, 24},
                                 {EncoderCall::receive, 25},
                                 {EncoderCall::end, 1},
                                 {EncoderCall::lose, 1},
                                 {EncoderCall::lose, 4},
                                 {EncoderCall::lose, 25}}) {
    for (const int b_frames : {0, 2}) {
      for (const int session : {2, 3}) {
        for (const bool synced : {false, true}) {
          failures.push_back({failure.call, failure.nth, b_frames, session, synced});
        }
      }
    }
  }
  constexpr int kCount = 60;
  for (const std::int64_t place :
       avstore::test::sample("failing encoders", static_cast<std::int64_t>(failures.size()), 15)) {
    const Failure& failure = failures.at(static_cast<std::size_t>(place));
    CAPTURE(static_cast<int>(failure.call), failure.nth, failure.b_frames, failure.session,
            failure.synced);
    EncoderDrivers drivers;
    drivers.install("h264_nvenc");
    drivers.fail("h264_nvenc", failure.session, failure.call, failure.nth);
    Recording recording("nvenc");
    recording.options.encoder.b_frames = failure.b_frames;
    recording.options.encoder.preset = "p1";
    Writer writer(recording.store, recording.options);
    for (int i = 0; i < kCount; ++i) {
      add(writer, i, avstore::test::kWidth, recording.height);
      writer.add_extra("{\"frame\": " + std::to_string(i) + "}");
      if (failure.synced && i % 9 == 4) {
        writer.sync();
        CHECK(writer.durable_count() == i + 1);
      }
    }
    writer.close();
    check_whole(recording, kCount);
    const auto records = avstore::read_extra(recording.store);
    CHECK(records.size() == kCount);
    // The first session is the probe's, and the second is given the first frame. Later ones may end
    // before that call, or before any: frames are to become durable in time.
    const bool comes = failure.nth == 1 && failure.session == 2;
    CHECK((drivers.has_failed("h264_nvenc") || !comes));
    if (drivers.has_failed("h264_nvenc")) {
      CHECK(writer.statistics().encoder == "libx264");
      REQUIRE(recording.warnings.size() == 1);
      CHECK_THAT(recording.warnings[0],
                 ContainsSubstring("h264_nvenc") && ContainsSubstring("libx264 encodes"));
      CHECK(recording.encoders().back().encoder == "libx264");
    }
    CHECK(writer.statistics().frames_encoded == kCount);
    CHECK(writer.statistics().frames_durable == kCount);
  }
}

TEST_CASE("an encoder that fails with the recording's last frames is replaced for these") {
  EncoderDrivers drivers;
  drivers.install("h264_nvenc");
  drivers.fail("h264_nvenc", 2, EncoderCall::end, 1);
  Recording recording("auto");
  recording.write(7);
  check_whole(recording, 7);
  CHECK(recording.encoders().back().encoder == "libx264");
}

TEST_CASE("several encoders fail one after another") {
  EncoderDrivers drivers;
  drivers.install("h264_nvenc");
  drivers.install("h264_vaapi");
  drivers.install("h264_qsv");
  drivers.fail("h264_nvenc", 2, EncoderCall::send, 13);
  drivers.fail("h264_vaapi", 2, EncoderCall::send, 1);  // before it has made a chunk
  drivers.fail("h264_qsv", 2, EncoderCall::receive, 3);
  Recording recording("auto");
  recording.write(60);
  check_whole(recording, 60);
  const auto encoders = recording.encoders();
  REQUIRE(encoders.size() == 3);
  CHECK(encoders[0] == EncoderRun{0, "h264_nvenc"});
  CHECK(encoders[1] == EncoderRun{1, "h264_qsv"});
  CHECK(encoders[2] == EncoderRun{2, "libx264"});
  CHECK(recording.warnings.size() == 3);
}

TEST_CASE("when every encoder has failed, the recording ends and what is durable stays") {
  for (const auto& [call, nth] : std::vector<std::pair<EncoderCall, int>>{
           {EncoderCall::send, 30}, {EncoderCall::send, 12}, {EncoderCall::receive, 1}}) {
    DYNAMIC_SECTION("call " << static_cast<int>(call) << " number " << nth) {
      EncoderDrivers drivers;
      drivers.install("h264_nvenc");
      drivers.fail("h264_nvenc", 2, EncoderCall::send, 14);
      for (int session = 1; session < 9; ++session) {
        drivers.fail("libx264", session, call, nth);
      }
      Recording recording("auto");
      recording.options.chunk_size = 1000;
      Writer writer(recording.store, recording.options);
      const auto error = error_of([&] {
        for (int i = 0; i < 100; ++i) {
          add(writer, i, avstore::test::kWidth, recording.height);
        }
        writer.close();
      });
      CHECK_THAT(error.what(), ContainsSubstring("h264_nvenc") && ContainsSubstring("libx264") &&
                                   ContainsSubstring("the device was lost"));
      const std::int64_t durable = writer.durable_count();
      CHECK(durable > 0);
      try {
        writer.close();
      } catch (const avstore::Error&) {
      }
      check_whole(recording, static_cast<int>(durable));
    }
  }
}

TEST_CASE("a session that somebody else took in between is replaced like an encoder that failed") {
  EncoderDrivers drivers;
  drivers.install("h264_nvenc");
  Recording recording("auto");
  Writer writer(recording.store, recording.options);
  for (int i = 0; i < 8; ++i) {
    add(writer, i, avstore::test::kWidth, recording.height);
  }
  writer.sync();
  drivers.limit_sessions("h264_nvenc", 0);
  for (int i = 8; i < 20; ++i) {
    add(writer, i, avstore::test::kWidth, recording.height);
  }
  writer.sync();
  CHECK(writer.durable_count() == 20);
  for (int i = 20; i < 30; ++i) {
    add(writer, i, avstore::test::kWidth, recording.height);
  }
  writer.close();
  check_whole(recording, 30);
  CHECK(recording.encoders().back().encoder == "libx264");
}

TEST_CASE("with real times frames keep theirs over a failing encoder") {
  for (const std::string format : {"avc1/mp4", "h264/mkv"}) {
    EncoderDrivers drivers;
    drivers.install("h264_nvenc");
    drivers.fail("h264_nvenc", 2, EncoderCall::send, 17);
    Recording recording("auto", format);
    recording.options.timing = avstore::Timing::real;
    recording.write(40);
    check_whole(recording, 40);
  }
}

TEST_CASE("formats say which hardware works, and why others do not") {
  EncoderDrivers drivers;
  drivers.install("h264_vaapi");
  const auto encoders = avstore::probe_encoders(avstore::find_format("avc1/mp4"),
                                                avstore::test::kWidth, new_height());
  REQUIRE(encoders.size() == 4);
  CHECK(encoders[0].encoder == "h264_nvenc");
  CHECK(encoders[0].hardware);
  CHECK(!encoders[0].available);
  CHECK(!encoders[0].why_not.empty());
  CHECK(encoders[1].encoder == "h264_vaapi");
  CHECK(encoders[1].available);
  CHECK(encoders[1].why_not.empty());
  CHECK(encoders[3].encoder == "libx264");
  CHECK(!encoders[3].hardware);
  CHECK(encoders[3].available);
}
