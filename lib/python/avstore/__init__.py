"""Video stores of laboratory recordings: any frame, exactly, at once.

Reading::

    import avstore

    s = avstore.open("arena.store")
    len(s), s.info.shape, s.metadata
    frame = s[125]                    # a NumPy array that knows its frame.index, frame.number and frame.time
    frame = s.at_number(5125)         # by the camera's own counter
    frame = s.at_time(1709296205.03)  # nearest in time
    some = s[[300, 7, 42]]            # a list, decoded in the cheapest order
    s.frames.time                     # times of all frames, without decoding
    s.extra                           # records that were tied to frames, as a table
    s.to_dask()                       # all frames as a lazy dask.array

Recording::

    with avstore.create("rig.store", "avc1/mp4", quality=80) as w:
        w.add(image, number, time)    # uint8: [rows, columns], or [rows, columns, 3] in the order B, G, R
        w.add_extra(force=0.5)

Whole stores: import_video, transcode, export, verify, repair, undo_repair, rebuild_index, reindex, empty, align.

Numbers may be Python's or NumPy's, of any width. Times are seconds, usually Unix time.
Failures derive from `Error`, and each from the exception of Python that says the same (see avstore.errors).
"""
from .alignment import Alignment, align
from .errors import (AvstoreWarning, Corrupt, EndOfStore, Error, Exists, Interrupted, InvalidArgument, NotFound, StorageError,
                     StoreNotFound, Unsupported)
from .frame import Frame, FrameInfo
from .store import FrameTable, ReadStatistics, Store, StoreInfo, open
from .tools import (Encoder, ExportResult, Format, ImportResult, ReindexResult, RepairResult, UndoResult, VerifyResult, empty,
                    encoders, export, formats, import_video, rebuild_index, reindex, repair, transcode, undo_repair, verify)
from .writer import Latency, Writer, WriterStatistics, append, create

__all__ = [
    "open", "create", "append",
    "import_video", "transcode", "export", "verify", "repair", "undo_repair", "rebuild_index", "reindex", "empty", "align",
    "formats", "encoders",
    "Store", "Frame", "FrameInfo", "FrameTable", "StoreInfo", "ReadStatistics",
    "Writer", "WriterStatistics", "Latency", "Alignment", "Format", "Encoder",
    "ImportResult", "ExportResult", "VerifyResult", "RepairResult", "UndoResult", "ReindexResult",
    "Error", "NotFound", "StoreNotFound", "EndOfStore", "InvalidArgument", "Exists", "Corrupt", "Unsupported", "StorageError",
    "Interrupted", "AvstoreWarning",
]
