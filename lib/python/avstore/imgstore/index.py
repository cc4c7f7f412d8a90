"""Where frames are: numbers and times of all frames of a store, in an SQLite database."""
from __future__ import annotations

import contextlib
import itertools
import logging
import os
import pathlib
import sqlite3
import zipfile
from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple, Union

import numpy as np

from ..arguments import Path, path_text
from .constants import FRAME_MD
from .files import replacing, require_file, require_own_database

_log = logging.getLogger("imgstore.index")

NOT_FOUND = (-1, -1)

# Number, path of its index file without the extension, numbers and times of its frames.
_Chunk = Tuple[int, str, np.ndarray, np.ndarray]

_TABLES = """
CREATE TABLE frames (chunk INTEGER, frame_idx INTEGER, frame_number INTEGER, frame_time REAL);
CREATE TABLE chunks (chunk INTEGER, chunk_path TEXT);
CREATE TABLE index_information (name TEXT, value TEXT);
CREATE TABLE summary (name TEXT, value REAL);
"""


def _read_npz(path: str) -> Dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in FRAME_MD}
    except (zipfile.BadZipFile, ValueError, KeyError) as error:
        raise OSError(f"{path}: no index of frame numbers and times: {error}") from error


def _read_yaml(path: str) -> Dict[str, np.ndarray]:
    import yaml  # type: ignore[import]
    try:
        with open(path, encoding="utf-8") as file:
            values = yaml.safe_load(file)
        return {name: np.asarray(values[name]) for name in FRAME_MD}
    except (yaml.YAMLError, TypeError, KeyError) as error:
        raise OSError(f"{path}: no index of frame numbers and times: {error}") from error


def _read_chunk_index(path: str) -> Dict[str, np.ndarray]:
    for extension, read in ((".npz", _read_npz), (".yaml", _read_yaml)):
        if os.path.exists(path + extension):
            require_file(path + extension)
            return read(path + extension)
    raise OSError(f"{path}: there is neither .npz nor .yaml with frame numbers and times")


def _read_chunks(chunk_n_and_chunk_paths: Iterable[Tuple[int, str]]) -> Iterator[_Chunk]:
    for chunk, path in chunk_n_and_chunk_paths:
        try:
            columns = _read_chunk_index(path)
        except OSError as error:
            _log.warning("chunk %s is left out: %s", chunk, error)
            continue
        yield (chunk, path, *(columns[name] for name in FRAME_MD))  # type: ignore[misc]


def _plain(value: Any) -> Union[int, float]:
    """A number as SQLite takes it; NumPy's would be stored and compared as bytes."""
    try:
        as_float = float(value)
        whole = int(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{value!r} is no number to look for") from None
    if whole != value:
        return as_float
    return whole if -2**63 <= whole < 2**63 else as_float


class ImgStoreIndex:
    """Numbers and times of all frames, by chunk.

    db: a connection to a database that has imgstore's tables; avstore's own databases do, and so do imgstore's.
    Raises OSError if its version is not 1.

    frame_count: how many frames there are.
    frame_min, frame_max: least and greatest frame number; NaN without frames.
    frame_time_min, frame_time_max: least and greatest time, in seconds; 0 without frames.
    """

    VERSION = "1"

    def __init__(self, db: sqlite3.Connection):
        self._conn = db
        version = self._one("SELECT value FROM index_information WHERE name = 'version'")
        if version != self.VERSION:
            raise OSError(f"the index has version {version}, not {self.VERSION}")
        self.frame_count: int = self._one("SELECT COUNT(*) FROM frames")
        self._chunks = tuple(row[0] for row in db.execute("SELECT DISTINCT chunk FROM chunks ORDER BY chunk"))
        self.frame_min, self.frame_max = self._span("frame_number", np.nan)
        self.frame_time_min, self.frame_time_max = self._span("frame_time", 0.0)

    def _one(self, query: str, *values: Any) -> Any:
        row = self._conn.execute(query, values).fetchone()
        return None if row is None else row[0]

    def _span(self, what: str, when_empty: float) -> Tuple[Any, Any]:
        if self.frame_count == 0:
            return when_empty, when_empty
        # The summary says it at once, but says numbers as floats.
        name = {"frame_number": "frame", "frame_time": "frame_time"}[what]
        found = tuple(self._one("SELECT value FROM summary WHERE name = ?", f"{name}_{end}") for end in ("min", "max"))
        if None in found or any(abs(value) >= 2**53 for value in found):
            found = self._conn.execute(f"SELECT MIN({what}), MAX({what}) FROM frames").fetchone()
        kind = int if what == "frame_number" else float
        return kind(found[0]), kind(found[1])

    @classmethod
    def create_database(cls, conn: sqlite3.Connection) -> None:
        """Make the tables of an index without frames."""
        conn.executescript(_TABLES)
        conn.execute("INSERT INTO index_information VALUES ('version', ?)", (cls.VERSION,))
        conn.commit()

    @classmethod
    def new_from_file(cls, path: Path) -> "ImgStoreIndex":
        """Open a store's .index.sqlite, which is not changed. Raises FileNotFoundError if there is none, OSError for a link."""
        if not os.path.isfile(path):
            raise FileNotFoundError(f"{path_text(path)}: there is no index")
        require_own_database(path_text(path))
        address = pathlib.Path(path_text(path)).resolve().as_uri() + "?mode=ro"
        try:
            return cls(sqlite3.connect(address, uri=True, check_same_thread=False))
        except sqlite3.Error as error:
            raise OSError(f"{path_text(path)}: {error}") from error

    @classmethod
    def new_from_chunks(cls, chunk_n_and_chunk_paths: Iterable[Tuple[int, str]]) -> "ImgStoreIndex":
        """Read the .npz or .yaml of each chunk.

        chunk_n_and_chunk_paths: numbers of chunks, and the paths of their index files without the extension.
        A chunk without one is left out, with a warning to the log.
        """
        return cls.new_from_frames(_read_chunks(sorted(chunk_n_and_chunk_paths)))

    @classmethod
    def new_from_frames(cls, chunks: Iterable[_Chunk]) -> "ImgStoreIndex":
        """Of what is known already: of each chunk its number, the path of its index file, its frames' numbers and times."""
        db = sqlite3.connect(":memory:", check_same_thread=False)
        cls.create_database(db)
        for chunk, path, numbers, times in chunks:
            if len(numbers):
                db.executemany("INSERT INTO frames VALUES (?, ?, ?, ?)",
                               zip(itertools.repeat(chunk), itertools.count(), numbers.tolist(), times.tolist()))
                db.execute("INSERT INTO chunks VALUES (?, ?)", (chunk, path))
        for name, what in (("frame", "frame_number"), ("frame_time", "frame_time")):
            for end in ("min", "max"):
                db.execute(f"INSERT INTO summary SELECT '{name}_{end}', {end}({what}) FROM frames")
        db.commit()
        return cls(db)

    @property
    def chunks(self) -> Tuple[int, ...]:
        """Numbers of the chunks that hold frames, ascending."""
        return self._chunks

    def to_file(self, path: Path) -> None:
        """Save a copy of the database, in place of a file that is there."""
        with replacing(path_text(path)) as fresh, contextlib.closing(sqlite3.connect(fresh)) as copy:
            self._conn.backup(copy)

    def get_all_metadata(self) -> Dict[str, List]:
        """Lists frame_number and frame_time of all frames in order."""
        return self._metadata("SELECT frame_number, frame_time FROM frames ORDER BY rowid")

    def get_chunk_metadata(self, chunk_n: int) -> Dict[str, List]:
        """The same of one chunk."""
        return self._metadata("SELECT frame_number, frame_time FROM frames WHERE chunk = ? ORDER BY rowid", _plain(chunk_n))

    def _metadata(self, query: str, *values: Any) -> Dict[str, List]:
        rows = self._conn.execute(query, values).fetchall()
        return {name: [row[column] for row in rows] for column, name in enumerate(FRAME_MD)}

    def find_chunk(self, what: str, value: Any) -> Tuple[int, int]:
        """Chunk and place in it of the first frame whose `what` is `value`; (-1, -1) if there is none.

        what: "frame_number", "frame_time" or "index", the place in the store.
        """
        if what == "index":
            place = _plain(value)
            if place != int(place) or not 0 <= place < 2**63:
                return NOT_FOUND
            place = int(place)
            return self._place("ORDER BY rowid LIMIT 1 OFFSET ?", place)
        return self._place(f"WHERE {_column(what)} = ? ORDER BY rowid LIMIT 1", _plain(value))

    def find_chunk_nearest(self, what: str, value: Any) -> Tuple[int, int]:
        """The same of the frame whose frame_number or frame_time is nearest to `value`, the first of several."""
        return self._place(f"ORDER BY ABS(? - {_column(what)}), rowid LIMIT 1", _plain(value))

    def _place(self, condition: str, value: Union[int, float]) -> Tuple[int, int]:
        row: Optional[Tuple[int, int]] = self._conn.execute(
            f"SELECT chunk, frame_idx FROM frames {condition}", (value,)).fetchone()
        return NOT_FOUND if row is None else (row[0], row[1])


def _column(what: str) -> str:
    if what not in FRAME_MD:
        raise ValueError(f"frames are not found by {what!r}, but by {' or '.join(FRAME_MD)}")
    return what
