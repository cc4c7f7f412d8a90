"""Recording into new stores."""
from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence, Tuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from . import _native
from .arguments import (Integer, Path, absolute_path, integer, integers, json_text, listed, native_path, native_writer_options,
                        number_type)
from .errors import Error, InvalidArgument, paths_not_found
from .store import FrameTable

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .arguments import RecordingOptions


@dataclass(frozen=True)
class Latency:
    """Seconds, over the last thousand frames.

    median: half of the frames took no longer. p99: 99th percentile. max: the longest.
    """

    median: float
    p99: float
    max: float


@dataclass(frozen=True)
class WriterStatistics:
    """A moment of a recording.

    frames_added: taken into the queue.
    frames_dropped: there was no room for.
    frames_encoded: by the encoder, or as images.
    frames_durable: would survive if this process were killed now; see `durability`.
    queue_frames: waiting, with the one being encoded. queue_bytes: of their pixels, and of extra data.
    encode_latency: a `Latency`, of converting, encoding and writing a frame.
    total_latency: a `Latency`, from add() until the frame is durable.
    bytes_written: of the store's chunks, as far as their frames are durable.
    encoder: libav's name; empty before the first frame, or without one.
    """

    frames_added: int
    frames_dropped: int
    frames_encoded: int
    frames_durable: int
    queue_frames: int
    queue_bytes: int
    encode_latency: Latency
    total_latency: Latency
    bytes_written: int
    encoder: str


def _close_quietly(writer: _native.Writer) -> None:
    try:
        writer.close()
    except Error:
        pass  # close() is the way to learn of errors


class Writer:
    """A store that is being recorded. `avstore.create` and `avstore.append` make one.

    Frames are encoded by threads of the writer's own, without Python's lock. A failure there (full disk, failing encoder) is
    raised by the next add(), sync() or close(); frames durable by then stay readable. A writer that is let go without close()
    closes its store, but then nobody learns of errors: use it in a ``with`` statement, or call close().

    Threads may share a writer; add() of several take turns.
    """

    def __init__(self, path: Path, *, append: bool = False, shape: Optional[Sequence[Integer]] = None,
                 dtype: Optional[DTypeLike] = None, **options: Any):
        """See `avstore.create` and `avstore.append`."""
        self._shape = None if shape is None else tuple(integer(extent, "shape") for extent in shape)
        self._dtype = None if dtype is None else number_type(dtype, "dtype")
        self._path = absolute_path(path)
        with paths_not_found():
            self._writer = _native.Writer(native_path(self._path), native_writer_options(options), append)
        self._finalizer = weakref.finalize(self, _close_quietly, self._writer)

    @property
    def path(self) -> str:
        """The store's folder."""
        return self._path

    def add(self, image: ArrayLike, number: Integer, time: float) -> bool:
        """Add a frame; its pixels are copied before this returns.

        image: of the first frame's shape and type: [rows, columns] of uint8 or uint16 is gray, [rows, columns, 3] is
            colour in the order B, G, R, [rows, columns, 4] B, G, R, A, unless the store was created with another
            `pixel_format`. Arrays of other shapes and types of numbers can be kept in the formats npy and bpk.
        number: the camera's own counter. time: when it was taken, in seconds, usually Unix time.

        Waits while the queue is full, unless `when_full` says otherwise. False if the frame was dropped.
        """
        array = np.asarray(image)
        if not array.dtype.isnative:
            array = array.astype(array.dtype.newbyteorder("="))
        if self._shape not in (None, array.shape) or self._dtype not in (None, array.dtype):
            raise InvalidArgument(f"{self._path}: an image of shape {array.shape} and type {array.dtype}; the store is made for "
                                  f"{self._shape or 'any shape'} and {self._dtype or 'any type'}")
        return self._writer.add(array, integer(number, f"{self._path}: frame number"), float(time))

    def add_extra(self, record: Optional[Mapping[str, Any]] = None, /, **values: Any) -> None:
        """Tie a record to the frame that is the newest now: ``w.add_extra(force=0.5)``, or of a mapping. Before the first it belongs to none.

        Values are numbers, strings, None, lists and mappings of such, and NumPy's numbers and arrays.
        """
        self._writer.add_extra(json_text({**(record or {}), **values}))

    def insert_chunk(self, file: Path, numbers: ArrayLike, times: ArrayLike, move: bool = False) -> None:
        """Make a video file the next chunk, as it is.

        numbers and times: of each of its frames, in the order shown. The file must be of the format's container and the
        store's frame size. move: it is gone then. Waits until its frames are durable.
        """
        self._writer.insert_chunk(native_path(file), listed(integers(numbers, f"{self._path}: frame numbers")),
                                  listed(np.asarray(times, np.float64)), move)

    def sync(self) -> None:
        """Wait until every frame added is durable: it would survive if this process were killed; see `durability`."""
        self._writer.sync()

    def stats(self) -> WriterStatistics:
        """How the recording goes: frames added, dropped, encoded and durable, the queue, latencies."""
        fields = self._writer.statistics()
        for name in ("encode_latency", "total_latency"):
            fields[name] = Latency(**fields[name])
        return WriterStatistics(**fields)

    @property
    def durable_count(self) -> int:
        """How many frames, counted from the first, would survive if this process were killed now."""
        return self._writer.durable_count()

    @property
    def dropped(self) -> FrameTable:
        """Numbers and times of the first ten thousand frames that were dropped, in order."""
        numbers, times = self._writer.dropped()
        return FrameTable(np.array(numbers, np.int64), np.array(times, np.float64))

    def close(self) -> None:
        """Encode what waits, and close the store. Nothing happens if it is closed already."""
        self._writer.close()

    def abandon(self) -> None:
        """Close at once: frames that are not durable yet are thrown away, and a store without any is removed."""
        self._writer.abandon()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *exception: object) -> None:
        # What was recorded before an error is kept.
        self.close()

    def __repr__(self) -> str:
        return f"<avstore.Writer {self._path!r}>"

    def __reduce__(self) -> Tuple[Any, ...]:
        raise TypeError("a store that is being recorded cannot be pickled")


def create(path: Path, format: str = "avc1/mp4", shape: Optional[Sequence[Integer]] = None,
           dtype: Optional[DTypeLike] = None, *, pixel_format: Optional[str] = None,
           **options: "Unpack[RecordingOptions]") -> Writer:
    """Make a new store and record into it.

    path: its folder, which must not exist, unless `overwrite` is set.
    format: see `formats`; video such as "avc1/mp4" (H.264, with loss) or "ffv1/mkv" (without), or a folder of images, "png".
    shape, dtype: of the frames that will be added; others are refused. Default: those of the first frame.
    pixel_format: what the numbers in frames mean: "gray8", "gray16", "bgr24", "rgb24", "bgra", ...; also "yuv420p" and
        "nv12", arrays of 3/2 of the image's rows. Default: gray of two dimensions, else B, G, R or B, G, R, A.

    Options (None stands for the default):

    quality: 0 (smallest files) to 100 (best picture); default 75.
    encoder: "auto" (hardware if it works: NVENC, VAAPI, Quick Sync; else software), "hardware", "nvenc",
        "vaapi", "qsv" (an error if that does not work), "software", or by libav's name, such as "libx264"; default "auto". One
        that fails while it records is replaced by the next, software last.
    device: of hardware encoders: a render node such as "/dev/dri/renderD129", or the number of a GPU.
    preset: the encoder's own trade of speed against size; default: a fast one.
    keyframe_interval: frames from one keyframe to the next; default: about half a second, at most 60. A read at random
        decodes half of that on average.
    b_frames: B-frames between others; default 0.
    frame_rate: nominal, frames per second: the spacing of timestamps in the video files; default 25.
    threads: that encode; default: a fair share of the cores that no other writer of this process claims.
    options: a mapping of any options of libavcodec or the encoder, by libav's names.
    chunk_size: frames a chunk; default 10000 of video, 200 of folders of images.
    timing: "nominal" (evenly spaced timestamps in the video files, which readers built on OpenCV need) or "real" (the
        frames' own times, for players).
    overwrite: replace a store that is there already.
    metadata: a mapping of your own, of any depth: of strings, numbers, None, lists, mappings, datetimes, dates, bytes and sets.
        metadata.yaml keeps these types; see `Store.metadata` for how they come back.
    encoding: frames are raw sensor data, such as "cv_bayerbg".
    created: when, a datetime or ISO 8601; default: now. timezone: IANA name; default: this machine's.
    color: whether frames are colour; default: as the first is.
    queue_frames, queue_bytes: at most so many wait to be encoded; default 64, and 256 MiB.
    when_full: what add() does when there is no room: "block" (wait), "drop" (leave the frame out) or "fail" (raise).
    durability: what durable frames survive: "process" (that this process is killed) or "power" (a power cut too, which costs
        a wait for the disk about twice a second).

    Raises Exists, InvalidArgument, Unsupported (format, encoder), StorageError.
    """
    return Writer(path, shape=shape, dtype=dtype, format=format, pixel_format=pixel_format, **options)


def append(path: Path, *, pixel_format: Optional[str] = None, **options: "Unpack[RecordingOptions]") -> Writer:
    """Go on with a store that was closed: frames follow those that are there, in a new chunk, and must be such as they are.

    pixel_format and options: as of `create`; what the store says of itself stays: format, encoding, chunk_size, timing,
    frame_rate, metadata, created and timezone are not used.

    Raises StoreNotFound, Exists (it is being recorded, or its recording was killed; see `repair`), Unsupported (its format is
    not written), InvalidArgument, Corrupt, StorageError.
    """
    return Writer(path, append=True, pixel_format=pixel_format, **options)
