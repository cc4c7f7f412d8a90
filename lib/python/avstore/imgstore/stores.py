"""Stores: VideoImgStore, DirectoryImgStore, and the functions that make them."""
from __future__ import annotations

import datetime
import json
import logging
import os
import re
from typing import Any, Dict, List, Optional, Sequence, Tuple, Type

import numpy as np

from ..arguments import Integer, Path, path_text, whole
from ..store import Store, StoreInfo
from ..tools import formats, rebuild_index
from .constants import EXTRA_DATA_FILE_EXTENSIONS, FRAME_MD, STORE_INDEX_FILENAME, STORE_LOCK_FILENAME, STORE_MD_FILENAME, \
    STORE_MD_KEY
from .index import ImgStoreIndex
from .playback import Image, Playback, Read
from .recording import ALIASES, DECODING, Recording, known_format
from .timezones import utc, zone_of
from .util import JsonCustomEncoder

__all__ = ["DirectoryImgStore", "STORE_INDEX_FILENAME", "STORE_LOCK_FILENAME", "STORE_MD_FILENAME", "STORE_MD_KEY",
           "VideoImgStore", "extract_only_frame", "get_supported_formats", "new_for_filename", "new_for_format"]

_log = logging.getLogger("imgstore")


def _absolute(path: str) -> str:
    """Leads to the same place whatever becomes of the current folder."""
    return os.path.join(os.getcwd(), path)


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
        self._folder = _absolute(self._basedir)
        self._mode = mode
        self._playback: Optional[Playback] = None
        self._recording: Optional[Recording] = None
        if mode == "r":
            if options:
                raise TypeError(f"{', '.join(sorted(options))}: for writing only")
            self._playback = self._open(_opened)
        else:
            options = {"chunk_size": self._chunk_size(chunksize), **({} if fps is None else {"frame_rate": fps}), **options}
            self._recording = self._make(imgshape, imgdtype, metadata, encoding, format, options)

    def _open(self, opened: Optional[Store]) -> Playback:
        playback = Playback(self._folder, opened)
        if _class_of(playback.info) is not _known_base(type(self)):
            playback.close()
            raise ValueError(f"{self._basedir}: incompatible store: a {playback.info.store_class}, "
                             f"opened as a {_known_base(type(self)).__name__}")
        return playback

    def _make(self, imgshape: Any, imgdtype: Any, metadata: Any, encoding: Optional[str], format: Optional[str],
              options: Dict[str, Any]) -> Recording:
        if imgshape is None or imgdtype is None or format is None:
            raise ValueError("imgshape, imgdtype, format must not be None")
        if metadata is not None and not isinstance(metadata, dict):
            raise ValueError("metadata must be a dictionary")
        if not self.supports_format(format):
            raise ValueError(f"unknown format {format}: only {', '.join(self.supported_formats())} are supported")
        return Recording(self._folder, ALIASES.get(format, format), imgshape, imgdtype, metadata, encoding, options)

    @classmethod
    def _chunk_size(cls, asked: Optional[int]) -> int:
        size = (10000 if cls._video else 200) if asked is None else whole(asked, "chunksize")
        if size < 1:
            raise ValueError(f"chunksize cannot be {size}")
        return size

    @property
    def _side(self) -> Any:
        return self._playback or self._recording

    def _reading(self) -> Playback:
        if self._playback is None:
            raise ValueError(f"{self._basedir}: the store is open for writing")
        return self._playback

    def _writing(self) -> Recording:
        if self._recording is None:
            raise ValueError(f"{self._basedir}: the store is open for reading")
        return self._recording

    # --- formats ---

    @classmethod
    def supported_formats(cls) -> List[str]:
        """Names of the formats that stores of this class can be made in."""
        names = [each.name for each in formats() if each.video == cls._video]
        return names if cls._video else names + list(DECODING)

    @classmethod
    def supports_format(cls, fmt: str) -> bool:
        """Whether that is one of them, or an old name of one ("mjpeg")."""
        known = known_format(fmt)
        return known is not None and known.video == cls._video

    @property
    def lossless(self) -> bool:
        """Whether what is read equals what was written."""
        known = known_format(self._format)
        return known is not None and known.lossless

    @property
    def _format(self) -> str:
        return self._playback.info.format if self._playback else self._writing().format

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
    def created(self) -> Tuple[Optional[datetime.datetime], datetime.tzinfo]:
        """When the store was made, in UTC, and the time zone it was made in.

        Zones are those of the package pytz where it is there, else zoneinfo.ZoneInfo. A store that does not say its zone was made
        in this machine's; for one that is not known UTC is given, and opening the store warns.
        """
        created = self._side.created
        return created and created.replace(tzinfo=utc()), self._timezone

    @property
    def uuid(self) -> Optional[str]:
        """32 hexadecimal digits. None if the store has none, as old ones have not."""
        return self._side.info.uuid or None

    @property
    def _timezone(self) -> datetime.tzinfo:
        return zone_of(self._side.info.timezone_local)

    @property
    def image_shape(self) -> Tuple[int, ...]:
        """Shape of the images that are read: [rows, columns] of gray pictures. While writing, the shape that was asked for."""
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

        Raises EOFError past the last; another avstore.Error for a frame that is damaged or whose file is gone, and goes on behind
        it then.
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
        names = set(os.listdir(self._folder))
        chunks = sorted({match[1] for match in map(re.compile(r"(\d{6,})(\.|$)").match, names) if match}, key=int)
        return [os.path.join(self._basedir, name) for chunk in chunks for name in self._extra_data_files_of(chunk, extensions)]

    def _extra_data_files_of(self, chunk: str, extensions: Sequence[str]) -> List[str]:
        def there(stem: str, endings: Sequence[str]) -> List[str]:
            names = [stem + end for end in endings if end in extensions]
            return [name for name in names if os.path.exists(os.path.join(self._folder, name))]

        beside_index = chunk if self._video else os.path.join(chunk, "index")
        return there(chunk, (".extra_data.h5", ".extra_data.json"))[:1] or there(beside_index, (".extra.json", ".extra_data.json"))

    @property
    def has_extra_data(self) -> bool:
        """Whether there are extra data: in files, or, of a chunk that is not complete, in the database.

        While writing, those of complete chunks alone count.
        """
        return bool(self.find_extra_data_files()) or (self._playback is not None and self._playback.has_extra_data())

    def get_extra_data(self, ignore_corrupt_chunks: bool = False) -> Any:
        """The records that were tied to frames, as a pandas.DataFrame; None if there are none. Without pandas a dict of arrays.

        Each key is a column; frame_number, frame_time and frame_index say which frame a record belongs to.
        ignore_corrupt_chunks: leave out chunks whose records are damaged, with a warning; else ValueError is raised.
        """
        if not self.has_extra_data:
            return None
        return self._reading().extra_data(ignore_corrupt_chunks)

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
        """Save the index: into the store, where it is not there already, or to another file, in imgstore's tables.

        Nothing happens while writing. Raises OSError where it cannot be written.
        """
        if self._playback is None:
            return
        own = os.path.join(self._folder, STORE_INDEX_FILENAME)
        if path is not None and os.path.abspath(path_text(path)) != os.path.abspath(own):
            self._index().to_file(path)
        elif not self._reading().store.info.recording and not self._is_index(own):
            rebuild_index(self._folder)

    def _index(self) -> ImgStoreIndex:
        """Of the frames that are read: the database in the store may be out of date where it cannot be written."""
        names = self._reading().store.frames
        return ImgStoreIndex.new_from_frames((chunk, self._index_path(chunk), names.number[begin:end], names.time[begin:end])
                                             for chunk, begin, end in self._reading().runs())

    def _is_index(self, file: str) -> bool:
        try:
            saved = ImgStoreIndex.new_from_file(file).get_all_metadata()
            names = self._reading().store.frames
            return np.array_equal(np.asarray(saved["frame_number"], np.int64), names.number) and \
                np.array_equal(np.asarray(saved["frame_time"], np.float64), names.time, equal_nan=True)
        except OSError:
            return False

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
    opened = Store(_absolute(folder))
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
    options: Dict[str, Any] = {**kwargs, "format": fmt}
    for cls in (DirectoryImgStore, VideoImgStore):
        if cls.supports_format(fmt):  # type: ignore[arg-type]
            return cls(basedir=folder, mode=mode, **options)
    raise ValueError(f"store class not found which supports format '{fmt}'")


def extract_only_frame(path: Path, frame_index: Integer) -> Image:
    """The image at that place of the store, from 0. Raises ValueError if there is none."""
    with new_for_filename(path) as store:
        return store.get_image(None, frame_index=frame_index)[0]


def get_supported_formats() -> List[str]:
    """Names of all formats that stores can be made in."""
    return DirectoryImgStore.supported_formats() + VideoImgStore.supported_formats()
