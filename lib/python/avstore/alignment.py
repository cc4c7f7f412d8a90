"""Frames of several stores side by side."""
from __future__ import annotations

from typing import TYPE_CHECKING, Iterable, List, Literal, Optional, Sequence

import numpy as np

from . import _native
from .arguments import Path, Progress, absolute_path, native_copy_options, native_path
from .errors import paths_not_found

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .arguments import CopyOptions

_SHOWN = np.array(["match", "hold", "black"])


class Alignment:
    """Which frames of several stores belong together. `avstore.align` makes one.

    A place is where each store shows a frame; places ascend by number, or by time. With P places and S stores:

    number: [P] int64: the common frame number, or by time a count from 0.
    time: [P] float64, seconds: the least of the frames' times, or by number that of the first store with a frame.
    frame_index: [P, S] int64: where the frame is in its store; -1 where it is black.
    frame_number: [P, S] int64; 0 where it is black.
    frame_time: [P, S] float64, seconds; NaN where it is black.
    shown: [P, S] of "match", "hold" (the store's image before that) and "black".
    tolerance: seconds; by time: the one used.
    stores: paths of the S stores.
    """

    number: np.ndarray
    time: np.ndarray
    frame_index: np.ndarray
    frame_number: np.ndarray
    frame_time: np.ndarray
    shown: np.ndarray
    tolerance: float
    stores: List[str]

    def __init__(self, stores: Sequence[str], native: _native.Alignment):
        self._native = native
        self.stores = list(stores)
        columns = native.columns()
        columns["shown"] = _SHOWN[columns["shown"]]
        vars(self).update(columns)

    def __len__(self) -> int:
        """The number of places."""
        return len(self.number)

    def write(self, destinations: Iterable[Path], *, save_index: bool = True, ignore_corrupt_extra: bool = False,
              progress: Optional[Progress] = None, **options: "Unpack[CopyOptions]") -> None:
        """Write each store anew, a frame a place, so that index and number mean the same in all of them.

        destinations: as many as there are stores. options: as of `create`. Matched frames keep their time and extra data.
        ignore_corrupt_extra: leave out chunks of damaged extra data, with a warning.
        """
        self._native.write([native_path(each) for each in destinations], native_copy_options(options), save_index,
            ignore_corrupt_extra, progress)

    def write_side_by_side(self, destination: Path, *, save_index: bool = True, ignore_corrupt_extra: bool = False,
                           progress: Optional[Progress] = None, **options: "Unpack[CopyOptions]") -> None:
        """Write one store, or one video (.mp4, .mkv), of all images from left to right. options: as of `create`."""
        self._native.write_side_by_side(native_path(destination), native_copy_options(options), save_index,
            ignore_corrupt_extra, progress)

    def __repr__(self) -> str:
        return f"<avstore.Alignment: {len(self)} places of {len(self.stores)} stores>"


@paths_not_found()
def align(stores: Iterable[Path], by: Literal["number", "time"] = "number",
          policy: Literal["drop", "hold", "black"] = "drop", tolerance: Optional[float] = None,
          save_index: bool = True) -> Alignment:
    """Match the frames of stores.

    by: "number": frames of equal number (of several in a store the first); "time": frames of nearly equal time.
    policy: where a store has no frame: "drop" leaves the place out, "hold" repeats its last image, "black" shows none.
    tolerance: seconds from the first frame of a match to its last, at most; default: half the shortest of the stores'
        median frame intervals.

    Only names are read, no images; Ctrl-C does not stop it. Raises InvalidArgument (fewer than two stores, a store without frames),
    and what `open` raises.
    """
    paths = [absolute_path(each) for each in stores]
    return Alignment(paths, _native.align([native_path(each) for each in paths], by, policy,
                                          None if tolerance is None else float(tolerance), save_index))
