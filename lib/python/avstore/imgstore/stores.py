"""Stores: VideoImgStore, DirectoryImgStore, and the functions that make them."""
from __future__ import annotations

import contextlib
import datetime
import json
import logging
import numbers
import os
import re
import zoneinfo
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple, Type

import numpy as np

from .. import _native
from ..arguments import Integer, Path, path_text, whole
from ..errors import Corrupt, EndOfStore, NotFound
from ..frame import Frame, FrameInfo
from ..store import Store, StoreInfo
from ..tools import Format, formats, rebuild_index, reindex
from ..tools import empty as empty_store
from ..writer import Writer, create
from .constants import EXTRA_DATA_FILE_EXTENSIONS, FRAME_MD, STORE_INDEX_FILENAME, STORE_LOCK_FILENAME, STORE_MD_FILENAME, \
    STORE_MD_KEY
from .index import ImgStoreIndex
from .util import JsonCustomEncoder, ensure_color, ensure_grayscale

__all__ = ["DirectoryImgStore", "STORE_INDEX_FILENAME", "STORE_LOCK_FILENAME", "STORE_MD_FILENAME", "STORE_MD_KEY",
           "VideoImgStore", "extract_only_frame", "get_supported_formats", "new_for_filename", "new_for_format"]

_log = logging.getLogger("imgstore")

_ALIASES = {"mjpeg": "mjpeg/avi"}
# Formats that decode raw sensor data while they are written.
_DECODING = {"png+color": "png", "tif+color": "tif", "jpg+color": "jpg", "bmp+color": "bmp"}
# Formats that hold arrays of any shape.
_ARRAYS = ("npy", "bpk")

Image = np.ndarray
Read = Tuple[Image, Tuple[int, float]]


def _known_format(name: Optional[str]) -> Optional[Format]:
    plain = _DECODING.get(name, name)  # type: ignore[arg-type]
    plain = _ALIASES.get(plain, plain)  # type: ignore[arg-type]
    return next((each for each in formats() if each.name == plain), None)


def _is_color_shape(shape: Sequence[int]) -> bool:
    return len(shape) == 3 and shape[2] == 3


def _zone(name: str) -> datetime.tzinfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return datetime.timezone.utc


def _user_metadata(store: Store) -> Dict[str, Any]:
    """With YAML's dates and times as Python's, if the package yaml is there."""
    try:
        import yaml
    except ImportError:
        return store.metadata
    return yaml.safe_load(store.info.metadata_yaml) or {}


@contextlib.contextmanager
def _missing_frame_is_value_error() -> Iterator[None]:
    try:
        yield
    except (NotFound, EndOfStore) as error:
        raise ValueError(str(error)) from None


class _Playback:
    """A store that is read: its engine, and the frame that was read last."""

    def __init__(self, path: str, opened: Optional[Store] = None):
        self._path = path
        self._raw = False
        self._store: Optional[Store] = opened or Store(path)
        self._take_facts(self._store)
        self.last: Optional[FrameInfo] = None

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
        index = 0 if self.last is None else self.last.index + 1
        if index >= self.frame_count:
            raise EndOfStore(f"{self._path}: there is no frame after the last one")
        return index

    def _hand_out(self, frame: Frame) -> Read:
        self.last = frame.info
        assert self.last is not None
        return frame.view(np.ndarray), (self.last.number, self.last.time)

    def read_next(self) -> Read:
        return self._hand_out(self.store[self.next_index])

    def read_index(self, index: Integer) -> Read:
        place = whole(index, "frame_index")
        if place < 0:
            raise ValueError(f"{self._path}: seeking to negative index not supported: {place}")
        with _missing_frame_is_value_error():
            return self._hand_out(self.store[place])

    def read_number(self, number: Any, nearest: bool) -> Read:
        with _missing_frame_is_value_error():
            return self._hand_out(self.store.at_number(self._sought(number, nearest), nearest))

    def _sought(self, number: Any, nearest: bool) -> int:
        try:
            return whole(round(float(number)) if nearest and not isinstance(number, numbers.Integral) else number, "frame_number")
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"{self._path}: frame #{number} not found in any chunk") from None

    def read_nearest(self, time: float) -> Read:
        with _missing_frame_is_value_error():
            return self._hand_out(self.store.at_time(time))

    def metadata(self) -> Dict[str, List]:
        names = self.store.frames
        return dict(zip(FRAME_MD, (names.number.tolist(), names.time.tolist())))

    # --- extra data ---

    def extra_data(self, ignore_corrupt: bool) -> Any:
        with contextlib.closing(Store(self._path)) as fresh:
            try:
                table = fresh.read_extra(ignore_corrupt)
            except Corrupt as error:
                raise ValueError(str(error)) from error
        order = [name for name in table if name not in _TIED] + list(_TIED)
        return table[order] if hasattr(table, "columns") else {name: table[name] for name in order}

    def sample_rates(self) -> Dict[str, float]:
        return _native.read_extra(self._path, False)[1]


# What ties a record of extra data to its frame; behind the record's own keys.
_TIED = ("frame_time", "frame_number", "frame_index")


class _Recording:
    """A store that is written."""

    def __init__(self, path: str, format: str, imgshape: Sequence[int], imgdtype: Any, metadata: Optional[dict],
                 encoding: Optional[str], options: Dict[str, Any]):
        self._path = path
        self._format = format
        self._shape = tuple(whole(extent, "imgshape") for extent in imgshape)
        self._dtype = np.dtype(imgdtype).name
        self._encoding = encoding or None
        self.user_metadata = {key: value for key, value in (metadata or {}).items() if key != STORE_MD_KEY}
        self.created = datetime.datetime.now(datetime.timezone.utc)
        self._options = dict(options, metadata=self.user_metadata, encoding=self._encoding, created=self.created,
                             color=_is_color_shape(self._shape) if self._has_color_option else None)
        self._chunk_size = options["chunk_size"]
        self._closed = False
        self._forget()
        self._writer: Optional[Writer] = create(path, format, **self._options)

    @property
    def _plain_format(self) -> str:
        return _DECODING.get(self._format, self._format)

    @property
    def _has_color_option(self) -> bool:
        """Shape and kind of sensor data and of arrays follow from the frames."""
        return self._encoding is None and self._plain_format not in _ARRAYS and \
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
    def image_shape(self) -> Tuple[int, ...]:
        return (*self._shape[:2], 3) if self._encoding else self._shape

    @property
    def image_dtype(self) -> np.dtype:
        return np.dtype(self._dtype)

    def writer(self) -> Writer:
        if self._closed:
            raise ValueError(f"{self._path}: the store is closed")
        if self._writer is None:
            # Emptied: only metadata are there.
            self._writer = create(self._path, self._format, overwrite=True, **self._options)
        return self._writer

    def add(self, image: Any, number: Any, time: float) -> None:
        self.writer().add(self._as_stored(np.asarray(image)), number, time)
        self._note([number], [time])
        self._in_chunk += 1
        if self._in_chunk == self._chunk_size:
            self._in_chunk = 0
            self.chunk_count += 1

    def _as_stored(self, image: Image) -> Image:
        """Gray and colour by the store's shape, whichever is handed in."""
        if self._plain_format in _ARRAYS or self._encoding:
            return image
        if image.ndim == 3 and image.shape[2] == 1:
            image = image[..., 0]
        if not self._has_color_option:
            return image
        is_color = self._plain_format == "ppm" or (self._plain_format != "pgm" and _is_color_shape(self._shape))
        return ensure_color(image) if is_color and image.ndim == 2 else image if is_color else ensure_grayscale(image)

    def insert(self, file: str, numbers: Any, times: Any, move: bool) -> None:
        self.writer().insert_chunk(file, numbers, times, move)
        self.chunk_count += 1 if self._in_chunk == 0 else 2
        self._in_chunk = 0
        self._note(np.asarray(numbers).tolist(), np.asarray(times, np.float64).tolist())

    def _note(self, numbers: List, times: List) -> None:
        if numbers:
            self._number_span = _widened(self._number_span if self.frame_count else (), numbers)
            self._time_span = _widened(self._time_span if self.frame_count else (), times)
            self.last = numbers[-1], times[-1]
            self.frame_count += len(numbers)

    def empty(self) -> None:
        if self.frame_count == 0:
            return
        self.writer().close()
        self._writer = None
        empty_store(self._path)
        self._forget()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._writer is not None:
            self._writer.close()
        if self.frame_count == 0 or self._plain_format in ("pgm", "ppm"):
            _state_images(self._path, self._shape, self._dtype)


def _widened(span: Tuple, values: List) -> Tuple[Any, Any]:
    everything = (*span, *values)
    return min(everything), max(everything)


def _state_images(path: str, shape: Sequence[int], dtype: str) -> None:
    """Put into metadata.yaml what images the store was made for, where its frames do not tell."""
    file = os.path.join(path, STORE_MD_FILENAME)
    with open(file, encoding="utf-8") as metadata:
        text = metadata.read()
    extents = "".join(f"  - {extent}\n" for extent in shape)
    text = re.sub(r"^  imgshape:\n(  - \d+\n)+", f"  imgshape:\n{extents}", text, count=1, flags=re.MULTILINE)
    text = re.sub(r"^  imgdtype: \w+$", f"  imgdtype: {dtype}", text, count=1, flags=re.MULTILINE)
    with open(file + ".new", "w", encoding="utf-8") as fresh:
        fresh.write(text)
        fresh.flush()
        os.fsync(fresh.fileno())
    os.replace(file + ".new", file)


class _ImgStore:
    """What both classes of stores share. A store is open for reading (mode "r") or for writing ("w")."""

    FRAME_MD = FRAME_MD

    _video: bool

    def __init__(self, basedir: Path, mode: str, imgshape: Optional[Sequence[int]] = None, imgdtype: Any = np.uint8,
                 chunksize: Optional[int] = None, metadata: Optional[dict] = None, encoding: Optional[str] = None,
                 format: Optional[str] = None, index: Optional[ImgStoreIndex] = None, seek: bool = True, fps: Any = None,
                 gpu_id: Any = None, videosize: Any = None, *, _opened: Optional[Store] = None, **options: Any):
        """Open a store, or make one.

        basedir: its folder. mode: "r" or "w".

        For writing only:

        imgshape: [rows, columns] (gray) or [rows, columns, 3] (B, G, R). imgdtype: of the images' elements.
        format: see get_supported_formats(). chunksize: frames a chunk; default: 10000 of video, 200 of folders of images.
        metadata: a dict of your own. encoding: images are raw sensor data, such as "cv_bayerbg". fps: nominal; default 25.
        Further options are those of avstore.create: quality, encoder, when_full, ...

        index: an ImgStoreIndex; the engine has its own, which costs nothing to open.
        seek, gpu_id, videosize: have no effect; every store can seek.

        Raises ValueError (arguments, a store of another class or version), FileNotFoundError (no store), FileExistsError (for
        writing, where a store is already).
        """
        if mode not in ("r", "w"):
            raise ValueError(f"mode not supported: {mode!r}")
        if index is not None and not isinstance(index, ImgStoreIndex):
            raise TypeError("index must be of type ImgStoreIndex")
        self._basedir = path_text(basedir)
        self._mode = mode
        self._playback: Optional[_Playback] = None
        self._recording: Optional[_Recording] = None
        if mode == "r":
            if options:
                raise TypeError(f"{', '.join(sorted(options))}: for writing only")
            self._playback = self._open(_opened)
        else:
            options = {"chunk_size": self._chunk_size(chunksize), **({} if fps is None else {"frame_rate": fps}), **options}
            self._recording = self._make(imgshape, imgdtype, metadata, encoding, format, options)

    def _open(self, opened: Optional[Store]) -> _Playback:
        playback = _Playback(self._basedir, opened)
        if _class_of(playback.info) is not _known_base(type(self)):
            playback.close()
            raise ValueError(f"{self._basedir}: incompatible store: a {playback.info.store_class}, "
                             f"opened as a {_known_base(type(self)).__name__}")
        return playback

    def _make(self, imgshape: Any, imgdtype: Any, metadata: Any, encoding: Optional[str], format: Optional[str],
              options: Dict[str, Any]) -> _Recording:
        if imgshape is None or imgdtype is None or format is None:
            raise ValueError("imgshape, imgdtype, format must not be None")
        if metadata is not None and not isinstance(metadata, dict):
            raise ValueError("metadata must be a dictionary")
        if not self.supports_format(format):
            raise ValueError(f"unknown format {format}: only {', '.join(self.supported_formats())} are supported")
        if not encoding:
            format = _DECODING.get(format, format)  # there is nothing to decode
        return _Recording(self._basedir, _ALIASES.get(format, format), imgshape, imgdtype, metadata, encoding, options)

    @classmethod
    def _chunk_size(cls, asked: Optional[int]) -> int:
        size = (10000 if cls._video else 200) if asked is None else whole(asked, "chunksize")
        if size < 1:
            raise ValueError(f"chunksize cannot be {size}")
        return size

    @property
    def _side(self) -> Any:
        return self._playback or self._recording

    def _reading(self) -> _Playback:
        if self._playback is None:
            raise ValueError(f"{self._basedir}: the store is open for writing")
        return self._playback

    def _writing(self) -> _Recording:
        if self._recording is None:
            raise ValueError(f"{self._basedir}: the store is open for reading")
        return self._recording

    # --- formats ---

    @classmethod
    def supported_formats(cls) -> List[str]:
        """Names of the formats that stores of this class can be made in."""
        names = [each.name for each in formats() if each.video == cls._video]
        return names if cls._video else names + list(_DECODING)

    @classmethod
    def supports_format(cls, fmt: str) -> bool:
        """Whether that is one of them, or an old name of one ("mjpeg")."""
        known = _known_format(fmt)
        return known is not None and known.video == cls._video

    @property
    def lossless(self) -> bool:
        """Whether what is read equals what was written."""
        known = _known_format(self._format)
        return known is not None and known.lossless

    @property
    def _format(self) -> str:
        return self._playback.info.format if self._playback else self._writing()._format

    # --- what the store is ---

    @property
    def mode(self) -> str:
        """"r" or "w"."""
        return self._mode

    @property
    def filename(self) -> str:
        """The store's folder, as it was given."""
        return self._basedir

    @property
    def full_path(self) -> str:
        """Its metadata.yaml."""
        return os.path.join(self._basedir, STORE_MD_FILENAME)

    @property
    def user_metadata(self) -> Dict[str, Any]:
        """The user's own metadata."""
        return self._side.user_metadata

    @property
    def created(self) -> Tuple[Optional[datetime.datetime], Optional[datetime.tzinfo]]:
        """When the store was made, in UTC, and the time zone it was made in."""
        return self._side.created, self._timezone

    @property
    def uuid(self) -> Optional[str]:
        """32 hexadecimal digits. None if the store has none, or has no frame yet."""
        info = self._written_info()
        return (info and info.uuid) or None

    @property
    def _timezone(self) -> Optional[datetime.tzinfo]:
        info = self._written_info()
        return _zone(info.timezone_local) if info else datetime.datetime.now().astimezone().tzinfo

    def _written_info(self) -> Optional[StoreInfo]:
        if self._playback:
            return self._playback.info
        try:
            with Store(self._basedir, save_index=False) as store:
                return store.info
        except NotFound:
            return None  # before the first frame

    @property
    def image_shape(self) -> Tuple[int, ...]:
        """Shape of the images that are read, or of those that are written."""
        return self._playback.info.shape if self._playback else self._writing().image_shape

    @property
    def image_dtype(self) -> np.dtype:
        """Type of their elements."""
        return np.dtype(self._playback.info.dtype) if self._playback else self._writing().image_dtype

    @property
    def chunks(self) -> List[int]:
        """Numbers of the chunks that hold frames; while writing, of those that are complete."""
        return [run[0] for run in self._playback.runs()] if self._playback else list(range(self._writing().chunk_count))

    @property
    def frame_count(self) -> int:
        """How many frames there are."""
        return self._side.frame_count

    def __len__(self) -> int:
        return self.frame_count

    @property
    def frame_min(self) -> Any:
        """The least frame number; NaN of a store without frames."""
        return self._side.span("number")[0]

    @property
    def frame_max(self) -> Any:
        """The greatest frame number; NaN of a store without frames."""
        return self._side.span("number")[1]

    @property
    def frame_time_min(self) -> float:
        """The least time, in seconds; NaN of a store without frames."""
        return self._side.span("time")[0]

    @property
    def frame_time_max(self) -> float:
        """The greatest time, in seconds; NaN of a store without frames."""
        return self._side.span("time")[1]

    @property
    def duration(self) -> float:
        """Seconds from the least time to the greatest; 0 of a store without frames."""
        return self.frame_time_max - self.frame_time_min if self.frame_count else 0.0

    @property
    def frame_number(self) -> Any:
        """Of the frame that was read, or written, last; NaN before."""
        last = self._side.last
        return np.nan if last is None else last.number if self._playback else last[0]

    @property
    def frame_time(self) -> float:
        """Of the frame that was read, or written, last; NaN before."""
        last = self._side.last
        return np.nan if last is None else last.time if self._playback else last[1]

    def convert_frame_time_to_datetime(self, frame_time: float) -> datetime.datetime:
        """A frame's time, in the time zone that the store was made in."""
        return datetime.datetime.fromtimestamp(float(frame_time), self._timezone)

    # --- reading ---

    def get_next_image(self) -> Read:
        """The frame after the one read last, the first at the beginning: (image, (frame_number, frame_time)).

        Raises EOFError past the last.
        """
        return self._reading().read_next()

    def get_next_framenumber(self) -> int:
        """The number of the frame that get_next_image will read. Raises EOFError past the last."""
        playback = self._reading()
        return playback.store.find(index=playback.next_index).number

    def get_image(self, frame_number: Any, exact_only: bool = True, frame_index: Optional[Integer] = None) -> Read:
        """A frame: (image, (frame_number, frame_time)).

        frame_number: the first frame of that number; with exact_only=False of the number nearest to it.
        frame_index: the frame at that place of the store, from 0; frame_number does not count then.
        Raises ValueError if there is none; the frame read last stays what it was.
        """
        playback = self._reading()
        if frame_index is not None:
            return playback.read_index(frame_index)
        return playback.read_number(frame_number, not exact_only)

    def get_nearest_image(self, frame_time: float) -> Read:
        """The frame whose time is nearest: (image, (frame_number, frame_time)). Raises ValueError in an empty store."""
        return self._reading().read_nearest(float(frame_time))

    def get_frame_metadata(self) -> Dict[str, List]:
        """Lists frame_number and frame_time of all frames, without decoding."""
        return self._reading().metadata()

    def disable_decoding(self) -> None:
        """Of a store of raw sensor data, hand out the data as they are from now on."""
        self._reading().read_raw()

    @classmethod
    def extract_only_frame(cls, full_path: Path, frame_index: Integer, _smd: Any = None) -> Image:
        """See the function extract_only_frame."""
        return extract_only_frame(full_path, frame_index)

    # --- extra data ---

    def find_extra_data_files(self, extensions: Sequence[str] = EXTRA_DATA_FILE_EXTENSIONS) -> List[str]:
        """Paths of the files of extra data that have one of these endings, in order of chunks.

        Where Motif has recorded some for a chunk, those of the writer API are left out.
        """
        names = set(os.listdir(self._basedir))
        chunks = sorted({match[1] for match in map(re.compile(r"(\d{6,})(\.|$)").match, names) if match}, key=int)
        return [path for chunk in chunks for path in self._extra_data_files_of(chunk, extensions)]

    def _extra_data_files_of(self, chunk: str, extensions: Sequence[str]) -> List[str]:
        beside_chunk = os.path.join(self._basedir, chunk)
        beside_index = beside_chunk if self._video else os.path.join(beside_chunk, "index")
        of_motif = [beside_chunk + end for end in (".extra_data.h5", ".extra_data.json") if end in extensions]
        of_writer = [beside_index + end for end in (".extra.json", ".extra_data.json") if end in extensions]
        return list(filter(os.path.exists, of_motif))[:1] or list(filter(os.path.exists, of_writer))

    @property
    def has_extra_data(self) -> bool:
        """Whether there is a file of extra data."""
        return bool(self.find_extra_data_files())

    def get_extra_data(self, ignore_corrupt_chunks: bool = False) -> Any:
        """The records that were tied to frames, as a pandas.DataFrame (a dict of arrays without pandas); None if there are none.

        Each key is a column; frame_number, frame_time and frame_index say which frame a record belongs to.
        ignore_corrupt_chunks: leave out chunks whose records are damaged, with a warning; else ValueError is raised.
        """
        if not self.has_extra_data:
            return None
        return self._reading().extra_data(ignore_corrupt_chunks)

    def _extra_data_of_chunk(self, chunk: int) -> Any:
        for number, begin, end in self._reading().runs():
            if number == chunk:
                table = self._reading().extra_data(False)
                kept = (table["frame_index"] >= begin) & (table["frame_index"] < end)
                return table[kept].reset_index(drop=True)
        raise ValueError(f"{self._basedir}: there is no chunk {chunk}")

    def get_extra_data_samplerate(self) -> float:
        """Samples a second of the data that Motif recorded beside the video.

        Raises ValueError if there are none, or several data sets.
        """
        rates = self._reading().sample_rates()
        if len(rates) > 1:
            raise ValueError(f"{self._basedir}: multiple sample rates, of {', '.join(rates)}; see motif_extra_data_h5_attrs")
        if not rates:
            raise ValueError(f"{self._basedir}: no sample rate or dataset found")
        return next(iter(rates.values()))

    def add_extra_data(self, **data: Any) -> None:
        """Tie a record to the frame that was added last: numbers, strings, lists, arrays, ... by name.

        What cannot be written as JSON is left out, with a warning to the log.
        """
        writer = self._writing().writer()
        if not data:
            return
        try:
            record = json.loads(json.dumps(data, cls=JsonCustomEncoder))
        except (TypeError, ValueError, UnicodeDecodeError):
            _log.warning("error writing extra data", exc_info=True)
            return
        writer.add_extra(record)

    # --- writing ---

    def add_image(self, img: Any, frame_number: Any, frame_time: float) -> None:
        """Add a frame. It is encoded by threads of the store's own; what fails there is raised by the next call, or close()."""
        self._writing().add(img, whole(frame_number, "frame_number"), float(frame_time))

    def empty(self) -> None:
        """Remove all frames that were written. Raises ValueError of a store that is open for reading."""
        if self._recording is None:
            raise ValueError(f"{self._basedir}: can only empty stores for writing")
        self._recording.empty()

    def close(self, save_index: bool = False) -> None:
        """Finish writing, or let go of the files. save_index: has no effect; stores are written with their index."""
        self._side.close()

    # --- work on whole stores ---

    def reindex(self) -> None:
        """Renumber the frames before the one with number 0: -1 is the one before it, and so on; extra data too.

        Raises ValueError if not exactly one frame has number 0.
        """
        self._reading().renumber()

    def save_index(self, path: Optional[Path] = None) -> None:
        """Save the index: into the store, or to another file. Nothing happens while writing."""
        if self._playback is None:
            return
        own = os.path.join(self._basedir, STORE_INDEX_FILENAME)
        if not os.path.exists(own) and path is None:
            rebuild_index(self._basedir)
        elif path is not None and os.path.abspath(path_text(path)) != os.path.abspath(own):
            self._index_to_copy(own).to_file(path)

    def _index_to_copy(self, own: str) -> ImgStoreIndex:
        if os.path.exists(own):
            return ImgStoreIndex.new_from_file(own)
        return ImgStoreIndex.new_from_chunks((chunk, self._index_path(chunk)) for chunk in self.chunks)

    def _index_path(self, chunk: int) -> str:
        path = os.path.join(self._basedir, f"{chunk:06d}")
        return path if self._video else os.path.join(path, "index")

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._basedir!r}, mode {self._mode!r}: {self.frame_count} frames>"


class DirectoryImgStore(_ImgStore):
    """A store whose chunks are folders of images."""

    _video = False


class VideoImgStore(_ImgStore):
    """A store whose chunks are video files."""

    _video = True

    def insert_chunk(self, video_path: Path, frame_numbers: Any, frame_times: Any, move: bool = True) -> None:
        """Make a video file the next chunk, as it is.

        frame_numbers and frame_times: of each of its frames, in the order shown. move: the file is gone then.
        Raises ValueError if they are not as many as its frames, or the file is not of the store's format and frame size.
        """
        self._writing().insert(path_text(video_path), frame_numbers, frame_times, move)


def _class_of(info: StoreInfo) -> Type[_ImgStore]:
    return DirectoryImgStore if info.store_class == DirectoryImgStore.__name__ else VideoImgStore


def _known_base(cls: Type[_ImgStore]) -> Type[_ImgStore]:
    return next(each for each in cls.__mro__ if each in (DirectoryImgStore, VideoImgStore))


def _folder_of(path: Optional[Path], basedir: Optional[Path], read: bool) -> str:
    """The store's folder, which is given as such, or (path only) by the metadata.yaml in it."""
    if path and basedir:
        raise ValueError("path and basedir are mutually exclusive")
    if not path and not basedir:
        raise ValueError(f"a store is given by its {STORE_MD_FILENAME}, or the folder with it")
    given = path_text(path or basedir)  # type: ignore[arg-type]
    if os.path.basename(given) == STORE_MD_FILENAME:
        if basedir:
            raise ValueError(f"basedir should be a folder, not its {STORE_MD_FILENAME}: {given}")
        return os.path.dirname(given) or os.curdir
    if read and path and not os.path.exists(os.path.join(given, STORE_MD_FILENAME)):
        raise ValueError(f"path '{given}' does not exist, or is no store")
    return given


def new_for_filename(path: Optional[Path], **kwargs: Any) -> Any:
    """Open a store for reading.

    path: its folder, or the metadata.yaml in it. Other arguments: of VideoImgStore and DirectoryImgStore.
    Raises ValueError or FileNotFoundError if there is no store.
    """
    mode = kwargs.pop("mode", "r")
    folder = _folder_of(path, kwargs.pop("basedir", None), read=mode == "r")
    opened = Store(folder)
    if mode != "r":
        opened.close()
        return _class_of(opened.info)(basedir=folder, mode=mode, **kwargs)
    return _class_of(opened.info)(basedir=folder, mode=mode, _opened=opened, **kwargs)


def new_for_format(fmt: Optional[str], path: Optional[Path] = None, **kwargs: Any) -> Any:
    """Make a new store: ``new_for_format("avc1/mp4", path, imgshape=(480, 640), imgdtype="uint8")``.

    fmt: see get_supported_formats(). path, or basedir: its folder. Other arguments: of VideoImgStore and DirectoryImgStore.
    With mode="r" a store is opened as new_for_filename does.
    Raises ValueError for unknown formats, and FileExistsError where a store is already.
    """
    mode = kwargs.pop("mode", "w")
    if mode == "r":
        return new_for_filename(path, mode=mode, **kwargs)
    folder = _folder_of(path, kwargs.pop("basedir", None), read=False)
    for cls in (DirectoryImgStore, VideoImgStore):
        if cls.supports_format(fmt):  # type: ignore[arg-type]
            return cls(basedir=folder, mode=mode, **{**kwargs, "format": fmt})
    raise ValueError(f"store class not found which supports format '{fmt}'")


def extract_only_frame(path: Path, frame_index: Integer) -> Image:
    """The image at that place of the store, from 0. Raises ValueError if there is none."""
    with new_for_filename(path) as store:
        return store.get_image(None, frame_index=frame_index)[0]


def get_supported_formats() -> List[str]:
    """Names of all formats that stores can be made in."""
    return DirectoryImgStore.supported_formats() + VideoImgStore.supported_formats()
