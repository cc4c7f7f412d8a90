"""The exceptions that avstore raises.

All derive from `Error`, and each also from the exception of Python that says the same, so that code which knows nothing of
avstore catches the right ones. What has to do with a file names it at the beginning of its message.
"""
from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
import warnings
from typing import Any, Iterator, Optional

__all__ = ["AvstoreWarning", "Corrupt", "EndOfStore", "Error", "Exists", "Interrupted", "InvalidArgument", "NotFound",
           "StorageError", "StoreNotFound", "Unsupported"]


class Error(Exception):
    """Any failure of avstore."""

    # KeyError would print the message in quotes.
    __str__ = Exception.__str__


class NotFound(Error, KeyError):
    """There is no such frame number, file or stream."""


def _file_named(message: str) -> Optional[str]:
    """The path with which a message begins, as those of avstore do."""
    ends = [place.start() for place in re.finditer(": ", message)]
    there = [message[:end] for end in ends if os.path.lexists(message[:end])]
    gone = [message[:end] for end in ends[:1] if os.path.isabs(message) or os.path.isdir(os.path.dirname(message[:end]))]
    return next(iter(reversed(gone + there)), None)


class _OfTheSystem(OSError):
    """An OSError whose message is not made of its errno and filename."""

    _usual_errno: Optional[int] = None

    def __init__(self, message: str = "", system_error: Optional[int] = None, filename: Optional[str] = None):
        super().__init__(message)
        self.errno = system_error or self._usual_errno  # type: ignore[assignment]
        self.strerror = message
        self.filename = filename or _file_named(message)

    def __reduce__(self) -> Any:
        return type(self), (self.strerror, self.errno, self.filename)


class StoreNotFound(_OfTheSystem, NotFound, FileNotFoundError):
    """There is no store, or no file, at that path. Its errno is ENOENT."""

    _usual_errno = errno.ENOENT


class EndOfStore(Error, EOFError, IndexError):
    """A frame index past the last frame."""


class InvalidArgument(Error, ValueError):
    """What was asked for cannot be."""


class Exists(_OfTheSystem, Error, FileExistsError):
    """The destination is there already. Its errno is EEXIST."""

    _usual_errno = errno.EEXIST


class Corrupt(Error):
    """A file or database contradicts itself or another."""


class Unsupported(Error, ValueError):
    """Well-formed, but not something that this library or machine can do."""


class StorageError(_OfTheSystem, Error, OSError):
    """The operating system refused: full disk, permissions and the like. Its errno says which; None if not known."""


class Interrupted(Error):
    """The work was stopped by its `progress`."""


class AvstoreWarning(UserWarning):
    """Something is wrong that could be worked around, or was done otherwise than asked for."""


@contextlib.contextmanager
def paths_not_found() -> Iterator[None]:
    """What is not found in here is a path. Also a decorator."""
    try:
        yield
    except NotFound as error:
        raise StoreNotFound(str(error)) from None


def warn(text: str) -> None:
    """Warn at the line outside this package that made the call."""
    level = 2
    frame = sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__package__")).split(".")[0] == __package__:
        frame = frame.f_back
        level += 1
    warnings.warn(text, AvstoreWarning, stacklevel=level)
