// avstore doctor: does every format work on this machine?
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <numeric>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "avstore/error.h"
#include "avstore/extra.h"
#include "avstore/format.h"
#include "avstore/tools.h"
#include "base/temporary_folder.h"
#include "media/codec_table.h"

namespace avstore {
namespace {

namespace fs = std::filesystem;
using Result = DoctorCheck::Result;

// Hardware has a smallest size.
constexpr int kWidth = 256;
constexpr int kHeight = 192;
constexpr int kFrames = 30;
constexpr int kChunkSize = 12;  // so that there are three chunks, the last cut short
constexpr std::int64_t kFirstNumber = 1000;
constexpr std::int64_t kNumberStep = 3;
constexpr double kFrameInterval = 0.04;
// Neighbouring frames differ by kBrightnessStep on average: what is less is the right frame.
constexpr int kBrightnessStep = 24;
constexpr double kMostLoss = 8;

// ---- what is written -----------------------------------------------------------------------

// A smooth picture, brighter or darker than its neighbours in time.
int brightness(int frame, int x, int y, int channel) {
  const int base = frame * kBrightnessStep % 180;
  return std::clamp(base + x / 8 + y / 8 + 6 * channel, 0, 255);
}

Image drawn(int frame, PixelFormat format) {
  const bool is_array = format == pixel::array;
  const bool wide = format == pixel::gray16;
  const int channels = format == pixel::gray8 || wide || is_array ? 1
                       : format == pixel::bgra                    ? 4
                                                                  : 3;
  const auto bytes = std::make_shared<std::vector<std::uint8_t>>();
  for (int y = 0; y < kHeight; ++y) {
    for (int x = 0; x < kWidth; ++x) {
      for (int channel = 0; channel < channels; ++channel) {
        const int value = brightness(frame, x, y, channel);
        if (is_array) {
          const double exact = value + 1.0 / (1 + x + y);
          const auto* raw = reinterpret_cast<const std::uint8_t*>(&exact);
          bytes->insert(bytes->end(), raw, raw + sizeof exact);
          continue;
        }
        if (wide) {
          bytes->push_back(static_cast<std::uint8_t>(x * 7 + y));
        }
        bytes->push_back(static_cast<std::uint8_t>(value));
      }
    }
  }
  if (is_array) {
    ImageView view;
    view.format = pixel::array;
    view.width = kWidth;
    view.height = kHeight;
    view.planes[0] = bytes->data();
    view.strides[0] = kWidth * static_cast<std::ptrdiff_t>(sizeof(double));
    view.array = {"<f8", {kHeight, kWidth}};
    return {view, bytes};
  }
  return {packed_view(channels == 3 ? pixel::bgr24 : format, kWidth, kHeight, bytes->data()),
          bytes};
}

std::vector<Image> all_drawn(PixelFormat format) {
  std::vector<Image> images;
  for (int i = 0; i < kFrames; ++i) {
    const Image image = drawn(i, format);
    images.push_back(image.format() == format ? image : convert(image.view(), format));
  }
  return images;
}

// ---- what comes back -----------------------------------------------------------------------

[[noreturn]] void wrong(const std::string& what) {
  throw Error(ErrorKind::corrupt, what);
}

double mean_difference(const ImageView& a, const ImageView& b) {
  const auto x = pack(a);
  const auto y = pack(b);
  if (x.size() != y.size()) {
    wrong("images come back with another size or type");
  }
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    sum += std::abs(int{x[i]} - int{y[i]});
  }
  return static_cast<double>(sum) / static_cast<double>(x.size());
}

// One way of storing: a format, its encoder and what pixels go in.
class Check {
 public:
  Check(const Format& format, std::string encoder, PixelFormat pixels, const fs::path& folder)
      : format_(format), pixels_(pixels), store_(folder / "store") {
    check_.format = format.name;
    check_.encoder = std::move(encoder);
    check_.pixels = pixels;
  }

  DoctorCheck run() {
    try {
      images_ = all_drawn(pixels_);
      write();
      read();
      look_through();
      check_.what = exact() ? "exact" : fmt::format("worst frame {:.2f} of 255 off", loss_);
    } catch (const Error& error) {
      const bool lacking = error.kind() == ErrorKind::unsupported;
      check_.result = lacking ? Result::missing : Result::failed;
      check_.what = error.what();
    }
    return check_;
  }

 private:
  bool exact() const {
    const auto& kept = format_.lossless_pixels;
    return std::find(kept.begin(), kept.end(), pixels_) != kept.end();
  }

  void write() {
    WriterOptions options;
    options.format = format_.name;
    options.encoder.encoder = check_.encoder;
    options.chunk_size = kChunkSize;
    options.overwrite = true;
    options.metadata_yaml = "subject: {id: 7}\n";
    const auto begin = std::chrono::steady_clock::now();
    Writer writer(store_, options);
    for (int i = 0; i < kFrames; ++i) {
      writer.add(images_[static_cast<std::size_t>(i)], FrameNumber(number(i)), time(i));
      writer.add_extra(fmt::format("{{\"frame\": {}}}", i));
    }
    writer.close();
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
    check_.frames_per_second = kFrames / spent.count();
  }

  void read() {
    ReaderOptions options;
    options.pixel_format = pixels_ == pixel::array ? PixelFormat() : pixels_;
    Reader reader(store_, options);
    if (reader.frame_count() != kFrames) {
      wrong(fmt::format("{} frames come back of {}", reader.frame_count(), kFrames));
    }
    for (int i = 0; i < kFrames; ++i) {
      compare(*reader.next(), i, "in order");
    }
    std::vector<int> order(kFrames);
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), std::mt19937(1));
    for (const int i : order) {
      compare(reader.read(FrameNumber(number(i))), i, "at random");
    }
  }

  void compare(const Frame& frame, int i, const char* how) {
    if (frame.info.index.value != i || frame.info.number.value != number(i) ||
        frame.info.time != time(i)) {
      wrong(fmt::format("frame {} comes back under other names when read {}", i, how));
    }
    const double loss =
        mean_difference(frame.image.view(), images_[static_cast<std::size_t>(i)].view());
    if (loss > (exact() ? 0 : kMostLoss)) {
      wrong(fmt::format("frame {} comes back with other pixels when read {}: {:.2f} of 255 off", i,
                        how, loss));
    }
    loss_ = std::max(loss_, loss);
  }

  void look_through() const {
    VerifyOptions options;
    options.deep = true;
    const VerifyResult verified = verify(store_, options);
    if (!verified.findings.empty()) {
      wrong(verified.findings.front());
    }
    if (read_extra(store_).size() != kFrames) {
      wrong("extra data do not come back");
    }
  }

  static std::int64_t number(int i) { return kFirstNumber + kNumberStep * i; }
  static FrameTime time(int i) { return FrameTime(kFrameInterval * i); }

  const Format& format_;
  PixelFormat pixels_;
  fs::path store_;
  std::vector<Image> images_;
  double loss_ = 0;
  DoctorCheck check_;
};

// ---- what there is to check ----------------------------------------------------------------

struct Planned {
  const Format* format = nullptr;
  std::string encoder;
  PixelFormat pixels;
};

std::vector<PixelFormat> pixels_for(const Format& format) {
  return format.lossless ? format.lossless_pixels
                         : std::vector<PixelFormat>{pixel::gray8, pixel::bgr24};
}

void plan_format(const Format& format, std::vector<Planned>& plan,
                 std::vector<DoctorCheck>& missing) {
  if (!format.video) {
    for (const PixelFormat& pixels : pixels_for(format)) {
      plan.push_back({&format, "", pixels});
    }
    return;
  }
  for (const EncoderAvailability& encoder : probe_encoders(format, kWidth, kHeight)) {
    if (!encoder.available) {
      missing.push_back(
          {format.name, encoder.encoder, PixelFormat(), Result::missing, encoder.why_not});
      continue;
    }
    for (const PixelFormat& pixels : pixels_for(format)) {
      const Image sample = all_drawn(pixels).front();
      const auto& entry = media::find_video_format(format.name);
      if (media::encoder_input(entry, encoder.encoder, sample.view())) {
        plan.push_back({&format, encoder.encoder, pixels});
      }
    }
  }
}

// What the reference implementation reads and writes must work; Blosc may have been left out.
bool is_needed(const std::string& format) {
  static const std::set<std::string> kNeeded{"avc1/mp4", "h264/mkv", "mjpeg/avi", "png", "tif",
                                             "jpg",      "bmp",      "ppm",       "pgm", "npy"};
  return kNeeded.contains(format);
}

bool is_well(const std::vector<DoctorCheck>& checks) {
  std::set<std::string> working;
  bool failed = false;
  for (const DoctorCheck& check : checks) {
    failed = failed || check.result == Result::failed;
    if (check.result == Result::works) {
      working.insert(check.format);
    }
  }
  return !failed && std::all_of(checks.begin(), checks.end(), [&](const DoctorCheck& check) {
    return working.contains(check.format) || !is_needed(check.format);
  });
}

}  // namespace

DoctorReport doctor(const DoctorOptions& options) {
  std::vector<Planned> plan;
  DoctorReport report;
  for (const media::VideoFormat& entry : media::format_table()) {
    const Format& format = entry.format;
    const auto& wanted = options.formats;
    if (wanted.empty() || std::find(wanted.begin(), wanted.end(), format.name) != wanted.end()) {
      plan_format(format, plan, report.checks);
    }
  }
  for (const std::string& name : options.formats) {
    static_cast<void>(find_format(name));  // throws if there is none
  }
  const base::TemporaryFolder folder("avstore-doctor-", options.folder);
  std::int64_t done = 0;
  for (const Planned& check : plan) {
    report.checks.push_back(Check(*check.format, check.encoder, check.pixels, folder.path()).run());
    if (options.progress && !options.progress(++done, static_cast<std::int64_t>(plan.size()))) {
      throw Interrupted("doctor");
    }
  }
  report.well = is_well(report.checks);
  return report;
}

}  // namespace avstore
