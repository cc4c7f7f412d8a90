// Takes the place of bloscpack.cpp where the library is built without Blosc.
#include "avstore/error.h"
#include "imgstore/bloscpack.h"

namespace avstore::imgstore {
namespace {

[[noreturn]] void refuse(const std::string& name) {
  throw Error(ErrorKind::unsupported, name + ": avstore was built without Blosc, which bpk needs");
}

}  // namespace

bool has_bloscpack() {
  return false;
}

std::vector<std::uint8_t> bloscpack_to_npy(std::span<const std::uint8_t> /*file*/,
                                           const std::string& name) {
  refuse(name);
}

std::vector<std::uint8_t> npy_to_bloscpack(std::span<const std::uint8_t> /*npy*/,
                                           const std::string& name) {
  refuse(name);
}

}  // namespace avstore::imgstore
