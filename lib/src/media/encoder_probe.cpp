#include "media/encoder_probe.h"

#include <fmt/format.h>

#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "avstore/error.h"
#include "avstore/format.h"
#include "media/encoder.h"

namespace avstore::media {
namespace {

using Clock = std::chrono::steady_clock;

// All that decides whether an encoder opens.
std::string key_of(const std::string& encoder, const EncoderOptions& options,
                   const EncoderInput& input, const ImageView& first) {
  std::string key = fmt::format("{} {}x{} {} {}/{} device '{}' preset '{}' b {} intra {}", encoder,
                                first.width, first.height, input.pixel_format.name(),
                                options.frame_rate.num, options.frame_rate.den, options.device,
                                options.preset, options.b_frames, options.keyframe_interval == 1);
  for (const auto& [name, value] : options.options) {
    key += fmt::format(" '{}'='{}'", name, value);
  }
  return key;
}

// Its own copy of everything: the thread may outlive whoever asked.
struct Trial {
  VideoFormat format;
  std::string encoder;
  EncoderOptions options;
  Rational time_base;
  Image image;

  ProbeAnswer run() const {
    try {
      Encoder opened(format, encoder, options, time_base, image.view());
      opened.send(image, 0, true);
      opened.send_end();
      Packet packet;
      if (!opened.receive(packet)) {
        return {false, "encoder " + encoder + ": opens, but encodes nothing"};
      }
      return {true, ""};
    } catch (const std::exception& error) {
      return {false, error.what()};
    }
  }
};

Image blank_like(const ImageView& first) {
  const auto pixels = std::make_shared<std::vector<std::uint8_t>>(
      packed_size(first.format, first.width, first.height));
  ImageView view = contiguous_view(first.format, first.width, first.height, pixels->data());
  view.color = first.color;
  return {view, pixels};
}

class Probes {
 public:
  ProbeAnswer ask(const std::string& key, Trial trial, Clock::time_point deadline) {
    const std::string where = "encoder " + trial.encoder + ": ";
    const std::shared_ptr<Asked> asked = find_or_start(key, std::move(trial), deadline);
    if (!asked) {
      return {false, where + "there was no time left to try it"};
    }
    const bool given_up = asked->given_up;
    if (asked->answer.wait_until(given_up ? Clock::now() : deadline) == std::future_status::ready) {
      return asked->answer.get();
    }
    asked->given_up = true;
    return {false, where + "has not answered in time"};
  }

 private:
  struct Asked {
    std::shared_future<ProbeAnswer> answer;
    std::atomic<bool> given_up = false;  // somebody waited in vain
  };

  std::shared_ptr<Asked> find_or_start(const std::string& key, Trial trial,
                                       Clock::time_point deadline) {
    const std::lock_guard lock(mutex_);
    const auto found = asked_.find(key);
    if (found != asked_.end()) {
      return found->second;
    }
    if (Clock::now() >= deadline) {
      return nullptr;
    }
    auto asked = std::make_shared<Asked>();
    std::promise<ProbeAnswer> promise;
    asked->answer = promise.get_future().share();
    const EncoderFamily family = family_of(trial.encoder);
    const bool alone = open_encoders(family) == 0;
    std::thread([this, key, family, alone, trial = std::move(trial),
                 promise = std::move(promise)]() mutable {
      const ProbeAnswer answer = trial.run();
      if (!answer.works && (!alone || open_encoders(family) > 0)) {
        const std::lock_guard forgetting(mutex_);
        asked_.erase(key);
      }
      promise.set_value(answer);
    }).detach();
    asked_.emplace(key, asked);
    return asked;
  }

  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Asked>> asked_;
};

// Never destroyed: a thread that was given up may come back at any time.
Probes& probes() {
  static Probes& all = *new Probes();
  return all;
}

}  // namespace

std::chrono::milliseconds probe_time() {
  constexpr double kUsual = 2;
  constexpr double kLongest = 600;
  const char* told = std::getenv("AVSTORE_TRIAL_SECONDS");
  char* end = nullptr;
  const double seconds = told == nullptr ? kUsual : std::strtod(told, &end);
  const bool valid = end != told && seconds >= 0 && seconds <= kLongest;
  return std::chrono::milliseconds(std::lround((valid ? seconds : kUsual) * 1000));
}

ProbeAnswer probe_encoder(const VideoFormat& format, const std::string& encoder,
                          const EncoderOptions& options, Rational time_base, const ImageView& first,
                          Clock::time_point deadline) {
  const auto input = encoder_input(format, encoder, first);
  if (!input) {
    return {false, "encoder " + encoder + ": does not take " + std::string(first.format.name())};
  }
  try {
    return probes().ask(key_of(encoder, options, *input, first),
                        {format, encoder, options, time_base, blank_like(first)}, deadline);
  } catch (const std::system_error& error) {
    return {false, "encoder " + encoder + ": cannot be tried: " + error.what()};
  }
}

}  // namespace avstore::media

namespace avstore {
namespace {

std::string without_prefix(const std::string& text, const std::string& prefix) {
  return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
}

std::string why_not_in_software(const media::VideoFormat& format, const std::string& encoder,
                                const ImageView& first) {
  try {
    const media::Encoder opened(format, encoder, {}, {1, 25}, first);
    return {};
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace

std::vector<EncoderAvailability> probe_encoders(const Format& format, int width, int height) {
  const media::VideoFormat& entry = media::find_video_format(format.name);
  std::vector<EncoderAvailability> found;
  const auto deadline = std::chrono::steady_clock::now() + media::probe_time();
  for (const media::EncoderChoice& choice : entry.encoders) {
    const PixelFormat input =
        format.lossless && choice.name == "libx264" ? pixel::yuv420p : pixel::bgr24;
    const std::vector<std::uint8_t> pixels(packed_size(input, width, height), 0);
    const ImageView first = contiguous_view(input, width, height, pixels.data());
    const bool hardware = media::family_of(choice.name) != media::EncoderFamily::software;
    const std::string why_not =
        hardware ? media::probe_encoder(entry, choice.name, {}, {1, 25}, first, deadline).why_not
                 : why_not_in_software(entry, choice.name, first);
    found.push_back({choice.name, hardware, why_not.empty(),
                     without_prefix(why_not, "encoder " + choice.name + ": ")});
  }
  return found;
}

}  // namespace avstore
