// Memory for frames that wait.
#include "store/frame_pool.h"

#include <sys/resource.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "support/catch.h"

using avstore::Image;
using avstore::ImageView;
using avstore::store::FramePool;

namespace {

constexpr int kWidth = 2048;
constexpr int kHeight = 1024;

class Frame {
 public:
  explicit Frame(std::uint8_t value) : pixels_(std::size_t{kWidth} * kHeight, value) {}

  ImageView view() const {
    return avstore::packed_view(avstore::pixel::gray8, kWidth, kHeight, pixels_.data());
  }

 private:
  std::vector<std::uint8_t> pixels_;
};

// What the system had to find memory for on this thread.
long page_faults() {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_minflt;
}

long page_faults_of_copies(FramePool& pool, int count) {
  const Frame frame(1);
  std::vector<Image> copies;
  copies.reserve(static_cast<std::size_t>(count));
  const long before = page_faults();
  for (int i = 0; i < count; ++i) {
    copies.push_back(pool.copy(frame.view()));
  }
  return page_faults() - before;
}

long page_faults_of_one_more(FramePool& pool, std::vector<Image>& copies) {
  const Frame frame(1);
  const long before = page_faults();
  copies.push_back(pool.copy(frame.view()));
  return page_faults() - before;
}

bool shows(const Image& image, std::uint8_t value) {
  const ImageView view = image.view();
  return view.planes[0][0] == value &&
         std::memcmp(view.planes[0], view.planes[0] + 1, std::size_t{kWidth} * kHeight - 1) == 0;
}

}  // namespace

TEST_CASE("Copies into buffers that are ready fault no pages") {
  FramePool pool;
  const Image first = pool.copy(Frame(1).view());
  pool.make_ready(5, 4);
  const long ready = page_faults_of_copies(pool, 4);
  FramePool unprepared;
  const long fresh = page_faults_of_copies(unprepared, 4);
  CAPTURE(ready, fresh);
  CHECK(fresh >= 4);
  CHECK(ready * 4 <= fresh);
}

TEST_CASE("No more buffers are made than were asked for") {
  FramePool pool;
  pool.make_ready(2, 8);  // of what size, nobody knows yet
  const Image first = pool.copy(Frame(1).view());
  pool.make_ready(2, 8);
  const long before = page_faults();
  pool.make_ready(2, 8);  // one is in use, one is free
  CHECK(page_faults() == before);
}

TEST_CASE("Large buffers are kept ready while there are copies in use") {
  // Far beyond what is made ready at once.
  constexpr std::size_t kCopies = 50;
  FramePool prepared, unprepared;
  std::vector<Image> copies;
  copies.reserve(2 * kCopies);
  long ready = 0, fresh = 0;
  for (std::size_t i = 0; i < kCopies; ++i) {
    fresh += page_faults_of_one_more(unprepared, copies);
    ready += page_faults_of_one_more(prepared, copies);
    prepared.make_ready(1000, 2);
  }
  CAPTURE(ready, fresh);
  CHECK(ready * 2 <= fresh);
}

TEST_CASE("Buffers are used again, but not while a copy is in use") {
  FramePool pool;
  const Image kept = pool.copy(Frame(1).view());
  const std::uint8_t* place = nullptr;
  {
    const Image passing = pool.copy(Frame(2).view());
    place = passing.view().planes[0];
    CHECK(shows(passing, 2));
  }
  const Image again = pool.copy(Frame(3).view());
  CHECK(again.view().planes[0] == place);
  CHECK(shows(again, 3));
  CHECK(shows(kept, 1));
}

TEST_CASE("Copies outlive the pool, and frames may grow") {
  Image copy;
  {
    FramePool pool;
    const std::vector<std::uint8_t> small(64, 7);
    pool.copy(avstore::packed_view(avstore::pixel::gray8, 8, 8, small.data()));
    copy = pool.copy(Frame(4).view());
  }
  CHECK(shows(copy, 4));
}

TEST_CASE("Buffers lie apart from each other") {
  FramePool pool;
  std::vector<Image> copies;
  for (int i = 0; i < 20; ++i) {
    copies.push_back(pool.copy(Frame(static_cast<std::uint8_t>(i)).view()));
  }
  for (int i = 0; i < 20; ++i) {
    CAPTURE(i);
    CHECK(shows(copies[static_cast<std::size_t>(i)], static_cast<std::uint8_t>(i)));
  }
}
