"""Frames of several stores side by side, by frame number."""
from __future__ import annotations

from typing import Any, Iterator, List, Optional, Tuple

import numpy as np


class StoreAligner:
    """Shows the frames of stores that belong together: those of the same number; of several in a store the first.

    stores: opened for reading, of the same image shape, else ValueError is raised.

    Where a store has no frame of a number:

    MISSING_POLICY_DROP: nobody shows it. MISSING_POLICY_BLACK: that store shows a black image.
    MISSING_POLICY_HOLD: that store shows its image before (zero-order hold); black if there is none.
    """

    MISSING_POLICY_DROP = "drop"
    MISSING_POLICY_HOLD = "zoh"
    MISSING_POLICY_BLACK = "black"

    def __init__(self, *stores: Any):
        shapes = {store.image_shape for store in stores}
        if len(shapes) != 1:
            raise ValueError(f"stores to align need images of one shape, not {sorted(shapes)}")
        self._stores = stores
        self._shape = shapes.pop()
        self._policy: Optional[str] = None
        self._numbers: np.ndarray = np.empty(0, np.int64)
        self._present: List[np.ndarray] = []

    def extract_common_frames(self, policy: str) -> np.ndarray:
        """The frame numbers that `iter_imgs` will show, ascending.

        policy: what to do where a store has no frame of a number, one of MISSING_POLICY_....
        """
        if policy not in (self.MISSING_POLICY_DROP, self.MISSING_POLICY_HOLD, self.MISSING_POLICY_BLACK):
            raise ValueError(f"there is no policy {policy!r}")
        of_each = [np.unique(np.asarray(store.get_frame_metadata()["frame_number"], np.int64)) for store in self._stores]
        self._numbers = of_each[0]
        for numbers in of_each[1:]:
            drop = policy == self.MISSING_POLICY_DROP
            self._numbers = np.intersect1d(self._numbers, numbers) if drop else np.union1d(self._numbers, numbers)
        self._present = [np.isin(self._numbers, numbers) for numbers in of_each]
        self._policy = policy
        return self._numbers

    def iter_imgs(self, return_times: bool = False) -> Iterator[Tuple]:
        """The number and a list of images, one of each store, for each of the frames that `extract_common_frames` has found.

        return_times: a list of their times too; NaN where a store has no frame.
        """
        if self._policy is None:
            raise ValueError("call extract_common_frames first")
        shown: List[Optional[np.ndarray]] = [None] * len(self._stores)
        for place, number in enumerate(self._numbers.tolist()):
            times = []
            for which, store in enumerate(self._stores):
                time = np.nan
                if self._present[which][place]:
                    shown[which], (_, time) = store.get_image(number)
                elif self._policy == self.MISSING_POLICY_BLACK:
                    shown[which] = None
                times.append(time)
            images = [self._black(store) if image is None else image for store, image in zip(self._stores, shown)]
            yield (number, images, times) if return_times else (number, images)

    def _black(self, store: Any) -> np.ndarray:
        return np.zeros(self._shape, getattr(store, "image_dtype", np.uint8))
