"""The reading side of a store."""
from __future__ import annotations

import numbers
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from ..arguments import Integer, listed, whole
from ..errors import Corrupt, EndOfStore, NotFound, StorageError
from ..frame import Frame, FrameInfo
from ..store import Store, StoreInfo
from ..tools import reindex
from .constants import FRAME_MD
from .extra import extra_table, has_records, sample_rates

Image = np.ndarray
Read = Tuple[Image, Tuple[int, float]]


def _user_metadata(store: Store) -> Dict[str, Any]:
    """With YAML's dates, times, bytes and sets as Python's, if the package yaml is there."""
    try:
        import yaml  # type: ignore[import]
    except ImportError:
        return store.metadata
    return yaml.safe_load(store.info.metadata_yaml) or {}


class Playback:
    """A store that is read: its engine, and the frame that was read last."""

    def __init__(self, path: str, opened: Optional[Store] = None):
        self._path = path
        self._raw = False
        self._store: Optional[Store] = opened or Store(path)
        self._take_facts(self._store)
        self.last: Optional[FrameInfo] = None
        self._damaged: Optional[int] = None  # the index of a frame that should have been the next one

    def _take_facts(self, store: Store) -> None:
        self.info: StoreInfo = store.info
        self.user_metadata = _user_metadata(store)
        self.created = store.created
        self._chunks: Optional[List[Tuple[int, int, int]]] = None

    @property
    def store(self) -> Store:
        """Opens it anew after close()."""
        if self._store is None:
            self._store = Store(self._path, raw_sensor=self._raw)
        return self._store

    def close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None

    def read_raw(self) -> None:
        self._raw = True
        self.close()

    def renumber(self) -> None:
        self.close()
        reindex(self._path)
        self._take_facts(self.store)

    # --- what the store says ---

    @property
    def frame_count(self) -> int:
        return self.info.frame_count

    def span(self, what: str) -> Tuple[Any, Any]:
        """Least and greatest "number" or "time" of all frames."""
        ends = getattr(self.info, f"{what}_min"), getattr(self.info, f"{what}_max")
        return (np.nan, np.nan) if None in ends else ends

    def runs(self) -> List[Tuple[int, int, int]]:
        """Of each chunk that holds frames: its number, and the places in the store of its first frame and beyond its last."""
        if self._chunks is None:
            self._chunks = []
            begin = 0
            while begin < self.frame_count:
                end = self._end_of_chunk(begin)
                self._chunks.append((self.store.find(index=begin).chunk, begin, end))
                begin = end
        return self._chunks

    def _end_of_chunk(self, begin: int) -> int:
        """The place after the last frame of the chunk that begins there, by bisection; usually at the first look."""
        chunk = self.store.find(index=begin).chunk
        inside, outside = begin, self.frame_count
        look = begin + self.info.chunk_size - 1
        while outside - inside > 1:
            look = look if inside < look < outside else (inside + outside) // 2
            if self.store.find(index=look).chunk == chunk:
                inside = look
                look += 1  # where a full chunk is followed by another
            else:
                outside = look
        return outside

    # --- frames ---

    @property
    def next_index(self) -> int:
        if self._damaged is not None:
            index = self._damaged + 1
        else:
            index = 0 if self.last is None else self.last.index + 1
        if index >= self.frame_count:
            raise EndOfStore(f"{self._path}: there is no frame after the last one")
        return index

    def _hand_out(self, frame: Frame) -> Read:
        self.last = frame.info
        self._damaged = None
        assert self.last is not None
        return frame.view(np.ndarray), (self.last.number, self.last.time)

    def read_next(self) -> Read:
        index = self.next_index
        try:
            return self._hand_out(self.store[index])
        except (Corrupt, NotFound, StorageError):
            self._damaged = index
            raise

    def read_index(self, index: Integer) -> Read:
        place = whole(index, "frame_index")
        if place < 0:
            raise ValueError(f"{self._path}: seeking to negative index not supported: {place}")
        return self._read_found(index=place)

    def read_number(self, number: Any, nearest: bool) -> Read:
        return self._read_found(number=self._sought(number, nearest), nearest=nearest)

    def read_nearest(self, time: float) -> Read:
        return self._read_found(time=time)

    def _sought(self, number: Any, nearest: bool) -> int:
        try:
            rounded = round(float(number)) if nearest and not isinstance(number, numbers.Integral) else number
            return whole(rounded, "frame_number")
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"{self._path}: frame #{number} not found in any chunk") from None

    def _read_found(self, **sought: Any) -> Read:
        try:
            index = self.store.find(**sought).index
        except (NotFound, EndOfStore) as error:
            raise ValueError(str(error)) from None
        # What goes wrong from here on, such as a file that is gone, is no missing frame.
        return self._hand_out(self.store[index])

    def metadata(self) -> Dict[str, List]:
        names = self.store.frames
        return dict(zip(FRAME_MD, (listed(names.number), listed(names.time))))

    # --- extra data ---

    def has_extra_data(self) -> bool:
        return has_records(self._path)

    def extra_data(self, ignore_corrupt: bool) -> Any:
        return extra_table(self._path, ignore_corrupt)

    def sample_rates(self) -> Dict[str, float]:
        return sample_rates(self._path)
