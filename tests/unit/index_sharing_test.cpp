// The index database where several use it: readers while it is written, writers in turn, and those
// who come after a writer that was killed or whose disk was full.
#include "index/index.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>

#include "avstore/error.h"
#include "support/catch.h"
#include "support/index_rows.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/processes.h"

namespace {

namespace fs = std::filesystem;
using namespace avstore::test;  // NOLINT
using avstore::Error;
using avstore::ErrorKind;
using avstore::index::FrameRow;
using avstore::index::Index;

}  // namespace

TEST_CASE("index: rows are seen from their commit on, by all alike") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / ".index.sqlite";
  Index writer = Index::create(path);
  Index reader = Index::open(path);
  append_plain(writer, 10);
  CHECK(writer.frame_count() == 0);
  CHECK(reader.refresh() == 0);
  CHECK_ERROR(end_of_store, writer.at(0));
  CHECK(!writer.find_number(0));

  writer.commit();
  CHECK(writer.frame_count() == 10);
  CHECK(reader.frame_count() == 0);
  CHECK(reader.refresh() == 10);
  CHECK(same(rows_of(reader), plain_rows(10)));

  append_plain(writer, 20);
  writer.set_information("note", "gone");
  writer.rollback();
  CHECK(writer.frame_count() == 10);
  CHECK(!writer.information("note"));
  append_plain(writer, 15);
  writer.commit();
  CHECK(reader.refresh() == 15);
  CHECK(same(rows_of(writer), plain_rows(15)));
}

TEST_CASE("index: readers do not hold up the writer, nor their callbacks") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / ".index.sqlite";
  Index writer = Index::create(path);
  append_plain(writer, 1000);
  writer.commit();
  const Index reader = Index::open(path);
  std::int64_t visits = 0;
  reader.for_each({0, 1000}, [&](const FrameRow& row) {
    CHECK(same(row, plain_row(visits++)));
    if (visits % 100 == 0) {
      append_plain(writer, writer.frame_count() + 10);
      writer.commit();
    }
    return true;
  });
  CHECK(visits == 1000);
  CHECK(writer.frame_count() == 1100);
  // A closed store lets a writer in while it is open for reading.
  writer.close();
  Index again = Index::open_for_writing(path);
  append_plain(again, 1200);
  again.commit();
  CHECK(Index::open(path).frame_count() == 1200);
}

TEST_CASE("index: another process reads while one writes") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / ".index.sqlite";
  constexpr std::int64_t frames = 20'000;
  Signal created;
  const pid_t reader = start_child([&] {
    created.wait();
    Index index = Index::open(path);
    std::int64_t seen = 0;
    for (std::int64_t count = 0; count < frames;) {
      count = index.refresh();
      // Whole commits only, and every row of them.
      if (count < seen || count % 50 != 0) {
        return 1;
      }
      for (; seen < count; ++seen) {
        if (!same(index.at(seen), plain_row(seen)) ||
            index.find_number(seen * 3)->frame_index != seen) {
          return 2;
        }
      }
    }
    return 0;
  });
  Index writer = Index::create(path);
  created.send();
  for (std::int64_t end = 50; end <= frames; end += 50) {
    append_plain(writer, end);
    writer.commit();
  }
  CHECK(wait_for(reader) == 0);
}

TEST_CASE("index: follows a writer in a folder that only the writer can write") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / ".index.sqlite";
  Signal hundred;
  Signal hundred_seen;
  Signal two_hundred;
  const pid_t reader = start_child([&] {
    hundred.wait();
    become_nobody();
    Index index = Index::open(path);
    if (index.frame_count() != 100) {
      return 1;
    }
    hundred_seen.send();
    two_hundred.wait();
    return index.refresh() == 200 && same(rows_of(index), plain_rows(200)) ? 0 : 2;
  });
  Index writer = Index::create(path);
  append_plain(writer, 100);
  writer.commit();
  fs::permissions(path.parent_path(), fs::perms(0555));
  hundred.send();
  hundred_seen.wait();
  append_plain(writer, 200);
  writer.commit();
  two_hundred.send();
  CHECK(wait_for(reader) == 0);
}

TEST_CASE("index: can be opened at every moment of a writer's coming and going") {
  const auto unprivileged = GENERATE(false, true);
  if (unprivileged && ::geteuid() != 0) {
    WARN("not checked: needs root, reader and writer would be the same user");
    return;
  }
  INFO((unprivileged ? "in a folder that only the writer can write" : "in the writer's folder"));
  const TemporaryFolder folder;
  const fs::path path = closed_database(folder, 10);
  fs::permissions(path.parent_path(), fs::perms(unprivileged ? 0555 : 0755));
  const pid_t reader = start_child([&] {
    if (unprivileged) {
      become_nobody();
    }
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    while (std::chrono::steady_clock::now() < end) {
      Index index = Index::open(path);
      const std::int64_t count = index.frame_count();
      if (!same(index.at(count - 1), plain_row(count - 1)) || index.refresh() < count) {
        return 1;
      }
    }
    return 0;
  });
  while (is_running(reader)) {
    Index writer = Index::open_for_writing(path);
    append_plain(writer, writer.frame_count() + 10);
    writer.close();
  }
  CHECK(wait_for(reader) == 0);
}

TEST_CASE("index: two writers in turn") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / ".index.sqlite";
  Index first = Index::create(path);
  append_plain(first, 10);
  first.commit();
  Index second = Index::open_for_writing(path);
  append_plain(second, 20);
  second.commit();
  // The first does not overwrite what it has not seen.
  CHECK_ERROR(invalid_argument, first.append(plain_row(10)));
  first.rollback();
  CHECK(first.refresh() == 20);
  append_plain(first, 30);
  first.commit();
  CHECK(second.refresh() == 30);
  CHECK(same(rows_of(second), plain_rows(30)));
}

TEST_CASE("index: a store cut by another process") {
  const TemporaryFolder folder;
  const fs::path path = closed_database(folder, 1000);
  Index reader = Index::open(path);
  CHECK(reader.find_number(2400)->frame_index == 800);
  Index writer = Index::open_for_writing(path);
  writer.truncate(500);
  writer.commit();
  CHECK_ERROR(end_of_store, reader.at(800));
  CHECK(reader.refresh() == 500);
  CHECK(!reader.find_number(2400));
  CHECK(reader.nearest_number(2400)->frame_index == 499);
}

TEST_CASE("index: close while another reads leaves all readable") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / ".index.sqlite";
  Index writer = Index::create(path);
  append_plain(writer, 500);
  writer.commit();
  {
    Index reader = Index::open(path);
    append_plain(writer, 1000);
    writer.close();
    CHECK(reader.refresh() == 1000);
    CHECK(same(rows_of(reader), plain_rows(1000)));
  }
  CHECK(same(rows_of(Index::open(path)), plain_rows(1000)));
  // With the reader gone it can be made one file.
  CHECK(fs::exists(folder.path() / ".index.sqlite-wal"));
  writer.close();
  CHECK(!fs::exists(folder.path() / ".index.sqlite-wal"));
  CHECK(same(rows_of(Index::open(path)), plain_rows(1000)));
}

TEST_CASE("index: what was committed survives a kill") {
  const auto kill_after = GENERATE(0, 1, 7, 40, 150);
  const auto close_each_time = GENERATE(false, true);
  const TemporaryFolder folder;
  const fs::path path = folder.path() / ".index.sqlite";
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const pid_t writer = start_child([&] {
    Index index = Index::create(path);
    for (std::int64_t end = 100;; end += 100) {
      // Goes on appending until it is killed: most likely in the midst of a commit or close.
      append_plain(index, end);
      if (close_each_time) {
        index.close();
      } else {
        index.commit();
      }
      if (::write(ends[1], &end, sizeof end) != sizeof end) {
        return 1;
      }
    }
    return 0;
  });
  std::int64_t committed = 0;
  for (int i = 0; i <= kill_after; ++i) {
    REQUIRE(::read(ends[0], &committed, sizeof committed) == sizeof committed);
  }
  ::kill(writer, SIGKILL);
  CHECK(wait_for(writer) == -SIGKILL);
  ::close(ends[1]);
  for (std::int64_t more = 0; ::read(ends[0], &more, sizeof more) == sizeof more;) {
    committed = more;
  }
  ::close(ends[0]);

  const std::int64_t count = Index::open(path).frame_count();
  CHECK(count >= committed);
  CHECK(count % 100 == 0);
  CHECK(same(rows_of(Index::open(path)), plain_rows(count)));
  Index repaired = Index::open_for_writing(path);
  append_plain(repaired, count + 50);
  repaired.close();
  CHECK(same(rows_of(Index::open(path)), plain_rows(count + 50)));
  CHECK(repaired.integrity_findings().empty());
  CHECK(!fs::exists(folder.path() / ".index.sqlite-wal"));
}

TEST_CASE("index: a full disk loses only what was not committed") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / ".index.sqlite";
  const int status = run_child([&] {
    Index index = Index::create(path);
    append_plain(index, 1000);
    index.commit();
    // Files cannot grow beyond this; writing fails then, as on a full disk.
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{};
    ::getrlimit(RLIMIT_FSIZE, &limit);
    const rlim_t all = limit.rlim_cur;
    limit.rlim_cur = 300'000;
    ::setrlimit(RLIMIT_FSIZE, &limit);
    std::int64_t committed = 1000;
    bool failed = false;
    while (!failed && committed < 1'000'000) {
      try {
        append_plain(index, committed + 500);
        index.commit();
        committed += 500;
      } catch (const Error& error) {
        failed = error.kind() == ErrorKind::io;
        if (!failed) {
          return 1;
        }
      }
    }
    index.rollback();
    if (!failed || index.frame_count() != committed ||
        !same(rows_of(index), plain_rows(committed))) {
      return 2;
    }
    limit.rlim_cur = all;
    ::setrlimit(RLIMIT_FSIZE, &limit);
    append_plain(index, committed + 700);
    index.close();
    return same(rows_of(Index::open(path)), plain_rows(committed + 700)) ? 0 : 3;
  });
  CHECK(status == 0);
  CHECK(Index::open(path).integrity_findings().empty());
}
