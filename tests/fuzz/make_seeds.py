#!/usr/bin/env python3
"""Make the files that fuzzing begins with out of stores that the reference implementation wrote.

usage: make_seeds.py OUT FUZZ_SEEDS FOLDER...

OUT/TARGET holds the seeds of each target in tests/fuzz that reads files of a store; data/fuzz has those of the others. FUZZ_SEEDS is
the program of that name, which makes index databases. Each FOLDER has stores in it. Files that are larger than any target is given
(the limits are in tests/fuzz.sh) are left out.
"""
import io
import json
import pathlib
import sqlite3
import subprocess
import sys
import zipfile

import numpy as np

# The kinds of files in a store, and who takes them.
PATTERNS = {"npy": ["**/*.npy"], "npz": ["**/*.npz", "*.yaml"], "bpk": ["**/*.bpk"], "metadata": ["metadata.yaml"],
            "extra": ["**/*.extra.json"], "index": [".index.sqlite"]}
VIDEO = (".mp4", ".mkv", ".avi")
MOST = 256 * 1024

YAML_INDEX = "frame_number: [1, 2, 3]\nframe_time:\n- 1.5\n- .nan\n- 2.5e+3\n"
USER_YAML = "a: &a {x: [1, 0x1F, 1_0, 190:20:30]}\nb: *a\nc: {<<: *a, y: !!binary aGk=}\nd: !!set {e, f}\ng: 2024-03-01 12:30:00\n"
RECORDS = [{"force": 0.5, "name": "a\u00e9\U0001F600", "list": [1, None, True, {"x": -1e300}], "frame_time": 1.5, "frame_number": 7,
            "frame_index": 0}, {"force": None, "frame_time": float("nan"), "frame_number": 8.0, "frame_index": 1}]

# Schemas that answer the library's questions with something else than tables, or at no end.
HOSTILE = {
    "view": "ALTER TABLE frames RENAME TO f; CREATE VIEW frames AS SELECT * FROM f",
    "trigger": "CREATE TRIGGER t AFTER UPDATE ON frames BEGIN DELETE FROM chunks; END",
    "generated": "ALTER TABLE chunks ADD COLUMN more AS (chunk || 'x')",
    "virtual": "DROP TABLE summary; CREATE VIRTUAL TABLE summary USING fts5(name, value)",
    "unordered": "UPDATE frames SET frame_number = -frame_number; "
                 "INSERT OR REPLACE INTO index_information VALUES ('avstore_numbers_unordered_at', 0)",
    "last": "INSERT INTO frames VALUES (9223372036854775807, 0, 0, 0, 0, 0)",
}


def read_seeds(stores):
    """Triples of target, name and bytes."""
    for store in stores:
        for target, patterns in PATTERNS.items():
            for pattern in patterns:
                for file in sorted(store.glob(pattern)):
                    name = store.name + "-" + str(file.relative_to(store)).replace("/", "-")
                    yield target, name, file.read_bytes()
        for file in sorted(store.glob("**/*.npz")):
            with zipfile.ZipFile(file) as archive:
                for member in archive.namelist():
                    yield "npy", f"{store.name}-{file.stem}-{member}", archive.read(member)


def video_seeds(stores):
    """Chunks with the bytes before them that fuzz_media.cpp and fuzz_import.cpp describe."""
    for store in stores:
        for index in sorted(store.glob("*.npz")):
            for file in sorted(store.glob(index.stem + ".*")):
                if file.suffix in VIDEO:
                    frames = len(np.load(index)["frame_number"])
                    name, content = f"{store.name}-{file.name}", file.read_bytes()
                    yield "media", name, bytes([VIDEO.index(file.suffix), frames]) + content
                    yield "import", name, bytes([0]) + content


def written_seeds():
    yield "npz", "block.yaml", YAML_INDEX.encode()
    yield "metadata", "user.yaml", USER_YAML.encode()
    yield "extra", "records.json", json.dumps(RECORDS).encode()
    deflated = io.BytesIO()
    with zipfile.ZipFile(deflated, "w", zipfile.ZIP_DEFLATED) as archive:
        for key in ("frame_number", "frame_time"):
            header = f"{{'descr': '<u2', 'fortran_order': True, 'shape': (40,), }}".ljust(117).encode() + b"\n"
            archive.writestr(key + ".npy", b"\x93NUMPY\x01\x00v\x00" + header + bytes(80))
    yield "npz", "deflated.npz", deflated.getvalue()


def shrink(database):
    """Small pages make small files, which are changed in more places and more of them in the same time."""
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA page_size=512")
    connection.execute("VACUUM")
    connection.close()


def make_indexes(folder, program, stores):
    subprocess.run([program, folder, *stores], check=True)
    for database in sorted(folder.glob("*.sqlite")):
        shrink(database)
    pattern = database.read_bytes()
    for name, sql in HOSTILE.items():
        hostile = folder / f"hostile-{name}.sqlite"
        hostile.write_bytes(pattern)
        connection = sqlite3.connect(hostile)
        connection.executescript(sql)
        connection.close()


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__.split("\n\n")[1])
    out, program, *folders = sys.argv[1:]
    out, stores = pathlib.Path(out), [file.parent for folder in folders for file in sorted(pathlib.Path(folder).glob("*/metadata.yaml"))]
    (out / "index").mkdir(parents=True, exist_ok=True)
    for target, name, content in (*read_seeds(stores), *video_seeds(stores), *written_seeds()):
        if len(content) <= MOST:
            (out / target).mkdir(exist_ok=True)
            (out / target / name).write_bytes(content)
    make_indexes(out / "index", program, stores)


if __name__ == "__main__":
    main()
