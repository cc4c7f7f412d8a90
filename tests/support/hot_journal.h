// A rollback journal that makes SQLite remove another file.
#pragma once

#include <filesystem>

namespace avstore::test {

// Puts a hot journal beside a database. When SQLite rolls it back, the database stays as it is, but
// SQLite removes `victim`. Returns false, and writes nothing, if the file has no first page of a
// database. Throws std::runtime_error if the journal cannot be written.
[[nodiscard]] bool put_journal_that_names(const std::filesystem::path& victim,
                                          const std::filesystem::path& database);

}  // namespace avstore::test
