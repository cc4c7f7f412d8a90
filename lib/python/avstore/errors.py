"""The exceptions that avstore raises.

All derive from `Error`, and each also from the exception of Python that says the same, so that code which knows nothing of
avstore catches the right ones. Messages name the file concerned.
"""
from __future__ import annotations

import contextlib
import sys
import warnings
from typing import Iterator

__all__ = ["AvstoreWarning", "Corrupt", "EndOfStore", "Error", "Exists", "Interrupted", "InvalidArgument", "NotFound",
           "StorageError", "StoreNotFound", "Unsupported"]


class Error(Exception):
    """Any failure of avstore."""

    # KeyError would print the message in quotes.
    __str__ = Exception.__str__


class NotFound(Error, KeyError):
    """There is no such frame number, file or stream."""


class StoreNotFound(NotFound, FileNotFoundError):
    """There is no store, or no file, at that path."""


class EndOfStore(Error, EOFError, IndexError):
    """A frame index past the last frame."""


class InvalidArgument(Error, ValueError):
    """What was asked for cannot be."""


class Exists(Error, FileExistsError):
    """The destination is there already."""


class Corrupt(Error):
    """A file or database contradicts itself or another."""


class Unsupported(Error, ValueError):
    """Well-formed, but not something that this library or machine can do."""


class StorageError(Error, OSError):
    """The operating system refused: full disk, permissions and the like."""


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
