// Opening a database for reading wherever it lies: beside a writer, after a crash, on a medium that
// cannot be written.
#pragma once

#include <filesystem>
#include <memory>

#include "base/temporary_folder.h"
#include "index/database.h"
#include "index/index.h"

namespace avstore::index {

// A connection, and the private copy it may be one to.
struct OpenedDatabase {
  std::unique_ptr<base::TemporaryFolder> folder;  // outlives the connection
  std::unique_ptr<Database> database;
};

// Neither a database nor one of the files that SQLite keeps beside it may be a link or anything but
// a file: that is Error(corrupt). See base/own_files.h.

// An existing database for reading. Throws Error: not_found (no file), corrupt (no database), io.
OpenedDatabase open_for_reading(const std::filesystem::path& path,
                                Reading reading = Reading::in_place);

// An existing one for writing; it may be an empty file. Throws Error: not_found, corrupt, io.
OpenedDatabase open_to_write(const std::filesystem::path& path);

// A new one without a file.
OpenedDatabase open_in_memory();

// Makes an empty file, of two writers for one only: the other gets Error(exists). A log left there
// by a database that is gone does no harm: SQLite drops it when it finds the file empty.
void make_new_file(const std::filesystem::path& path);

// Readers go on while rows are committed, and what was committed survives the death of the process;
// a power cut too, if each commit is to wait for the disk.
enum class Commits { written, on_disk };
void use_write_ahead_log(Database& database, Commits commits);

// The files that SQLite keeps beside a database: journal, write-ahead log and the log's index.
void remove_companions(const std::filesystem::path& path);

}  // namespace avstore::index
