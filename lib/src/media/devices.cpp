#include "media/devices.h"

#include <dlfcn.h>

extern "C" {
#include <libavdevice/version.h>
#include <libavutil/macros.h>
}

namespace avstore::media {
namespace {

// The version that the headers are of, which belongs to the libavformat that we link to.
constexpr const char* kLibrary = "libavdevice.so." AV_STRINGIFY(LIBAVDEVICE_VERSION_MAJOR);

bool load() {
  // Never closed: libavformat keeps pointers into it.
  void* const library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return false;
  }
  void* const function = dlsym(library, "avdevice_register_all");
  if (function == nullptr) {
    return false;
  }
  reinterpret_cast<void (*)()>(function)();
  return true;
}

}  // namespace

bool register_devices() {
  static const bool registered = load();
  return registered;
}

}  // namespace avstore::media
