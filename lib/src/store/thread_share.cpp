#include "store/thread_share.h"

#include <algorithm>
#include <mutex>
#include <thread>

namespace avstore::store {
namespace {

// All writers that are alive.
struct Claims {
  std::mutex mutex;
  int threads = 0;  // of those that were told
  int sharing = 0;  // writers that share the others
};

Claims& claims() {
  static Claims all;
  return all;
}

}  // namespace

ThreadShare::ThreadShare(int wanted) : wanted_(wanted) {
  const std::lock_guard lock(claims().mutex);
  claims().threads += wanted_;
  claims().sharing += wanted_ == 0 ? 1 : 0;
}

ThreadShare::~ThreadShare() {
  const std::lock_guard lock(claims().mutex);
  claims().threads -= wanted_;
  claims().sharing -= wanted_ == 0 ? 1 : 0;
}

int ThreadShare::threads() const {
  if (wanted_ > 0) {
    return wanted_;
  }
  const auto cores = static_cast<int>(std::thread::hardware_concurrency());
  const std::lock_guard lock(claims().mutex);
  return std::max(1, (cores - claims().threads) / claims().sharing);
}

}  // namespace avstore::store
