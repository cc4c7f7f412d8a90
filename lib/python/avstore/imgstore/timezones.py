"""Time zones of the kind that imgstore gives: the package pytz's where it is there, else Python's zoneinfo."""
from __future__ import annotations

import datetime
import os
import zoneinfo
from typing import Iterator, Optional

try:
    import pytz  # type: ignore[import]
except ImportError:
    pytz = None


def zone_of(name: str) -> datetime.tzinfo:
    """The zone of that IANA name, this machine's if it is empty; UTC if it is not known, of which opening the store has warned."""
    for each in [name] if name else _local_names():
        known = _known_zone(each)
        if known is not None:
            return known
    return utc()


def utc() -> datetime.tzinfo:
    return pytz.utc if pytz else _known_zone("UTC") or datetime.timezone.utc


def _known_zone(name: str) -> Optional[datetime.tzinfo]:
    try:
        return pytz.timezone(name) if pytz else zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def _local_names() -> Iterator[str]:
    """What this machine's zone may be called, as stores get their timezone_local."""
    yield os.environ.get("TZ", "").lstrip(":")
    try:
        with open("/etc/timezone", encoding="utf-8") as file:
            yield file.readline().strip()
    except (OSError, UnicodeDecodeError):
        pass
    yield os.path.realpath("/etc/localtime").partition("/zoneinfo/")[2]
