// Capture devices as input formats of libavformat: v4l2, x11grab, lavfi and others.
#pragma once

namespace avstore::media {

// Load libavdevice and register its formats with libavformat, once for the process. Returns false
// if libavdevice is not installed. Thread-safe.
//
// libavdevice is not linked to: it brings some eighty libraries (libavfilter, SDL, OpenGL), and
// loading them would double the time that every command and `import avstore` takes to start.
bool register_devices();

}  // namespace avstore::media
