"""Extra data as tables."""
from __future__ import annotations

import os
import tempfile
from typing import Any, Dict, Tuple

from .. import _native
from ..arguments import Path, native_path, path_text
from ..errors import Corrupt
from ..tables import table_of
from .constants import STORE_MD_FILENAME
from .files import require_file

# What ties a record to its frame; behind the record's own keys.
_TIED = ("frame_time", "frame_number", "frame_index")

# A store to put one file of extra data into.
_METADATA = """\
__store:
  class: VideoImgStore
  format: avc1/mp4
  imgshape: [2, 2]
  version: 2
"""


def _read(folder: str, ignore_corrupt: bool) -> Tuple[Dict[str, Any], Dict[str, float]]:
    try:
        return _native.read_extra(native_path(folder), ignore_corrupt)
    except Corrupt as error:
        raise ValueError(str(error)) from error


def has_records(folder: str) -> bool:
    """Whether a store has extra data, be they damaged."""
    try:
        return len(_read(folder, False)[0]["frame_index"]) > 0
    except ValueError:
        return True


def sample_rates(folder: str) -> Dict[str, float]:
    """Samples a second of Motif's data sets, by name."""
    return _read(folder, False)[1]


def extra_table(folder: str, ignore_corrupt: bool) -> Any:
    """All records of a store as a pandas.DataFrame; without pandas a dict of arrays. Raises ValueError if they are damaged."""
    columns, rates = _read(folder, ignore_corrupt)
    ordered = [*(name for name in columns if name not in _TIED), *_TIED]
    return table_of({name: columns[name] for name in ordered}, rates)


def motif_table(path: Path, extension: str) -> Any:
    """The same of one of Motif's files, wherever it lies; numbers as the chunk's index beside it says, if there is one."""
    file = os.path.abspath(path_text(path))
    require_file(file)  # what is not there is said here
    stem = file[:-len(extension)] if file.endswith(extension) else file
    with tempfile.TemporaryDirectory(prefix="avstore-") as folder:
        for name, text in ((STORE_MD_FILENAME, _METADATA), ("000000.mp4", "")):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as made:
                made.write(text)
        os.symlink(file, os.path.join(folder, "000000" + extension))
        for index in (stem + ".npz", os.path.join(stem, "index.npz")):
            if os.path.exists(index):
                os.symlink(index, os.path.join(folder, "000000.npz"))
                break
        try:
            return extra_table(folder, False)
        except ValueError as error:
            raise ValueError(str(error).replace(os.path.join(folder, "000000" + extension), file)) from error
