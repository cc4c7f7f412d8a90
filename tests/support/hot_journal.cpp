#include "support/hot_journal.h"

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <numeric>
#include <stdexcept>
#include <string>
#include <string_view>

namespace avstore::test {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7";
constexpr std::size_t kSectorSize = 512;

std::string big_endian(std::size_t value) {
  std::string bytes;
  for (const unsigned shift : {24U, 16U, 8U, 0U}) {
    bytes += static_cast<char>(value >> shift & 0xFFU);
  }
  return bytes;
}

std::size_t byte(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint8_t>(bytes[at]);
}

// 0 if it is none that SQLite has.
std::size_t page_size_of(std::string_view database) {
  if (database.size() < kSectorSize) {
    return 0;
  }
  const std::size_t stated = byte(database, 16) << 8U | byte(database, 17);
  const std::size_t size = stated == 1 ? 65536 : stated;
  return size < kSectorSize || database.size() < size ? 0 : size;
}

std::size_t checksum_of_page(std::string_view page) {
  std::size_t sum = 0;
  for (std::size_t at = page.size() - 200; at > 0 && at < page.size(); at -= 200) {
    sum += byte(page, at);
  }
  return sum;
}

// See https://www.sqlite.org/fileformat2.html#the_rollback_journal. It holds the first page as it
// is. At its end comes the name of a super-journal, which SQLite removes after rolling back, behind
// the number of the page with the lock, which no journal holds.
std::string journal_of(std::string_view database, std::size_t page_size, const std::string& name) {
  const std::string_view page = database.substr(0, page_size);
  std::string journal = std::string(kMagic) + big_endian(1) + big_endian(0) +
                        big_endian(database.size() / page_size) + big_endian(kSectorSize) +
                        big_endian(page_size);
  journal.resize(kSectorSize);
  journal += big_endian(1) + std::string(page) + big_endian(checksum_of_page(page));
  const auto sum = std::accumulate(
      name.begin(), name.end(), std::size_t{0},
      [](std::size_t so_far, char c) { return so_far + static_cast<std::uint8_t>(c); });
  return journal + big_endian((std::size_t{1} << 30U) / page_size + 1) + name +
         big_endian(name.size()) + big_endian(sum) + std::string(kMagic);
}

}  // namespace

bool put_journal_that_names(const fs::path& victim, const fs::path& database) {
  std::ifstream stream(database, std::ios::binary);
  const std::string content(std::istreambuf_iterator<char>(stream), {});
  const std::size_t page_size = page_size_of(content);
  if (page_size == 0) {
    return false;
  }
  std::ofstream journal(database.string() + "-journal", std::ios::binary);
  journal << journal_of(content, page_size, victim.string());
  if (!journal.flush()) {
    throw std::runtime_error(database.string() + "-journal: cannot be written");
  }
  return true;
}

}  // namespace avstore::test
