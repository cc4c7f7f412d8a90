#include "support/linear_decode.h"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/imgutils.h>
#include <libavutil/md5.h>
#include <libavutil/pixdesc.h>
}

#include <array>
#include <limits>
#include <memory>

#include "support/catch.h"

namespace avstore::test {
namespace {

struct Free {
  void operator()(AVFormatContext* file) const { avformat_close_input(&file); }
  void operator()(AVCodecContext* decoder) const { avcodec_free_context(&decoder); }
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
};
using File = std::unique_ptr<AVFormatContext, Free>;

struct Video {
  File file;
  AVStream* stream = nullptr;  // null if there is none
};

Video open_video(const std::filesystem::path& path) {
  AVFormatContext* raw = nullptr;
  if (avformat_open_input(&raw, ("file:" + path.string()).c_str(), nullptr, nullptr) < 0) {
    return {};
  }
  Video video{File(raw)};
  avformat_find_stream_info(raw, nullptr);
  for (unsigned i = 0; i < raw->nb_streams && video.stream == nullptr; ++i) {
    if (raw->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_VIDEO) {
      video.stream = raw->streams[i];
    }
  }
  return video;
}

// Calls take(packet) with each packet of the stream.
template <typename Take>
void read_packets(const Video& video, Take take) {
  const std::unique_ptr<AVPacket, Free> packet(av_packet_alloc());
  while (av_read_frame(video.file.get(), packet.get()) >= 0) {
    if (packet->stream_index == video.stream->index) {
      take(packet.get());
    }
    av_packet_unref(packet.get());
  }
}

DecodedFrame describe(const AVFrame& frame) {
  const auto format = static_cast<AVPixelFormat>(frame.format);
  const int size = av_image_get_buffer_size(format, frame.width, frame.height, 1);
  REQUIRE(size > 0);
  DecodedFrame made;
  made.pixels.resize(static_cast<std::size_t>(size));
  REQUIRE(av_image_copy_to_buffer(reinterpret_cast<std::uint8_t*>(made.pixels.data()), size,
                                  frame.data, frame.linesize, format, frame.width, frame.height,
                                  1) == size);
  made.pixel_format = av_get_pix_fmt_name(format);
  made.picture_type = av_get_picture_type_char(frame.pict_type);
  return made;
}

std::string md5_of(const std::string& bytes) {
  std::array<std::uint8_t, 16> sum{};
  av_md5_sum(sum.data(), reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  std::string text;
  for (const std::uint8_t byte : sum) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 15U];
  }
  return text;
}

}  // namespace

std::vector<DecodedFrame> decoded_frames(const std::filesystem::path& file) {
  const Video video = open_video(file);
  if (video.stream == nullptr) {
    return {};
  }
  const AVCodec* const codec = avcodec_find_decoder(video.stream->codecpar->codec_id);
  REQUIRE(codec != nullptr);
  const std::unique_ptr<AVCodecContext, Free> decoder(avcodec_alloc_context3(codec));
  REQUIRE(avcodec_parameters_to_context(decoder.get(), video.stream->codecpar) >= 0);
  decoder->thread_count = 1;
  decoder->pkt_timebase = video.stream->time_base;
  REQUIRE(avcodec_open2(decoder.get(), codec, nullptr) == 0);

  std::vector<DecodedFrame> frames;
  const std::unique_ptr<AVFrame, Free> frame(av_frame_alloc());
  const auto feed = [&](const AVPacket* packet) {
    avcodec_send_packet(decoder.get(), packet);  // of a damaged packet nothing comes
    while (avcodec_receive_frame(decoder.get(), frame.get()) == 0) {
      frames.push_back(describe(*frame));
    }
  };
  read_packets(video, feed);
  feed(nullptr);
  return frames;
}

std::string raw_frames(const std::filesystem::path& file) {
  std::string all;
  for (const DecodedFrame& frame : decoded_frames(file)) {
    all += frame.pixels;
  }
  return all;
}

std::vector<std::string> frame_md5s(const std::filesystem::path& file) {
  std::vector<std::string> all;
  for (const DecodedFrame& frame : decoded_frames(file)) {
    all.push_back(md5_of(frame.pixels));
  }
  return all;
}

std::vector<PacketFacts> packets_of(const std::filesystem::path& file) {
  const Video video = open_video(file);
  std::vector<PacketFacts> packets;
  if (video.stream == nullptr) {
    return packets;
  }
  read_packets(video, [&](const AVPacket* packet) {
    const auto seconds = [&](std::int64_t time) {
      return time == AV_NOPTS_VALUE ? std::numeric_limits<double>::quiet_NaN()
                                    : static_cast<double>(time) * av_q2d(video.stream->time_base);
    };
    packets.push_back({packet->pts, seconds(packet->pts), seconds(packet->dts),
                       (packet->flags & AV_PKT_FLAG_KEY) != 0});
  });
  return packets;
}

}  // namespace avstore::test
