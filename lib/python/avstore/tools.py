"""Work on whole stores.

Where a function takes `progress`, that is called now and then with the frames done and to do (0: unknown); returning False stops
the work, which raises Interrupted, as Ctrl-C does with KeyboardInterrupt. What is stopped or fails leaves no half-made store behind.
The others (`repair`, `undo_repair`, `rebuild_index`, `empty`) go on to their end; Ctrl-C counts after it.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, List, NamedTuple, Optional, Tuple

from . import _native
from .arguments import Integer, Path, Progress, Timing, frame_range, integer, native_encoder_options, \
    native_copy_options, native_path
from .errors import paths_not_found
from .store import Store

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .arguments import EncoderOptions, CopyOptions


class Format(NamedTuple):
    """A format that a store can have.

    name: "avc1/mp4", "png", ...
    extension: of its chunk or image files, with the dot.
    video: chunks are video files; else folders of images.
    lossless: what is read equals what was written, in some pixel formats. lossless_pixels: their names.
    description: one line.
    """

    name: str
    extension: str
    video: bool
    lossless: bool
    lossless_pixels: Tuple[str, ...]
    description: str


class Encoder(NamedTuple):
    """An encoder that can write a format.

    name: libav's.
    hardware: it needs a device.
    available: it works on this machine. why_not: the reason if it does not.
    """

    name: str
    hardware: bool
    available: bool
    why_not: str


class ImportResult(NamedTuple):
    """What `import_video` has made.

    frames: in the store.
    format: of the store.
    copied: the coded video was kept as it was.
    """

    frames: int
    format: str
    copied: bool


class ExportResult(NamedTuple):
    """What `export` has written.

    frames: in the video.
    frames_encoded: of these; the others were copied.
    """

    frames: int
    frames_encoded: int


class VerifyResult(NamedTuple):
    """What `verify` has found.

    frames, chunks: how many the store has.
    findings: a line each; none if all is well.
    repairs: what `repair` would do, a line each; none too while the store is recorded.
    """

    frames: int
    chunks: int
    findings: List[str]
    repairs: List[str]

    @property
    def ok(self) -> bool:
        """Nothing was found."""
        return not self.findings


class RepairResult(NamedTuple):
    """What `repair` has done.

    frames: in the store, afterwards.
    steps: a line for each thing done.
    put_aside: folder with the files as they were before; empty if nothing was done.
    whole: all frames that were durable are in the chunk that was finished, as they were written.
    frames_dropped: how many could not be read, and are no longer in the store.
    losses: what repairs have dropped of this store, this one and others: a line for each chunk.
    """

    frames: int
    steps: List[str]
    put_aside: str
    whole: bool
    frames_dropped: int
    losses: List[str]


class UndoResult(NamedTuple):
    """What `undo_repair` has done.

    frames: in the store, afterwards.
    steps: a line for each thing done.
    """

    frames: int
    steps: List[str]


class ReindexResult(NamedTuple):
    """What `reindex` has done.

    frames: in the store.
    zero: frame_index of the frame with number 0.
    renumbered: how many frames have another number now.
    """

    frames: int
    zero: int
    renumbered: int


def formats() -> List[Format]:
    """All formats a store can have, in the order they are documented."""
    return [Format(*fields) for fields in _native.formats()]


def encoders(format: str, width: Integer = 256, height: Integer = 256) -> List[Encoder]:
    """The encoders for a format in the order they are tried, each really opened for frames of that size, in pixels."""
    return [Encoder(*fields)
            for fields in _native.encoders(format, integer(width, "width", 32), integer(height, "height", 32))]


@paths_not_found()
def import_video(file: Path, store: Path, *, copy: bool = False, stream: Optional[Integer] = None,
                 start_time: Optional[float] = None, first_number: Integer = 0, number_step: Integer = 1,
                 allow_truncated: bool = False, progress: Optional[Progress] = None,
                 **options: "Unpack[CopyOptions]") -> ImportResult:
    """Make a store of a video file, of any kind that FFmpeg reads.

    copy: keep the coded video and only cut it into chunks; `format` and the options of the encoder are not used then.
    stream: libav's index; default: the first video stream.
    start_time: added to the video's own timestamps to give times; default: the file's creation time, else 0.
    first_number, number_step: frame numbers count from here.
    allow_truncated: take what there is of a file that was cut off.
    options: as of `create`.

    Raises NotFound, Exists, Corrupt (no video, damaged or cut off), InvalidArgument, Unsupported, StorageError.
    """
    return ImportResult(*_native.import_video(
        native_path(file), native_path(store), native_copy_options(options), copy,
        None if stream is None else integer(stream, "stream", 32), None if start_time is None else float(start_time),
        integer(first_number, "first_number"), integer(number_step, "number_step"), allow_truncated, progress))


def _frames_of(store: Path, save_index: bool) -> Callable[[], int]:
    return lambda: len(Store(store, save_index=save_index))


@paths_not_found()
def transcode(source: Path, destination: Path, *, start: Integer = 0, stop: Optional[Integer] = None,
              save_index: bool = True, ignore_corrupt_extra: bool = False, progress: Optional[Progress] = None,
              **options: "Unpack[CopyOptions]") -> int:
    """Write the frames [start, stop) of a store anew in another format; returns how many. Negative ones count from the end.

    Numbers, times, metadata and extra data are carried over. options: as of `create`, such as ``format="ffv1/mkv"``; where
    `metadata`, `created` or `timezone` is given, it stands in place of the source's, as a whole.
    ignore_corrupt_extra: leave out chunks of damaged extra data, with a warning.
    """
    return _native.transcode(native_path(source), native_path(destination), native_copy_options(options),
                             frame_range(start, stop, _frames_of(source, save_index)), save_index, ignore_corrupt_extra, progress)


@paths_not_found()
def export(store: Path, file: Path, *, start: Integer = 0, stop: Optional[Integer] = None, timing: Timing = "real",
           overwrite: bool = False, save_index: bool = True, progress: Optional[Progress] = None,
           **options: "Unpack[EncoderOptions]") -> ExportResult:
    """Write the frames [start, stop) as one video (.mp4 or .mkv) that players play. Negative ones count from the end.

    Coded video is copied; only frames of a keyframe interval that the range cuts into are encoded anew, and stores whose chunks
    cannot be joined (images, or differing settings).
    timing: "real", or "nominal" for evenly spaced frames. options: quality, preset, ... of what is encoded, as of `create`, but
    for B-frames, of which none are made.
    """
    return ExportResult(*_native.export(native_path(store), native_path(file), native_encoder_options(options), timing,
                                        frame_range(start, stop, _frames_of(store, save_index)), overwrite, save_index, progress))


@paths_not_found()
def verify(store: Path, *, deep: bool = False, progress: Optional[Progress] = None) -> VerifyResult:
    """Compare the database with the files. deep: decode every frame, in a row and from each keyframe.

    What is wrong is returned, not raised.
    """
    return VerifyResult(*_native.verify(native_path(store), deep, progress))


@paths_not_found()
def repair(store: Path, *, dry_run: bool = False) -> RepairResult:
    """Complete a store whose recording failed or was killed: the last chunk is finished, and .lock removed.

    Every frame that can be decoded stays, with its number and time. repair drops frames whose bytes are damaged or gone;
    `Store.info` and `verify` list them. Frames that may be wrong stay, and `verify` reports them. Missing and unreadable index files
    are written anew from the database. The folder `put_aside` in the store keeps the files as they were; `undo_repair` puts them
    back. A complete store is not changed. dry_run: only return what would be done. Ctrl-C does not stop it. Raises Exists if the
    store is being recorded.
    """
    return RepairResult(*_native.repair(native_path(store), dry_run))


@paths_not_found()
def undo_repair(store: Path) -> UndoResult:
    """Undo the last repair that changed a store: what it put aside comes back byte for byte, what it made is removed.

    Ctrl-C does not stop it; killed, it ends when called again. Raises NotFound if there is nothing to undo, InvalidArgument if the
    store has changed since (nothing is done then), Exists if it is being recorded.
    """
    return UndoResult(*_native.undo_repair(native_path(store)))


@paths_not_found()
def rebuild_index(store: Path) -> int:
    """Make the database anew from the chunks and the index files beside them; returns the number of frames.

    Ctrl-C does not stop it.
    """
    return _native.rebuild_index(native_path(store))


@paths_not_found()
def reindex(store: Path, *, ignore_corrupt_extra: bool = False, progress: Optional[Progress] = None) -> ReindexResult:
    """Renumber the frames before the one with number 0: -1 is the one before it, -2 the one before that, and so on.

    Database, npz and extra data change together, or not at all. The old numbers stay beside the new ones.
    ignore_corrupt_extra: leave damaged extra data as they are, with a warning.
    Raises InvalidArgument if not exactly one frame has number 0, Exists if the store is being recorded.
    """
    return ReindexResult(*_native.reindex(native_path(store), ignore_corrupt_extra, progress))


@paths_not_found()
def empty(store: Path) -> None:
    """Remove all frames and extra data of a store for good; its metadata stays. Raises Exists if it is being recorded."""
    _native.empty(native_path(store))
