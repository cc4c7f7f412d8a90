"""One frame: its pixels and its names."""
from __future__ import annotations

from typing import Any, NamedTuple, Optional

import numpy as np


class FrameInfo(NamedTuple):
    """All that a store knows about a frame without decoding it.

    index: place in the store, from 0.
    number: the camera's own counter.
    time: when it was taken, in seconds; usually Unix time.
    chunk: which chunk holds it. frame_idx: its place in that chunk, from 0.
    pts: in the chunk's time base; None in folders of images, or if not known yet.
    keyframe: decoding can start here.
    """

    index: int  # type: ignore[assignment]
    number: int
    time: float
    chunk: int
    frame_idx: int
    pts: Optional[int]
    keyframe: bool


# They make arrays of other pixels than the frame's.
_MAKING = frozenset((np.empty_like, np.full_like, np.ones_like, np.zeros_like))


class Frame(np.ndarray):
    """The pixels of a frame as a NumPy array that knows which frame it is.

    Shape [rows, columns] of uint8 or uint16 if gray; [rows, columns, 3] in the order B, G, R if colour, unless the store was
    opened with another `pixel_format`; the stored array's own in the formats npy and bpk. The pixels are the frame's own and
    stay while it, or a view of it, lives. It can be handed to whatever takes an array.

    Parts of a frame (``frame[10:20]``), copies of it (``frame.copy()``, ``frame.astype(float)``), and a frame that is changed in
    place (``frame += 1``, ``out=frame``) still know their frame. What NumPy's ufuncs make of frames (``frame * 2``), and arrays made
    like one (``np.zeros_like``), are plain; some other functions (``np.sort``, ``np.dot``) give frames that name the one they came
    from.

    info: all that is known of the frame, a `FrameInfo`; None of arrays that were not read from a store.
    """

    info: Optional[FrameInfo]

    @staticmethod
    def of(pixels: np.ndarray, info: FrameInfo) -> "Frame":
        """A frame of these pixels, which it shares."""
        frame = pixels.view(Frame)
        frame.info = info
        return frame

    @property
    def index(self) -> int:
        """Place in the store, from 0."""
        return self._known().index

    @property
    def number(self) -> int:
        """The camera's own counter: it may jump, repeat, wrap or run backwards."""
        return self._known().number

    @property
    def time(self) -> float:
        """When the frame was taken, in seconds; usually Unix time."""
        return self._known().time

    def _known(self) -> FrameInfo:
        if self.info is None:
            raise AttributeError("this array was not read from a store")
        return self.info

    def __array_finalize__(self, source: Any) -> None:
        self.info = getattr(source, "info", None)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        result = super().__array_function__(function, types, args, kwargs)
        return np.asarray(result) if function in _MAKING else result

    def __array_wrap__(self, array: np.ndarray, context: Any = None, return_scalar: bool = False) -> Any:
        if array is self:
            return self  # what was computed was put here
        plain = np.asarray(array)
        return plain[()] if plain.ndim == 0 else plain

    def __reduce__(self) -> Any:
        make, arguments, state = super().__reduce__()  # type: ignore[misc]
        return make, arguments, (state, self.info)

    def __setstate__(self, state: Any) -> None:
        pixels, self.info = state
        super().__setstate__(pixels)
