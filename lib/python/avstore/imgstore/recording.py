"""The writing side of a store, and the names of formats."""
from __future__ import annotations

import os
import re
import tempfile
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from ..arguments import listed, number_type, whole
from ..store import Store
from ..tools import Format, empty, formats
from ..writer import Writer, append, create
from .constants import STORE_MD_FILENAME, STORE_MD_KEY
from .files import replacing
from .util import ImageCodecProcessor, ensure_color, ensure_grayscale

ALIASES = {"mjpeg": "mjpeg/avi"}
# Formats that decode raw sensor data while they are written.
DECODING = {"png+color": "png", "tif+color": "tif", "jpg+color": "jpg", "bmp+color": "bmp"}
# Formats that hold arrays of any shape.
_ARRAYS = ("npy", "bpk")


def known_format(name: Optional[str]) -> Optional[Format]:
    plain = DECODING.get(name, name)  # type: ignore[arg-type]
    plain = ALIASES.get(plain, plain)  # type: ignore[arg-type]
    return next((each for each in formats() if each.name == plain), None)


def _is_color_shape(shape: Sequence[int]) -> bool:
    return len(shape) == 3 and shape[2] == 3


class Recording:
    """A store that is written.

    It is made at once, without frames, and says what it is; then it is gone on with. A writer alone waits for the first frame.
    """

    def __init__(self, path: str, format: str, imgshape: Sequence[int], imgdtype: Any, metadata: Optional[dict],
                 encoding: Optional[str], options: Dict[str, Any]):
        self._path = path
        self.format = DECODING.get(format, format)
        self._shape = tuple(whole(extent, "imgshape") for extent in imgshape)
        self._dtype = number_type(imgdtype, "imgdtype").name
        self._encoding = encoding or None
        self._decoder = ImageCodecProcessor()
        if self.format != format and encoding:
            self._decoder.set_default_code(encoding)
            self._encoding = None
            self._shape = (*self._shape[:2], 3)
        self.image_shape = (*self._shape[:2], 3) if self._encoding else self._shape
        if self._shape[2:] == (1,) and not self._encoding and self.format not in _ARRAYS:
            self._shape = self._shape[:2]  # as pictures of one channel are read
        self.user_metadata = {key: value for key, value in (metadata or {}).items() if key != STORE_MD_KEY}
        self._options = dict(options, metadata=self.user_metadata, encoding=self._encoding,
                             color=_is_color_shape(self._shape) if self._has_color_option else None)
        self._chunk_size = options["chunk_size"]
        self._size = self._shape[:2]  # of the image added last
        self._closed = False
        self._forget()
        self._writer: Optional[Writer] = None
        self._make_store()

    def _make_store(self) -> None:
        os.makedirs(os.path.dirname(os.path.abspath(self._path)), exist_ok=True)
        if self._options.get("overwrite") and os.path.exists(self._path):
            self._try_encoder()
        create(self._path, self.format, **self._options).close()
        _state_images(self._path, self._shape, self._dtype)
        with Store(self._path) as store:
            self.info = store.info
            self.created = store.created
        self.writer()

    def _try_encoder(self) -> None:
        """Before a store is replaced: one that does not open must not cost its frames."""
        plain = known_format(self.format)
        if plain is not None and plain.video:
            with tempfile.TemporaryDirectory() as folder, \
                    create(os.path.join(folder, "store"), self.format, **self._options) as trial:
                trial.add(self._as_stored(np.zeros(self._shape, self._dtype)), 0, 0.0)

    @property
    def _has_color_option(self) -> bool:
        """Shape and kind of sensor data and of arrays follow from the frames."""
        return self._encoding is None and self.format not in _ARRAYS and \
            (len(self._shape) == 2 or _is_color_shape(self._shape))

    def _forget(self) -> None:
        self.frame_count = 0
        self.chunk_count = 0
        self._in_chunk = 0
        self._number_span: Tuple[Any, Any] = (np.nan, np.nan)
        self._time_span: Tuple[Any, Any] = (np.nan, np.nan)
        self.last: Optional[Tuple[Any, Any]] = None

    def span(self, what: str) -> Tuple[Any, Any]:
        return self._number_span if what == "number" else self._time_span

    @property
    def image_dtype(self) -> np.dtype:
        return np.dtype(self._dtype)

    def writer(self) -> Writer:
        if self._closed:
            raise ValueError(f"{self._path}: the store is closed")
        if self._writer is None:
            self._writer = append(self._path, **self._options)
        return self._writer

    def add(self, image: Any, number: Any, time: float) -> None:
        stored = self._as_stored(np.asarray(image))
        if not self.writer().add(stored, number, time):
            return  # dropped, as when_full asks for
        self._size = stored.shape[:2]
        self._note([number], [time])
        self._in_chunk += 1
        if self._in_chunk == self._chunk_size:
            self._end_chunk()

    def _end_chunk(self) -> None:
        self._in_chunk = 0
        self.chunk_count += 1

    def _as_stored(self, image: np.ndarray) -> np.ndarray:
        """Gray and colour by the store's shape, whichever is handed in."""
        image = self._decoder.autoconvert(image)
        if self.format in _ARRAYS or self._encoding:
            return image
        if image.ndim == 3 and image.shape[2] == 1:
            image = image[..., 0]
        if not self._has_color_option:
            return image
        is_color = self.format == "ppm" or (self.format != "pgm" and _is_color_shape(self._shape))
        if not is_color:
            return ensure_grayscale(image)
        return ensure_color(image) if image.ndim == 2 else image

    def insert(self, file: str, numbers: Any, times: Any, move: bool) -> None:
        self.writer().insert_chunk(file, numbers, times, move)
        if self._in_chunk > 0:
            self._end_chunk()
        self._end_chunk()
        self._note(listed(np.asarray(numbers)), listed(np.asarray(times, np.float64)))

    def _note(self, numbers: List, times: List) -> None:
        if numbers:
            self._number_span = _widened(self._number_span if self.frame_count else (), numbers)
            self._time_span = _widened(self._time_span if self.frame_count else (), times)
            self.last = numbers[-1], times[-1]
            self.frame_count += len(numbers)

    def empty(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        empty(self._path)
        self._forget()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._writer is not None:
            self._writer.close()
        if self._in_chunk > 0:
            self._end_chunk()
        if self.frame_count == 0:
            _state_images(self._path, self._shape, self._dtype)
        elif self.format in ("pgm", "ppm"):
            _state_images(self._path, (*self._size, *self._shape[2:]))


def _widened(span: Tuple, values: List) -> Tuple[Any, Any]:
    everything = (*span, *values)
    return min(everything), max(everything)


def _state_images(path: str, shape: Sequence[int], dtype: Optional[str] = None) -> None:
    """Put into metadata.yaml what images the store was made for, where its frames do not tell."""
    file = os.path.join(path, STORE_MD_FILENAME)
    with open(file, encoding="utf-8") as metadata:
        text = metadata.read()
    extents = "".join(f"  - {extent}\n" for extent in shape)
    text = re.sub(r"^  imgshape:\n(  - \d+\n)+", f"  imgshape:\n{extents}", text, count=1, flags=re.MULTILINE)
    if dtype is not None:
        text = re.sub(r"^  imgdtype: \w+$", f"  imgdtype: {dtype}", text, count=1, flags=re.MULTILINE)
    with replacing(file) as name, open(name, "w", encoding="utf-8") as fresh:
        fresh.write(text)
        fresh.flush()
        os.fsync(fresh.fileno())
