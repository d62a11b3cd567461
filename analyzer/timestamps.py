"""Times of frames as text: RFC 3339 in UTC, or for a person in another zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import tzinfo

__all__ = ["format_time", "local_time", "parse_time"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# RFC 3339 §5.6 has four digits for the year. Times outside that range come from damaged files; the nearest bound is
# shown.
_FIRST = -62_135_596_800_000_000_000
_LAST = 253_402_300_799_999_999_999


def format_time(ns: int, digits: int) -> str:
    """Format nanoseconds since 1970 as ``2026-01-02T03:04:05.123456Z``, cut (not rounded) to ``digits`` decimals
    (0-9)."""
    second, fraction = divmod(min(max(ns, _FIRST), _LAST), 1_000_000_000)
    if not digits:
        return f"{_second(second)}Z"
    return f"{_second(second)}.{fraction // 10 ** (9 - digits):0{digits}d}Z"


def parse_time(text: str) -> int:
    """Return the nanoseconds since 1970 of a text that ``format_time`` wrote."""
    second, _, fraction = text.removesuffix("Z").partition(".")
    return _whole(second) * 1_000_000_000 + int(f"{fraction:0<9}")


def local_time(text: str, zone: tzinfo | None) -> datetime:
    """Return the time of a text that ``format_time`` wrote in ``zone``, cut to microseconds; None: the zone of this
    machine. A time that the calendar does not have there stays in UTC."""
    time = _EPOCH + timedelta(microseconds=parse_time(text) // 1000)
    try:
        return time.astimezone(zone)
    except (OverflowError, OSError, ValueError):
        return time


@lru_cache(maxsize=1024)
def _whole(second: str) -> int:
    since = datetime.strptime(second, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC) - _EPOCH
    return since.days * 86_400 + since.seconds


@lru_cache(maxsize=1024)
def _second(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
