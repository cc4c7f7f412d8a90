"""What users hand in, made into what the extension module takes."""
from __future__ import annotations

import base64
import datetime
import json
import math
import numbers
import operator
import os
from fractions import Fraction
from typing import AbstractSet, Any, Callable, List, Literal, Mapping, Optional, SupportsFloat, SupportsIndex, Tuple, TypedDict, Union, cast

import numpy as np

from .errors import InvalidArgument

# A number without a fraction: an int, or one of NumPy's or a float with that value.
Integer = Union[SupportsIndex, SupportsFloat]
Path = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
# Frames per second.
Rate = Union[int, float, str, Fraction, Tuple[int, int]]
# Told of frames done and to do (0: unknown); returning False stops the work.
Progress = Callable[[int, int], Optional[bool]]
Timing = Literal["nominal", "real"]
WhenFull = Literal["block", "drop", "fail"]
Durability = Literal["process", "power"]

INT64_MIN, INT64_MAX = -2**63, 2**63 - 1


class EncoderOptions(TypedDict, total=False):
    """How video is compressed. The defaults suit a live rig: fast presets, no look-ahead, no B-frames."""

    encoder: str  # "auto", "hardware", "software", "nvenc", "vaapi", "qsv" or libav's name, such as "libx264"
    device: str  # of hardware: a render node, or the number of a GPU; default: the driver's first
    quality: float  # 0 (smallest files) to 100 (best picture); default 75
    preset: str  # the encoder's own name for its trade of speed against size
    keyframe_interval: int  # frames from one keyframe to the next; default: about half a second
    b_frames: int  # between others; default 0
    frame_rate: Rate  # nominal, frames per second; default: the source's, else 25
    threads: int  # default: a fair share of the machine's cores
    options: Mapping[str, object]  # any of libavcodec or the encoder, by their libav names


class StoreOptions(EncoderOptions, total=False):
    """How a store is written, besides its format."""

    chunk_size: int  # frames a chunk; default 10000 for video, 200 for folders of images
    timing: Timing  # what timestamps video chunks carry: evenly spaced, or the frames' times; default "nominal"
    overwrite: bool  # replace a store that is there already
    metadata: Mapping[str, Any]  # the user's own
    encoding: str  # of raw sensor data, such as "cv_bayerbg"
    created: Union[datetime.datetime, str]  # UTC if it has no zone; default: now
    timezone: str  # IANA name; default: this machine's
    color: bool  # whether frames are colour; default: as the first is
    queue_frames: int  # at most this many wait to be encoded; default 64
    queue_bytes: int  # and at most so many bytes, or one frame; default 256 MiB
    durability: Durability  # what durable frames survive: that this process is killed, or a power cut; default "process"


class RecordingOptions(StoreOptions, total=False):
    """How frames are recorded that are added one by one."""

    when_full: WhenFull  # what becomes of a frame for which there is no room; default "block"


class CopyOptions(StoreOptions, total=False):
    """How a store is written whose frames come from elsewhere."""

    format: str  # see formats(); default "avc1/mp4"


def integer(value: Integer, what: str, bits: int = 64) -> int:
    """An int of any kind of number that has no fraction and fits so many bits."""
    number = whole(value, what)
    if not -2**(bits - 1) <= number < 2**(bits - 1):
        raise InvalidArgument(f"{what} cannot be {number}")
    return number


def whole(value: Integer, what: str) -> int:
    """An int, however large, of any kind of number that has no fraction. True and False are no numbers here."""
    if isinstance(value, bool) or getattr(value, "dtype", None) == np.bool_:
        raise TypeError(f"{what} must be a whole number, not a bool")
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        pass
    if isinstance(value, (numbers.Real, np.ndarray)):
        number: Any = float(value) if isinstance(value, np.ndarray) else value
        if math.isfinite(number) and int(number) == number:
            return int(number)
        raise InvalidArgument(f"{what} is {value}, which is no whole number")
    raise TypeError(f"{what} must be a whole number, not {type(value).__name__}")


def number_type(dtype: Any, what: str) -> np.dtype:
    """The type of elements that an image can have: TypeError for one of no numbers."""
    made = np.dtype(dtype)
    if made.kind not in "biufc":
        raise TypeError(f"{what} {made} is no type of numbers")
    return made


def array_of(values: Any, what: str) -> np.ndarray:
    """As np.asarray, but of objects (Python's, or what pandas makes of its Int64 and boolean) the whole numbers or bools they are.

    A tuple of one array, which np.nonzero gives, is that array.
    """
    if isinstance(values, tuple) and len(values) == 1 and np.ndim(values[0]) == 1:
        values = values[0]
    array = np.asarray(values)
    if array.dtype.kind != "O" or array.ndim != 1:
        return array
    if array.size and all(isinstance(value, (bool, np.bool_)) for value in array):
        return array.astype(bool)
    return np.array([integer(value, f"each of the {what}") for value in array], np.int64)


def integers(values: Any, what: str) -> np.ndarray:
    """Whole numbers of any kind as int64. A mask (of bool) stands for the places where it is True."""
    array = array_of(values, what)
    if array.ndim != 1:
        raise InvalidArgument(f"{what} have {array.ndim} dimensions, not one")
    if array.size == 0:
        return np.empty(0, np.int64)
    if array.dtype.kind == "b":
        return np.flatnonzero(array)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{what} must be whole numbers, not {array.dtype}")
    with np.errstate(invalid="ignore"):
        whole = array.astype(np.int64)
    if not np.array_equal(whole, array):
        raise InvalidArgument(f"{what} must be whole numbers of at most 64 bits")
    return whole


def listed(array: np.ndarray) -> List[Any]:
    """The elements of an array of one dimension, as Python's own objects. NumPy 2 states no list as the type of tolist()."""
    return cast(List[Any], array.tolist())


def path_text(path: Path) -> str:
    """As Python's own functions take and give paths: bytes that are no text are kept as surrogates."""
    text = os.fsdecode(path)
    if "\0" in text:
        raise InvalidArgument(f"{text!r} is no path: it holds a zero")
    return text


def absolute_path(path: Path) -> str:
    """For what is used later, too: it leads to the same place whatever becomes of the current folder."""
    text = path_text(path)
    if not text or os.path.isabs(text):
        return text
    short = os.path.abspath(text)
    # They differ where ".." follows a link.
    return short if os.path.realpath(short) == os.path.realpath(text) else os.path.join(os.getcwd(), text)


def native_path(path: Path) -> bytes:
    """A path for the extension module."""
    return os.fsencode(path_text(path))


def fraction(rate: Rate) -> Tuple[int, int]:
    """Frames per second as numerator and denominator; floats by the digits they are written with."""
    try:
        if isinstance(rate, tuple):
            exact = Fraction(*rate)
        elif isinstance(rate, numbers.Rational):
            exact = Fraction(int(rate.numerator), int(rate.denominator))
        else:
            exact = Fraction(str(rate))
    except (ValueError, TypeError, ZeroDivisionError):
        raise InvalidArgument(f"{rate!r} is no frame rate") from None
    if exact <= 0 or max(exact.numerator, exact.denominator) > 2**31 - 1:
        raise InvalidArgument(f"{rate!r} is no frame rate: it must be positive, and exact in 32 bits")
    return exact.numerator, exact.denominator


def _utc_text(moment: Union[datetime.datetime, str]) -> str:
    if isinstance(moment, str):
        moment = datetime.datetime.fromisoformat(moment)
    if moment.tzinfo is not None:
        moment = moment.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    return moment.isoformat()


def plain(value: Any) -> Any:
    """NumPy's values as Python's, for json."""
    if isinstance(value, np.datetime64):
        return value.astype("datetime64[us]").item()  # of nanoseconds NumPy would make a number
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return (value.astype("datetime64[us]") if value.dtype.kind == "M" else value).tolist()
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} cannot be kept in a store")


def json_text(record: Mapping[str, Any]) -> str:
    return json.dumps(record, default=plain)


def _yaml_string(text: str) -> str:
    def escaped(character: str) -> str:
        if character in '"\\':
            return "\\" + character
        if character.isprintable():
            return character
        return f"\\U{ord(character):08x}"

    return '"' + "".join(map(escaped, text)) + '"'


def _yaml_float(value: float) -> str:
    if not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    # YAML 1.1 takes 1e-05 for a string.
    mantissa, exponent, power = repr(value).partition("e")
    return (mantissa if "." in mantissa else mantissa + ".0") + exponent + power


def _yaml_moment(moment: datetime.datetime) -> str:
    offset = moment.utcoffset()
    if offset is not None and offset % datetime.timedelta(minutes=1):
        moment = moment.astimezone(datetime.timezone.utc)  # YAML has no seconds in zones
    return moment.isoformat(" ")


def _yaml_set(values: AbstractSet[Any]) -> str:
    return "!!set {" + ", ".join(sorted(f"{yaml_text(value)}: null" for value in values)) + "}"


def yaml_text(value: Any) -> str:
    """Metadata as YAML in flow style, of the types that PyYAML's safe_dump writes."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _yaml_string(value)
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return _yaml_float(float(value))
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{yaml_text(key)}: {yaml_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(yaml_text, value)) + "]"
    if isinstance(value, datetime.datetime):
        return _yaml_moment(value)
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return f'!!binary "{base64.b64encode(value).decode("ascii")}"'
    if isinstance(value, (set, frozenset)):
        return _yaml_set(value)
    return yaml_text(plain(value))


_CONVERTED: dict[str, Callable[[Any], Any]] = {
    "encoder": str,
    "device": str,
    "quality": float,
    "preset": str,
    "keyframe_interval": lambda value: integer(value, "keyframe_interval"),
    "b_frames": lambda value: integer(value, "b_frames"),
    "frame_rate": fraction,
    "threads": lambda value: integer(value, "threads"),
    "options": lambda value: {str(key): _option_text(item) for key, item in value.items()},
}
_CONVERTED_BY_WRITER: dict[str, Callable[[Any], Any]] = {
    **_CONVERTED,
    "format": str,
    "chunk_size": lambda value: integer(value, "chunk_size"),
    "timing": str,
    "overwrite": bool,
    "metadata": yaml_text,
    "encoding": str,
    "created": _utc_text,
    "timezone": str,
    "color": bool,
    "queue_frames": lambda value: integer(value, "queue_frames"),
    "queue_bytes": lambda value: integer(value, "queue_bytes"),
    "when_full": str,
    "durability": str,
    "pixel_format": str,
}
_NATIVE_NAMES = {"metadata": "metadata_yaml", "created": "created_utc", "timezone": "timezone_local"}


def _option_text(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _native(given: Mapping[str, Any], converted: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
    unknown = given.keys() - converted.keys()
    if unknown:
        raise TypeError(f"there is no option {sorted(unknown)[0]!r}; there are {', '.join(sorted(converted))}")
    return {_NATIVE_NAMES.get(name, name): converted[name](value) for name, value in given.items() if value is not None}


def native_encoder_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """EncoderOptions for the extension module. None stands for the default."""
    return _native(given, _CONVERTED)


def native_writer_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """RecordingOptions for the extension module. None stands for the default."""
    return _native(given, _CONVERTED_BY_WRITER)


def native_copy_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """The same for stores made of what is there already: its frames can wait, and say themselves what they are."""
    for name in ("when_full", "pixel_format"):
        if given.get(name) is not None:
            raise InvalidArgument(f"{name} is for frames that are added one by one; here none is left out, and they are taken as "
                                  "they are")
    return native_writer_options(given)


def frame_range(start: Integer, stop: Optional[Integer], count: Callable[[], int]) -> Tuple[int, int]:
    """As a slice has it: negative ones count from the end, of which `count` tells where it is."""
    first, last = integer(start, "start"), None if stop is None else integer(stop, "stop")
    if first < 0 or (last is not None and last < 0):
        first, last, _ = slice(first, last).indices(count())
    return first, INT64_MAX if last is None else last
