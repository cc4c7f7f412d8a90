"""Files of stores that may come from strangers: any name in them may be a link, or a pipe that would keep its reader waiting."""
from __future__ import annotations

import contextlib
import os
import secrets
import stat
from typing import Iterator


def require_file(path: str) -> None:
    """Raises OSError unless it is a regular file, or a link to one."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(f"{path}: is a folder, a pipe or a device, not a file")


def require_own_database(path: str) -> None:
    """Raises OSError if a database, or a file that SQLite keeps beside it, is a link or no file. SQLite writes to all of them."""
    for file in (path, path + "-journal", path + "-wal", path + "-shm"):
        try:
            mode = os.lstat(file).st_mode
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(mode):
            raise OSError(f"{file}: is a link, a folder, a pipe or a device, not a file")


@contextlib.contextmanager
def replacing(path: str) -> Iterator[str]:
    """The name of an empty file, that nobody can foresee. The file takes the place of `path` if the body ends well."""
    fresh = f"{path}.tmp{os.getpid()}-{secrets.token_hex(6)}"
    with open(fresh, "xb"):
        pass
    try:
        yield fresh
        os.replace(fresh, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh)
        raise
