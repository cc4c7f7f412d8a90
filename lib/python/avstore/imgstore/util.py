"""Images, encodings and Motif's files."""
from __future__ import annotations

import datetime
import json
from typing import Any, Callable, Dict, Optional

import numpy as np

from .. import _native
from ..arguments import Path
from .extra import motif_table

# Weights of B, G and R in gray, of 2**15.
_GRAY_WEIGHTS = (3735, 19235, 9798)


def FourCC(c1: str, c2: str, c3: str, c4: str) -> int:
    """The four characters that name a codec, as a number."""
    return int.from_bytes(bytes(ord(c) & 0xFF for c in (c1, c2, c3, c4)), "little")


def _is_color(img: np.ndarray) -> bool:
    return img.ndim == 3 and img.shape[2] == 3


def _one_plane(img: np.ndarray) -> np.ndarray:
    return img[..., 0] if img.ndim == 3 and img.shape[2] == 1 else img


def ensure_color(img: np.ndarray, ensure_copy: bool = False) -> np.ndarray:
    """[rows, columns, 3] in the order B, G, R of a gray image; colour ones as they are. ensure_copy: always a new array."""
    img = np.asarray(img)
    if _is_color(img):
        return img.copy() if ensure_copy else img
    plane = _one_plane(img)
    if plane.ndim != 2:
        raise ValueError(f"an array of shape {img.shape} is no gray image")
    return np.repeat(plane[..., np.newaxis], 3, axis=2)


def ensure_grayscale(img: np.ndarray, ensure_copy: bool = False) -> np.ndarray:
    """[rows, columns] of an image in the order B, G, R, weighted as OpenCV does; others as they are.

    ensure_copy: always a new array.
    """
    img = np.asarray(img)
    if not _is_color(img):
        return img.copy() if ensure_copy else img
    blue, green, red = (img[..., channel] for channel in range(3))
    if img.dtype.kind == "f":
        weights = (img.dtype.type(weight) for weight in (0.114, 0.587, 0.299))
        return sum(plane * weight for plane, weight in zip((blue, green, red), weights))  # type: ignore[return-value]
    if img.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"colour of {img.dtype} has no gray: images are of uint8, uint16 or floats")
    gray = np.asarray(sum(plane.astype(np.uint32) * weight for plane, weight in zip((blue, green, red), _GRAY_WEIGHTS)))
    return ((gray + (1 << 14)) >> 15).astype(img.dtype)


# OpenCV's numbers of conversions to B, G, R, and the encodings they decode.
# Source: https://docs.opencv.org/4.6.0/d8/d01/group__imgproc__color__conversions.html
_ENCODINGS_OF_ENUM: Dict[int, tuple] = {
    1: ("cv_bgra",),
    3: ("cv_rgba",),
    4: ("cv_rgb",),
    8: ("cv_gray",),
    46: ("cv_bayerbg", "cv_bayerrggb"),
    47: ("cv_bayergb", "cv_bayergrbg"),
    48: ("cv_bayerrg", "cv_bayerbggr"),
    49: ("cv_bayergr", "cv_bayergbrg"),
    91: ("cv_yuv_nv12",),
    93: ("cv_yuv_nv21", "cv_yuv420sp"),
    99: ("cv_yuv_yv12", "cv_yuv420p"),
    101: ("cv_yuv_i420", "cv_yuv_iyuv"),
    108: ("cv_yuv_uyvy", "cv_yuv_uynv", "cv_yuv_y422"),
    116: ("cv_yuv_yuy2", "cv_yuv_yunv", "cv_yuv_yuyv"),
    118: ("cv_yuv_yvyu",),
}
_ENUM_OF_ENCODING = {encoding: enum for enum, encodings in _ENCODINGS_OF_ENUM.items() for encoding in encodings}

# Pylon names a mosaic by its first two pixels, OpenCV by two in the second row.
_PYLON_FORMATS = {"BayerBG": "cv_bayerrg", "Bayer_BG": "cv_bayerrg", "BayerRG": "cv_bayerbg", "Bayer_RG": "cv_bayerbg",
                  "": None, "None": None, None: None}


class ImageCodecProcessor:
    """Makes pictures of raw sensor data: [rows, columns, 3] in the order B, G, R, of the pixels that OpenCV's cvtColor makes.

    Encodings are named as in stores: "cv_bayerbg", "cv_yuv_nv12", "cv_rgb", ...

    autoconvert: a function that decodes an image of the encoding that was set; without one it hands the image back.
    """

    def __init__(self) -> None:
        self.autoconvert: Callable[[np.ndarray], np.ndarray] = _as_it_is
        self._encoding: Optional[str] = None

    @classmethod
    def from_pylon_format(cls, s: Optional[str]) -> "ImageCodecProcessor":
        """For a camera's pixel format in Pylon's words: "BayerBG", "BayerRG" or none."""
        if s not in _PYLON_FORMATS:
            raise ValueError(f"unknown pylon format: {s!r}")
        made = cls()
        made.set_default_code(_PYLON_FORMATS[s])
        return made

    @classmethod
    def from_cv2_enum(cls, e: int) -> "ImageCodecProcessor":
        """For a number such as cv2.COLOR_BayerRG2BGR."""
        made = cls()
        made.set_default_code(made.cv2_enum_to_code(e))
        return made

    @property
    def encoding(self) -> str:
        """The encoding that was set; empty without one."""
        return self._encoding or ""

    def set_default_code(self, code: Optional[str]) -> None:
        """Set the encoding. Raises ValueError for an unknown one."""
        if code and not self.check_code(code):
            raise ValueError(f"unknown image encoding: {code}")
        self._encoding = code or None
        if code:
            self.autoconvert = self.convert_to_bgr
        else:
            self.autoconvert = _as_it_is

    def check_code(self, code: str) -> bool:
        """Whether that encoding is known."""
        return code in _ENUM_OF_ENCODING

    def cv2_enum_to_code(self, enum: int) -> str:
        """The encoding that OpenCV's conversion of this number decodes. Raises KeyError for others."""
        return _ENCODINGS_OF_ENUM[int(enum)][0]

    def convert_to_bgr(self, img: np.ndarray, code: Optional[str] = None, method_enum: Optional[int] = None) -> np.ndarray:
        """The picture in `img`.

        code: its encoding, or method_enum: OpenCV's number for it; default: the encoding that was set.
        Raises ValueError without an encoding, and for arrays that cannot be of it.
        """
        if method_enum is not None:
            code = self.cv2_enum_to_code(method_enum)
        code = code or self._encoding
        if not code:
            raise ValueError("encoding must be specified")
        if not self.check_code(code):
            raise ValueError(f"unknown image encoding: {code}")
        return _native.decode_sensor(np.asarray(img), code)

    def __repr__(self) -> str:
        return f"<ImageCodecProcessor({self._encoding})>"


def _as_it_is(img: np.ndarray) -> np.ndarray:
    return img


class JsonCustomEncoder(json.JSONEncoder):
    """JSON of NumPy's numbers and arrays, complex numbers (as two), sets, bytes and times as well."""

    def default(self, o: Any) -> Any:
        if isinstance(o, (complex, np.complexfloating)):
            return [float(o.real), float(o.imag)]
        if isinstance(o, (np.ndarray, np.generic)):
            return o.tolist()
        if isinstance(o, (set, frozenset)):
            return list(o)
        if isinstance(o, bytes):
            return o.decode()
        if isinstance(o, (datetime.datetime, datetime.date)):
            return o.isoformat()
        return super().default(o)


def motif_get_parse_true_fps(store: Any, default: Optional[float] = 25.0, hwardware_only: bool = False) -> float:
    """Frames per second that the camera was set to, as Motif noted in the store's metadata.

    default: what to return if it did not; None: measured from the frames' times.
    hwardware_only: only if frames were triggered, not if the camera ran freely.
    """
    metadata = store.user_metadata
    for key in ("hwframerate", "motifptpframerate"):
        if key in metadata:
            return float(metadata[key])
    free_running = metadata.get("acquisitionframerateenable") is True and metadata.get("acquisitionframerate")
    if free_running and not hwardware_only:
        return float(metadata["acquisitionframerate"])
    if default is not None:
        return default
    intervals = np.diff(store.get_frame_metadata()["frame_time"])
    return float(1 / np.median(intervals)) if intervals.size and np.median(intervals) > 0 else float("nan")


def motif_extra_data_json_to_df(store: Any, path: Path) -> Any:
    """The records of one .extra_data.json as a pandas.DataFrame, in order of frames; None if there is none.

    Padding (negative frame numbers) is left out. store: not needed. Without pandas a dict of arrays.
    Raises ValueError if they are damaged.
    """
    table = motif_table(path, ".extra_data.json")
    return table if len(table["frame_index"]) else None


def motif_extra_data_h5_to_df(store: Any, path: Path) -> Any:
    """The samples of one .extra_data.h5 as a pandas.DataFrame: the columns, the camera's fields, sample_delay.

    store: not needed. Without pandas a dict of arrays. Raises ValueError if the file is damaged.
    """
    return motif_table(path, ".extra_data.h5")


def motif_extra_data_h5_attrs(path: Path) -> Dict[str, Any]:
    """What a .extra_data.h5 says of its datasets: their names as "_datasets", and a dict of attributes of each.

    Takes the package h5py.
    """
    import h5py

    with h5py.File(path, "r") as file:
        names = file.attrs["datasets"]
        names = names.decode("ascii") if isinstance(names, bytes) else names
        attributes = {name: dict(file[name].attrs) for name in file}
    return {**attributes, "_datasets": [name.strip() for name in names.split(",")]}
