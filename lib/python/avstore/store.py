"""Reading stores."""
from __future__ import annotations

import datetime
import functools
import json
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional, Tuple, Union, overload

import numpy as np

from . import _native
from .arguments import (INT64_MAX, INT64_MIN, Integer, Path, absolute_path, array_of, frame_range, integer, integers, native_path,
                        whole)
from .errors import Corrupt, EndOfStore, InvalidArgument, NotFound, paths_not_found
from .frame import Frame, FrameInfo
from .tables import table_of

if TYPE_CHECKING:
    import dask.array
    import xarray

_ImageType = Tuple[Tuple[int, ...], np.dtype]


@dataclass(frozen=True)
class StoreInfo:
    """What a store says of itself.

    path: its folder.
    store_class: "VideoImgStore" or "DirectoryImgStore".
    format: such as "avc1/mp4"; see `formats`.
    encoding: of raw sensor data, such as "cv_bayerbg"; empty if it holds none.
    encoder: what encoded it, if known: the last one, where it changed. encoders: from which chunk on which encoder.
    shape: of an image: (rows, columns), or (rows, columns, channels) if colour.
    color: False: reads back as gray.
    dtype: of an image's elements: "uint8", "uint16", ...
    nominal_frame_rate: frames per second; None if not known.
    chunk_size: frames a chunk, at most.
    chunk_count: how many chunks there are. frame_count: how many frames, in all of them.
    created_utc: when it was made, ISO 8601 without zone, in UTC. timezone_local: where, the IANA name of the zone.
    uuid: 32 hexadecimal digits; empty in old stores.
    metadata_yaml: the user's own metadata, as they stand in metadata.yaml.
    open_for_writing: there is a file .lock. recording: a writer that is alive has the store open now.
    unfinished: nobody writes any more, but the last chunk was never finished; see `repair`.
    losses: frames that `repair` has dropped because they could not be read: a line for each chunk.
    number_min, number_max: least and greatest frame number; None of a store without frames.
    time_min, time_max: least and greatest time, in seconds; None of a store without frames.
    """

    path: str
    store_class: str
    format: str
    encoding: str
    encoder: str
    encoders: Tuple[Tuple[int, str], ...]
    shape: Tuple[int, ...]
    color: bool
    dtype: str
    nominal_frame_rate: Optional[Fraction]
    chunk_size: int
    chunk_count: int
    frame_count: int
    created_utc: str
    timezone_local: str
    uuid: str
    metadata_yaml: str
    open_for_writing: bool
    recording: bool
    unfinished: bool
    losses: Tuple[str, ...]
    number_min: Optional[int]
    number_max: Optional[int]
    time_min: Optional[float]
    time_max: Optional[float]


@dataclass(frozen=True)
class ReadStatistics:
    """What reading has cost so far.

    seeks: times a file was repositioned.
    packets_read: of coded video.
    frames_decoded: also those on the way to the ones asked for.
    seek_recoveries: times a seek landed wrong and an earlier start was taken.
    files_opened: of video, or images.
    """

    seeks: int
    packets_read: int
    frames_decoded: int
    seek_recoveries: int
    files_opened: int


@dataclass(frozen=True)
class FrameTable:
    """The names of all frames of a store, in order of frame_index: element i is frame i's.

    number: int64, the camera's own counter.
    time: float64, seconds.
    """

    number: np.ndarray
    time: np.ndarray

    def __len__(self) -> int:
        return len(self.number)


def _store_info(fields: dict[str, Any]) -> StoreInfo:
    num, den = fields["nominal_frame_rate"]
    fields["nominal_frame_rate"] = Fraction(num, den) if num > 0 else None
    if fields["frame_count"] == 0:
        fields.update(number_min=None, number_max=None, time_min=None, time_max=None)
    return StoreInfo(**fields)


class Store:
    """A store, open for reading: a sequence of frames. `avstore.open` makes one.

    Any frame, in any order, equals what decoding the video from its beginning gives there.

    A store that is being recorded has the frames that were durable when it was opened; `refresh` sees more.

    Several threads may use one store; they take turns, and other threads of Python run while a frame is decoded. Threads that
    shall decode at the same time open a store each. Pickling a store keeps its path and options; unpickling opens it again,
    as does using it in a process that was forked.
    """

    def __init__(self, path: Path, *, pixel_format: Optional[str] = None, raw_sensor: bool = False, threads: int = 0,
                 save_index: bool = True, writable: bool = True):
        """See `avstore.open`."""
        self._options: Dict[str, Any] = {"pixel_format": pixel_format, "raw_sensor": raw_sensor, "threads": threads,
                                         "save_index": save_index, "writable": writable}
        self._given_path = absolute_path(path)
        with paths_not_found():
            self._reader = _native.Reader(native_path(self._given_path), pixel_format or "", bool(raw_sensor),
                                          integer(threads, f"{self._given_path}: threads", 32), bool(save_index), bool(writable))
        self._take_info()

    def _take_info(self) -> None:
        fields = self._reader.info()
        self._metadata_json = fields.pop("metadata_json")
        self._info = _store_info(fields)

    # --- what the store is ---

    @property
    def info(self) -> StoreInfo:
        """What the store says of itself: format, shape, number of frames, creation time, ..."""
        return self._info

    @property
    def path(self) -> str:
        """The store's folder."""
        return self._info.path

    @functools.cached_property
    def metadata(self) -> dict[str, Any]:
        """The user's own metadata: strings, numbers, booleans, None, lists and dicts.

        Dates and times come as text ("2024-01-02 03:04:05"), bytes as base64, sets as a dict of None, and keys as strings;
        ``yaml.safe_load(s.info.metadata_yaml)`` of the package yaml gives them as they were written, as avstore.imgstore does.
        """
        return json.loads(self._metadata_json) or {}

    @property
    def created(self) -> Optional[datetime.datetime]:
        """When the store was made, in UTC. None if it does not say."""
        if not self._info.created_utc:
            return None
        return datetime.datetime.fromisoformat(self._info.created_utc).replace(tzinfo=datetime.timezone.utc)

    def refresh(self) -> int:
        """See what a writer has recorded since the store was opened, or refreshed; returns the number of frames.

        Frames that were there keep their places. `info`, `frames` and `extra` are up to date then.
        """
        count = self._reader.refresh()
        self._take_info()
        for cached in ("frames", "extra", "_image_type", "_usual_image_type"):
            vars(self).pop(cached, None)
        return count

    @functools.cached_property
    def frames(self) -> FrameTable:
        """Numbers and times of all frames, without decoding: ``s.frames.number`` and ``s.frames.time``."""
        arrays = self._reader.names(0, INT64_MAX)
        for array in arrays:
            array.setflags(write=False)
        return FrameTable(*arrays)

    @functools.cached_property
    def extra(self) -> Any:
        """The records that were tied to frames, in order of their frames; those of the same key make a column.

        A pandas.DataFrame, or without pandas a dict of arrays. The columns frame_index, frame_number and frame_time say which
        frame a record belongs to: -1, -2**63 and NaN if to none. Integers (int64, or uint64 where
        it takes that) and booleans stay such if each record has one; numbers are float64, NaN where a record has none, unless an
        integer among them would lose digits; all else is of type object, None where a record has none.
        Raises Corrupt if they are damaged; `read_extra` can leave such chunks out.
        """
        return self.read_extra()

    def read_extra(self, ignore_corrupt: bool = False) -> Any:
        """As `extra`. ignore_corrupt: leave out chunks whose records are damaged, with a warning. Ctrl-C does not stop it."""
        return table_of(*_native.read_extra(native_path(self.path), ignore_corrupt))

    @property
    def statistics(self) -> ReadStatistics:
        """What reading has cost so far."""
        return ReadStatistics(**self._reader.statistics())

    def __len__(self) -> int:
        return self._info.frame_count

    # --- frames ---

    @overload
    def __getitem__(self, key: Integer) -> Frame: ...  # type: ignore[misc]
    @overload
    def __getitem__(self, key: Union[slice, list, np.ndarray]) -> List[Frame]: ...

    def __getitem__(self, key: Any) -> Any:
        """``s[i]``: the frame at that place; negative ones count from the end.

        ``s[a:b:step]`` and ``s[[3, 1, 2]]`` (a list, array or Series of places, a mask, or what np.nonzero gives) give a list of
        frames in the order asked; they are decoded in the cheapest order, on all cores, and no frame twice. Ctrl-C stops it.
        Mind your memory: ``s[:]`` is everything.
        Raises EndOfStore outside the store.
        """
        if isinstance(key, slice) or np.ndim(key) > 0:
            return [Frame.of(pixels, FrameInfo(*info)) for pixels, info in self._reader.read_many(self._places(key))]
        pixels, info = self._reader.read_index(self._place(key))
        return Frame.of(pixels, FrameInfo(*info))

    def __iter__(self) -> Iterator[Frame]:
        """All frames from the first to the last."""
        for index in range(len(self)):
            yield self[index]

    def __reversed__(self) -> Iterator[Frame]:
        for index in range(len(self) - 1, -1, -1):
            yield self[index]

    # `frame in store` would decode everything.
    __contains__ = None

    def stack(self, key: Any = slice(None)) -> np.ndarray:
        """Several frames as one array, [frames, rows, columns] or [frames, rows, columns, channels].

        `key` is a slice or a sequence of places, as in ``s[key]``; Ctrl-C stops it. All images must be of one shape and type.
        """
        places = self._places(key)
        return self._stack(places, *(self._image_type or self._type_of_frame(places[:1])))

    def _stack(self, places: np.ndarray, shape: Tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        target = np.empty((len(places), *shape), dtype)
        self._reader.read_into(places, target)
        return target

    def at_number(self, number: Integer, nearest: bool = False) -> Frame:
        """The first frame of that number; nearest: of the number closest to it.

        Raises NotFound if there is none.
        """
        pixels, info = self._reader.read_number(self._number(number, nearest), nearest)
        return Frame.of(pixels, FrameInfo(*info))

    def at_time(self, time: float) -> Frame:
        """The frame whose time (seconds) is nearest, the first of several. Raises NotFound in an empty store."""
        pixels, info = self._reader.read_time(float(time))
        return Frame.of(pixels, FrameInfo(*info))

    def find(self, *, index: Optional[Integer] = None, number: Optional[Integer] = None, time: Optional[float] = None,
             nearest: bool = False) -> FrameInfo:
        """What is known of the frame at that place, of that number or nearest to that time, without decoding it."""
        if sum(value is not None for value in (index, number, time)) != 1:
            raise InvalidArgument(f"{self.path}: give one of index, number and time")
        if index is not None:
            return FrameInfo(*self._reader.find_index(self._place(index)))
        if number is not None:
            return FrameInfo(*self._reader.find_number(self._number(number, nearest), nearest))
        return FrameInfo(*self._reader.find_time(float(time)))  # type: ignore[arg-type]

    def keyframes(self, start: Integer = 0, stop: Optional[Integer] = None) -> np.ndarray:
        """Places of the frames of [start, stop) at which decoding can start, ascending. In folders of images: all.

        Negative ones count from the end, as in a slice.
        """
        return self._reader.keyframes(*frame_range(start, stop, lambda: len(self)))

    @property
    def image_shape(self) -> Tuple[int, ...]:
        """Shape of the arrays that frames come as; of arrays and raw sensor data that of the first one."""
        return self._usual_image_type[0]

    @property
    def image_dtype(self) -> np.dtype:
        """Type of the elements of the arrays that frames come as; of arrays and raw sensor data that of the first one."""
        return self._usual_image_type[1]

    @functools.cached_property
    def _usual_image_type(self) -> _ImageType:
        return self._image_type or self._type_of_frame(np.arange(min(1, len(self))))

    @functools.cached_property
    def _image_type(self) -> Optional[_ImageType]:
        """Of all frames; None where each is as it was stored."""
        known = self._reader.image_type()
        return known and (known[1], np.dtype(known[0]))

    def _type_of_frame(self, places: np.ndarray) -> _ImageType:
        """Of the frame at that place, or what the store says if there is none, or it is damaged."""
        try:
            for place in places:
                frame = self[place]
                return frame.shape, frame.dtype
        except Corrupt:
            pass
        return self._info.shape, np.dtype(self._info.dtype)

    # --- for many machines ---

    def to_dask(self, block_bytes: Union[int, str, None] = None) -> "dask.array.Array":
        """All frames as a lazy dask.array: [frames, rows, columns] or [frames, rows, columns, channels].

        Blocks begin at keyframes, so that no two decode the same frame, and hold about `block_bytes` (a number, or such as
        "16 MiB"; default: Dask's setting array.chunk-size); only a keyframe interval that is larger than this is cut inside.
        Workers open the store themselves: the path must lead to it on their machines. Takes the package dask.
        """
        from .dask_array import to_dask
        return to_dask(self, block_bytes)

    def to_xarray(self, block_bytes: Union[int, str, None] = None) -> "xarray.DataArray":
        """The same as an xarray.DataArray with the dimensions frame, y, x and channel.

        The coordinates `number` and `time` go with `frame`. Takes the packages dask and xarray.
        """
        from .dask_array import to_xarray
        return to_xarray(self, block_bytes)

    # --- its end, and its copies ---

    def close(self) -> None:
        """Close the store. Frames read from it stay; reading raises InvalidArgument from now on."""
        self._reader.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __reduce__(self) -> Any:
        return functools.partial(type(self), **self._options), (self._given_path,)

    def __fspath__(self) -> str:
        return self._given_path

    def __repr__(self) -> str:
        shape = "x".join(map(str, self._info.shape))
        return f"<avstore.Store {self.path!r}: {len(self)} frames of {shape} {self._info.dtype}, {self._info.format}>"

    # --- what was asked for ---

    def _place(self, index: Any) -> int:
        place = whole(index, f"{self.path}: frame index")
        if place < -len(self) or place > INT64_MAX:
            raise EndOfStore(f"{self.path}: no frame_index {place}; the store has {len(self)} frames")
        return place + len(self) if place < 0 else place

    def _places(self, key: Any) -> np.ndarray:
        if isinstance(key, slice):
            return np.arange(*key.indices(len(self)), dtype=np.int64)
        asked = array_of(key, "frame indices")
        if asked.dtype.kind == "b" and len(asked) != len(self):
            raise InvalidArgument(f"{self.path}: a mask of {len(asked)} does not fit {len(self)} frames")
        places = integers(asked, f"{self.path}: frame indices")
        outside = places < -len(self)
        if outside.any():
            raise EndOfStore(f"{self.path}: no frame_index {places[outside][0]}; the store has {len(self)} frames")
        return np.where(places < 0, places + len(self), places)

    def _number(self, number: Integer, nearest: bool) -> int:
        value = whole(number, f"{self.path}: frame number")
        if INT64_MIN <= value <= INT64_MAX:
            return value
        if not nearest:
            raise NotFound(f"{self.path}: no frame has number {value}")
        return INT64_MAX if value > 0 else INT64_MIN


def open(path: Path, *, pixel_format: Optional[str] = None, raw_sensor: bool = False, threads: int = 0,
         save_index: bool = True, writable: bool = True) -> Store:
    """Open a store for reading.

    path: the store's folder, or its metadata.yaml.
    pixel_format: what frames come as: "gray8" or "gray16" (two dimensions), "bgr24", "rgb24", "bgr48le" or "rgb48le" (three
        channels), "bgra", "rgba", "bgra64le" or "rgba64le" (four). Default: gray of gray stores, B, G, R of colour ones, and
        arrays as they are stored in the formats npy and bpk.
    raw_sensor: of a store of raw sensor data, hand out the data as they are instead of the picture in them.
    threads: that decode; 0: as many as the machine has cores.
    save_index: an index that had to be made from the chunks is put into the store.
    writable: frames may be written to. If not, their arrays are read-only, and gray frames of video share the decoder's
        memory, which saves copying them.

    Raises StoreNotFound, Corrupt, Unsupported (a newer version, an unknown format), StorageError, InvalidArgument.
    """
    return Store(path, pixel_format=pixel_format, raw_sensor=raw_sensor, threads=threads, save_index=save_index,
                 writable=writable)
