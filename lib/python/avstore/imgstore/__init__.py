"""imgstore's Python API on avstore's engine: scripts run unchanged, faster, without OpenCV.

::

    import avstore.imgstore as imgstore

    store = imgstore.new_for_filename("arena/metadata.yaml")
    image, (frame_number, frame_time) = store.get_next_image()

Names, arguments, shapes, types and exceptions are those of imgstore 0.4. Stores are found by path and hold what avstore.open
reads and avstore.create writes. What differs:

- Any frame is found and decoded exactly, whatever the format: frame numbers and indices may be NumPy's, chunks may be of any
  length and follow on a chunk that lost its index, and seeking in h264/mkv is as exact as elsewhere.
- Images of 16 bit keep them in the formats that hold them.
- A store is not written over: a folder that holds one, or other files, raises FileExistsError, unless overwrite=True is given.
- A closed store that was opened for reading opens again when it is used.
- Without pandas, extra data come as a dict of arrays; without PyYAML, dates, bytes and sets in user metadata as avstore.open
  has them.

README.md lists the smaller ones.
"""
from .constants import STORE_MD_FILENAME
from .stores import DirectoryImgStore, VideoImgStore, extract_only_frame, get_supported_formats, new_for_filename, \
    new_for_format
from .util import ensure_color, ensure_grayscale

__all__ = ["DirectoryImgStore", "STORE_MD_FILENAME", "VideoImgStore", "ensure_color", "ensure_grayscale", "extract_only_frame",
           "get_supported_formats", "new_for_filename", "new_for_format"]

#: The version of imgstore whose API this is.
__version__ = "0.4.0"
