#include "support/encoder_drivers.h"

#include <dlfcn.h>

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavutil/hwcontext.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
}

#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>
#include <tuple>

#include "media/av.h"

namespace avstore::test {
namespace {

using Failure = std::tuple<int, EncoderCall, int>;  // session, call, nth

struct Driver {
  bool installed = false;
  bool hangs = false;
  bool has_failed = false;
  int most = -1;  // sessions; negative: any number
  int tried = 0;
  int sessions = 0;  // opened so far
  int open = 0;
  std::set<Failure> failures;
  std::map<std::string, std::string> options;
  std::string pixels;
};

struct Session {
  std::string encoder;
  int number = 0;
  AVCodecContext* inner = nullptr;  // does the work of hardware
  std::map<EncoderCall, int> calls;
};

}  // namespace

struct EncoderDrivers::State {
  std::mutex mutex;
  std::condition_variable changed;
  bool released = false;
  int hanging = 0;
  bool low_power_only = false;
  std::map<std::string, Driver> drivers;
  std::map<const AVCodecContext*, Session> sessions;
  std::vector<std::string> devices;

  bool has_vaapi() const {
    for (const auto& [name, driver] : drivers) {
      if (driver.installed && name.ends_with("_vaapi")) {
        return true;
      }
    }
    return false;
  }
};

namespace {

// Outlives every EncoderDrivers: encoders may be closed at any time.
std::mutex& active_mutex() {
  static std::mutex& mutex = *new std::mutex();
  return mutex;
}
EncoderDrivers::State* active = nullptr;

template <typename Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

EncoderDrivers::State* drivers_now() {
  const std::lock_guard lock(active_mutex());
  return active;
}

AVPixelFormat format_in_memory(const AVCodecContext& context) {
  return context.pix_fmt != AV_PIX_FMT_VAAPI
             ? context.pix_fmt
             : reinterpret_cast<AVHWFramesContext*>(context.hw_frames_ctx->data)->sw_format;
}

// As libavcodec does: the encoder's own table says what options and values there are.
int set_options(AVCodecContext& context, AVDictionary** options, Driver& driver) {
  driver.options.clear();
  for (const AVDictionaryEntry* entry = nullptr;
       options != nullptr &&
       (entry = av_dict_get(*options, "", entry, AV_DICT_IGNORE_SUFFIX)) != nullptr;) {
    driver.options[entry->key] = entry->value;
  }
  return options == nullptr ? 0 : av_opt_set_dict2(&context, options, AV_OPT_SEARCH_CHILDREN);
}

AVCodecContext* open_inner(AVCodecContext& outer) {
  const bool hevc = outer.codec_id == AV_CODEC_ID_HEVC;
  const AVCodec* codec = avcodec_find_encoder_by_name(hevc ? "libx265" : "libx264");
  AVCodecContext* inner = avcodec_alloc_context3(codec);
  inner->width = outer.width;
  inner->height = outer.height;
  inner->pix_fmt = format_in_memory(outer);
  if (hevc && inner->pix_fmt == AV_PIX_FMT_NV12) {
    avcodec_free_context(&inner);  // libx265 takes planes apart only
    return nullptr;
  }
  inner->time_base = outer.time_base;
  inner->framerate = outer.framerate;
  inner->gop_size = outer.gop_size;
  inner->max_b_frames = outer.max_b_frames;
  inner->flags = outer.flags;
  inner->color_range = outer.color_range;
  inner->colorspace = outer.colorspace;
  inner->thread_count = 3;  // frames at once: some are inside whenever it fails
  AVDictionary* options = nullptr;
  av_dict_set(&options, "preset", "ultrafast", 0);
  av_dict_set(&options, "crf", "16", 0);
  av_dict_set(&options, hevc ? "x265-params" : "x264-params",
              hevc ? "log-level=error:open-gop=0:scenecut=0:frame-threads=1"
                   : "scenecut=0:rc-lookahead=0:sliced-threads=0:sync-lookahead=0",
              0);
  const int code = real<int(AVCodecContext*, const AVCodec*, AVDictionary**)>("avcodec_open2")(
      inner, codec, &options);
  av_dict_free(&options);
  if (code < 0) {
    avcodec_free_context(&inner);
    return nullptr;
  }
  outer.extradata = static_cast<std::uint8_t*>(
      av_mallocz(static_cast<std::size_t>(inner->extradata_size) + AV_INPUT_BUFFER_PADDING_SIZE));
  std::memcpy(outer.extradata, inner->extradata, static_cast<std::size_t>(inner->extradata_size));
  outer.extradata_size = inner->extradata_size;
  return inner;
}

int open_hardware(EncoderDrivers::State& state, AVCodecContext& context, AVDictionary** options,
                  Driver& driver, Session& session) {
  const int code = set_options(context, options, driver);
  if (code < 0) {
    return code;
  }
  if (!media::encoder_takes(*context.codec, context.pix_fmt)) {
    av_log(&context, AV_LOG_ERROR, "Specified pixel format is not supported by the encoder.\n");
    return AVERROR(EINVAL);
  }
  std::int64_t low_power = 0;
  av_opt_get_int(&context, "low_power", AV_OPT_SEARCH_CHILDREN, &low_power);
  if (context.pix_fmt == AV_PIX_FMT_VAAPI && state.low_power_only && low_power != 1) {
    av_log(&context, AV_LOG_ERROR, "No usable encoding entrypoint found for profile.\n");
    return AVERROR(ENOSYS);
  }
  driver.pixels = av_get_pix_fmt_name(format_in_memory(context));
  session.inner = open_inner(context);
  return session.inner == nullptr ? AVERROR_EXTERNAL : 0;
}

// Whether the call is one that is to fail.
bool comes_to_fail(EncoderDrivers::State& state, Session& session, EncoderCall call) {
  const int nth = ++session.calls[call];
  Driver& driver = state.drivers[session.encoder];
  const bool comes = driver.failures.contains({session.number, call, nth});
  driver.has_failed = driver.has_failed || comes;
  return comes;
}

int failed(AVCodecContext* context) {
  av_log(context, AV_LOG_ERROR, "the device was lost\n");
  return AVERROR_EXTERNAL;
}

void free_frame(void* /*opaque*/, std::uint8_t* data) {
  auto* frame = reinterpret_cast<AVFrame*>(data);
  av_frame_free(&frame);
}

AVFrame* in_memory(const AVFrame& surface) {
  return reinterpret_cast<AVFrame*>(surface.data[3]);
}

int send_inner(const AVCodecContext& outer, AVCodecContext* inner, const AVFrame* frame) {
  const auto send = real<int(AVCodecContext*, const AVFrame*)>("avcodec_send_frame");
  if (frame == nullptr) {
    return send(inner, nullptr);
  }
  if (frame->format != outer.pix_fmt) {
    return AVERROR(EINVAL);
  }
  AVFrame* sent = av_frame_clone(frame);
  if (frame->format == AV_PIX_FMT_VAAPI) {
    if (frame->hw_frames_ctx == nullptr ||
        frame->hw_frames_ctx->data != outer.hw_frames_ctx->data) {
      av_frame_free(&sent);
      return AVERROR(EINVAL);
    }
    av_frame_free(&sent);
    sent = av_frame_clone(in_memory(*frame));
    av_frame_copy_props(sent, frame);
  }
  const int code = send(inner, sent);
  av_frame_free(&sent);
  return code;
}

}  // namespace

EncoderDrivers::EncoderDrivers() : state_(std::make_unique<State>()) {
  ::setenv("AVSTORE_TRIAL_SECONDS", "600", 1);
  const std::lock_guard lock(active_mutex());
  active = state_.get();
}

EncoderDrivers::~EncoderDrivers() {
  {
    std::unique_lock lock(state_->mutex);
    state_->released = true;
    state_->changed.notify_all();
    state_->changed.wait(lock, [this] { return state_->hanging == 0 && state_->sessions.empty(); });
  }
  const std::lock_guard lock(active_mutex());
  active = nullptr;
}

void EncoderDrivers::install(const std::string& encoder) {
  const std::lock_guard lock(state_->mutex);
  state_->drivers[encoder].installed = true;
}
void EncoderDrivers::limit_sessions(const std::string& encoder, int count) {
  const std::lock_guard lock(state_->mutex);
  state_->drivers[encoder].most = count;
}
void EncoderDrivers::hang(const std::string& encoder) {
  const std::lock_guard lock(state_->mutex);
  state_->drivers[encoder].hangs = true;
  ::setenv("AVSTORE_TRIAL_SECONDS", "0.1", 1);
}
void EncoderDrivers::be_patient() {
  ::setenv("AVSTORE_TRIAL_SECONDS", "600", 1);
}
void EncoderDrivers::fail(const std::string& encoder, int session, EncoderCall call, int nth) {
  const std::lock_guard lock(state_->mutex);
  state_->drivers[encoder].failures.insert({session, call, nth});
}
void EncoderDrivers::have_low_power_only() {
  const std::lock_guard lock(state_->mutex);
  state_->low_power_only = true;
}
bool EncoderDrivers::has_failed(const std::string& encoder) const {
  const std::lock_guard lock(state_->mutex);
  return state_->drivers[encoder].has_failed;
}
int EncoderDrivers::opened(const std::string& encoder) const {
  const std::lock_guard lock(state_->mutex);
  return state_->drivers[encoder].tried;
}
int EncoderDrivers::open_now(const std::string& encoder) const {
  const std::lock_guard lock(state_->mutex);
  return state_->drivers[encoder].open;
}
std::map<std::string, std::string> EncoderDrivers::options_of(const std::string& encoder) const {
  const std::lock_guard lock(state_->mutex);
  return state_->drivers[encoder].options;
}
std::string EncoderDrivers::pixels_of(const std::string& encoder) const {
  const std::lock_guard lock(state_->mutex);
  return state_->drivers[encoder].pixels;
}
std::vector<std::string> EncoderDrivers::devices() const {
  const std::lock_guard lock(state_->mutex);
  return state_->devices;
}

}  // namespace avstore::test

// ---- what is intercepted ---------------------------------------------------------------------

using avstore::test::Driver;
using avstore::test::drivers_now;
using avstore::test::EncoderCall;
using avstore::test::real;
using avstore::test::Session;

extern "C" {

int avcodec_open2(AVCodecContext* context, const AVCodec* codec, AVDictionary** options) {
  const auto open = real<int(AVCodecContext*, const AVCodec*, AVDictionary**)>("avcodec_open2");
  const AVCodec* opened = codec != nullptr ? codec : context->codec;
  auto* state = drivers_now();
  if (state == nullptr || av_codec_is_encoder(opened) == 0) {
    return open(context, codec, options);
  }
  std::unique_lock lock(state->mutex);
  Driver& driver = state->drivers[opened->name];
  ++driver.tried;
  if (driver.hangs) {
    ++state->hanging;
    state->changed.wait(lock, [state] { return state->released; });
    --state->hanging;
    state->changed.notify_all();
    return AVERROR(EIO);
  }
  if (driver.most >= 0 && driver.open >= driver.most) {
    av_log(context, AV_LOG_ERROR, "OpenEncodeSessionEx failed: out of memory (10)\n");
    return AVERROR(ENOMEM);
  }
  Session session{opened->name, driver.sessions + 1, nullptr, {}};
  const int code = driver.installed
                       ? avstore::test::open_hardware(*state, *context, options, driver, session)
                       : open(context, codec, options);
  if (code < 0) {
    return code;
  }
  if (driver.installed && options != nullptr) {
    av_dict_free(options);
  }
  ++driver.sessions;
  ++driver.open;
  state->sessions[context] = session;
  return code;
}

int avcodec_send_frame(AVCodecContext* context, const AVFrame* frame) {
  const auto send = real<int(AVCodecContext*, const AVFrame*)>("avcodec_send_frame");
  AVCodecContext* inner = nullptr;
  if (auto* state = drivers_now()) {
    const std::lock_guard lock(state->mutex);
    const auto found = state->sessions.find(context);
    if (found != state->sessions.end()) {
      const EncoderCall call = frame == nullptr ? EncoderCall::end : EncoderCall::send;
      if (comes_to_fail(*state, found->second, call)) {
        return avstore::test::failed(context);
      }
      inner = found->second.inner;
    }
  }
  return inner == nullptr ? send(context, frame)
                          : avstore::test::send_inner(*context, inner, frame);
}

int avcodec_receive_packet(AVCodecContext* context, AVPacket* packet) {
  const auto receive = real<int(AVCodecContext*, AVPacket*)>("avcodec_receive_packet");
  auto* state = drivers_now();
  if (state == nullptr) {
    return receive(context, packet);
  }
  for (;;) {
    AVCodecContext* worker = context;
    {
      const std::lock_guard lock(state->mutex);
      const auto found = state->sessions.find(context);
      if (found != state->sessions.end() && found->second.inner != nullptr) {
        worker = found->second.inner;
      }
    }
    const int code = receive(worker, packet);
    if (code < 0) {
      return code;
    }
    const std::lock_guard lock(state->mutex);
    const auto found = state->sessions.find(context);
    if (found == state->sessions.end()) {
      return code;
    }
    if (comes_to_fail(*state, found->second, EncoderCall::receive)) {
      av_packet_unref(packet);
      return avstore::test::failed(context);
    }
    if (!comes_to_fail(*state, found->second, EncoderCall::lose)) {
      return code;
    }
    av_packet_unref(packet);
  }
}

void avcodec_free_context(AVCodecContext** context) {
  const auto free = real<void(AVCodecContext**)>("avcodec_free_context");
  if (auto* state = drivers_now(); state != nullptr && context != nullptr) {
    std::unique_lock lock(state->mutex);
    const auto found = state->sessions.find(*context);
    if (found != state->sessions.end()) {
      Session session = found->second;
      lock.unlock();
      free(&session.inner);
      lock.lock();
      --state->drivers[session.encoder].open;
      state->sessions.erase(*context);
      state->changed.notify_all();
    }
  }
  free(context);
}

int av_hwdevice_ctx_create(AVBufferRef** made, AVHWDeviceType type, const char* device,
                           AVDictionary* options, int flags) {
  auto* state = drivers_now();
  if (state != nullptr && type == AV_HWDEVICE_TYPE_VAAPI) {
    const std::lock_guard lock(state->mutex);
    if (state->has_vaapi()) {
      state->devices.emplace_back(device == nullptr ? "" : device);
      *made = av_hwdevice_ctx_alloc(type);
      return *made == nullptr ? AVERROR(ENOMEM) : 0;
    }
  }
  return real<int(AVBufferRef**, AVHWDeviceType, const char*, AVDictionary*, int)>(
      "av_hwdevice_ctx_create")(made, type, device, options, flags);
}

int av_hwframe_ctx_init(AVBufferRef* frames) {
  if (drivers_now() != nullptr &&
      reinterpret_cast<AVHWFramesContext*>(frames->data)->format == AV_PIX_FMT_VAAPI) {
    return 0;
  }
  return real<int(AVBufferRef*)>("av_hwframe_ctx_init")(frames);
}

int av_hwframe_get_buffer(AVBufferRef* frames, AVFrame* frame, int flags) {
  const auto* context = reinterpret_cast<AVHWFramesContext*>(frames->data);
  if (drivers_now() == nullptr || context->format != AV_PIX_FMT_VAAPI) {
    return real<int(AVBufferRef*, AVFrame*, int)>("av_hwframe_get_buffer")(frames, frame, flags);
  }
  AVFrame* memory = av_frame_alloc();
  memory->format = context->sw_format;
  memory->width = context->width;
  memory->height = context->height;
  const int code = av_frame_get_buffer(memory, 0);
  if (code < 0) {
    av_frame_free(&memory);
    return code;
  }
  frame->format = context->format;
  frame->width = context->width;
  frame->height = context->height;
  frame->data[3] = reinterpret_cast<std::uint8_t*>(memory);
  frame->buf[0] =
      av_buffer_create(frame->data[3], sizeof(AVFrame), avstore::test::free_frame, nullptr, 0);
  frame->hw_frames_ctx = av_buffer_ref(frames);
  return 0;
}

int av_hwframe_transfer_data(AVFrame* to, const AVFrame* from, int flags) {
  if (drivers_now() != nullptr && to->format == AV_PIX_FMT_VAAPI) {
    AVFrame* memory = avstore::test::in_memory(*to);
    return memory->format == from->format ? av_frame_copy(memory, from) : AVERROR(EINVAL);
  }
  return real<int(AVFrame*, const AVFrame*, int)>("av_hwframe_transfer_data")(to, from, flags);
}
}
