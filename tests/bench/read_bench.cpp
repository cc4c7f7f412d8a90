// How long it takes to read a store on and on: what python_bench.py compares itself with.
//
// usage: read_bench STORE
//
// Prints seconds, from the open store to its last frame.
#include <chrono>
#include <cstdio>
#include <exception>

#include "avstore/reader.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: read_bench STORE\n");
    return 2;
  }
  try {
    avstore::ReaderOptions options;
    options.packed = true;
    avstore::Reader reader(argv[1], options);
    const auto begin = std::chrono::steady_clock::now();
    while (reader.next()) {
    }
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
    std::printf("%.6f\n", spent.count());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "read_bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
