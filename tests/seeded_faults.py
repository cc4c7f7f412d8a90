#!/usr/bin/env python3
"""Seed faults into the library, one at a time, and say which of them the tests catch.

usage: seeded_faults.py [--full] [NAME...]

Works on a copy of the tree in build-seeded, which it makes and builds. By default tests run as in tests/run.sh, with --full all cases of
the long loops. NAMEs are of the faults listed below; without any all are seeded. A fault is caught when a test fails; the rest of the
tests then does not run. Prints a line for each fault, and in the end how many were caught.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
COPY = ROOT / "build-seeded" / "tree"

# Name: file below lib/src, what stands there, what stands there instead.
FAULTS = {
    "nearest-turned": ("index/locate.cpp", "to_below < to_above ? *below", "to_below > to_above ? *below"),
    "tie-takes-later": ("index/locate.cpp", "return std::min(first_with(database, count, *below)",
                        "return std::max(first_with(database, count, *below)"),
    "no-decoder-flush": ("chunk/video_reader.cpp", "    decoder().flush();\n", ""),
    "reads-anew": ("chunk/video_reader.cpp", "start->frame_idx > *next_", "start->frame_idx >= *next_"),
    "names-not-synced": ("store/chunk_sequence.cpp", "  write_extra();\n  keep_names();\n  index_.commit();\n",
                         "  write_extra();\n  index_.commit();\n"),
    "inserted-not-synced": ("store/chunk_sequence.cpp", "    base::sync_file(folder_ / path);\n", "    ;\n"),
    "video-not-synced": ("chunk/video_writer.cpp", "      muxer_.file().sync();\n    }\n    note_pieces();\n", "    }\n    note_pieces();\n"),
    "chunk-too-long": ("store/chunk_sequence.cpp", "added_ - chunk_first_frame_ == metadata_.chunksize",
                       "added_ - chunk_first_frame_ > metadata_.chunksize"),
    "time-sign": ("store/chunk_sequence.cpp", "frame.names.frame_time - chunk_first_time_",
                  "chunk_first_time_ - frame.names.frame_time"),
    "checksum-not-read-back": ("base/checked_file.cpp", "    if (known.changed) {\n      known.piece.crc32", "    if (false) {\n      known.piece.crc32"),
    "row-before-bytes": ("chunk/video_writer.cpp", "    muxer_.flush();\n", ""),
    "boot-ignored": ("store/recording_lock.cpp", "owner.boot == this_boot() && ", ""),
    "recovery-not-exact": ("media/random_access.cpp", "recovers_at_once_ || recovers_exactly_at_once(nal)", "true"),
    "bayer-rounding": ("chunk/sensor_image.cpp", "row[x - 1] + row[x + 1] + quarter) >> 2", "row[x - 1] + row[x + 1]) >> 2"),
    "range-swapped": ("media/convert.cpp", 'set("src_range", source_full ? 1 : 0)', 'set("src_range", source_full ? 0 : 1)'),
    "byte-order": ("imgstore/npy.cpp", "  if (swap) {", "  if (!swap) {"),
    "drops-uncounted": ("store/writer_queue.cpp", "    ++dropped_count_;\n", ""),
    "number-step": ("tools/frame_namer.cpp", "__builtin_mul_overflow(place, options_.number_step, &number)",
                    "__builtin_mul_overflow(place, std::int64_t{1}, &number)"),
    "tolerance": ("tools/align_frames.cpp", "least.time.seconds <= tolerance_", "least.time.seconds < tolerance_"),
    "cut-one-late": ("tools/export_plan.cpp", "copy_begin <= i && i < copy_end", "copy_begin <= i && i <= copy_end"),
}


def run(*command, **environment):
    return subprocess.run(command, cwd=COPY, check=False, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env={**os.environ, **environment})


def failures(full):
    """The first test that fails, or several that fail at the same time; none if all pass. The suites that catch most come first."""
    for suite in ("unit", "integration", "python", "cli"):
        tests = run("meson", "test", "-C", "build", "--no-rebuild", "--suite", suite, "--maxfail", "1",
                    "--num-processes", str((os.cpu_count() or 1) + 1), *(["--timeout-multiplier", "20"] if full else []),
                    **({"AVSTORE_TEST_FULL": "1"} if full else {}))
        failed = re.findall(r"^ *\d+/\d+ .* / (\S+) +(?:FAIL|TIMEOUT|ERROR)\b", tests.stdout, re.MULTILINE)
        if failed:
            return failed
    return []


def make_copy():
    shutil.rmtree(COPY.parent, ignore_errors=True)
    COPY.mkdir(parents=True)
    archive = subprocess.run(["git", "-C", ROOT, "archive", "HEAD"], check=True, stdout=subprocess.PIPE).stdout
    subprocess.run(["tar", "-x", "-C", COPY], input=archive, check=True)
    built = run("meson", "setup", "build", "-Doptimization=1", "-Ddebug=false", "-Dtests=enabled", "-Dpython=enabled")
    built = run("ninja", "-C", "build") if built.returncode == 0 else built
    if built.returncode != 0:
        sys.exit(built.stdout)


def seed(name, full):
    """Put a fault into the copy, and take it out again. Returns what failures() does."""
    path, right, wrong = FAULTS[name]
    file = COPY / "lib" / "src" / path
    text = file.read_text(encoding="utf-8")
    if text.count(right) != 1:
        sys.exit(f"{name}: {path} has what is to be changed {text.count(right)} times")
    file.write_text(text.replace(right, wrong), encoding="utf-8")
    try:
        built = run("ninja", "-C", "build")
        if built.returncode != 0:
            sys.exit(f"{name}: does not compile\n{built.stdout[-2000:]}")
        return failures(full)
    finally:
        file.write_text(text, encoding="utf-8")


def main():
    arguments = sys.argv[1:]
    full = "--full" in arguments
    names = [name for name in arguments if name != "--full"] or list(FAULTS)
    if any(name not in FAULTS for name in names):
        sys.exit(__doc__.split("\n\n")[1])
    make_copy()
    caught = 0
    for name in names:
        begin = time.monotonic()
        failed = seed(name, full)
        caught += bool(failed)
        print(f"{name}: {'caught by ' + ', '.join(failed) if failed else 'not caught'}, {time.monotonic() - begin:.0f} s", flush=True)
    print(f"{caught} of {len(names)} caught")


if __name__ == "__main__":
    main()
