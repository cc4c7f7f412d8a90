// How long it takes to open a store: the first time, when its index is made from the chunks' own,
// and again.
//
// usage: open_bench STORE
//
// The store's index database is removed first.
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>

#include "avstore/reader.h"

namespace {

using Clock = std::chrono::steady_clock;

void open_and_report(const char* what, const std::filesystem::path& store) {
  const auto begin = Clock::now();
  avstore::ReaderOptions options;
  options.on_warning = [](const std::string& text) { std::fprintf(stderr, "%s\n", text.c_str()); };
  const avstore::Reader reader(store, options);
  const std::chrono::duration<double, std::milli> spent = Clock::now() - begin;
  const auto last = reader.find(avstore::FrameIndex(reader.frame_count() - 1));
  const std::chrono::duration<double, std::milli> found = Clock::now() - begin - spent;
  std::printf("%-14s %10.2f ms, %lld frames; the last one (number %lld) found in %.2f ms\n", what,
              spent.count(), static_cast<long long>(reader.frame_count()),
              static_cast<long long>(last.number.value), found.count());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: open_bench STORE\n");
    return 2;
  }
  try {
    const std::filesystem::path store = argv[1];
    std::filesystem::remove(store / ".index.sqlite");
    open_and_report("first opening", store);
    open_and_report("second opening", store);
    open_and_report("third opening", store);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "open_bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
