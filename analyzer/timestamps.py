"""Times of frames as text: RFC 3339 in UTC, or for a person in another zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache

__all__ = ["LocalZone", "format_time", "local_time", "parse_time"]

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


class LocalZone(tzinfo):
    """The zone of this machine: its offset from UTC depends on the time, as the system knows it."""

    def fromutc(self, when: datetime) -> datetime:
        """Return a time in UTC as a time here."""
        here = when.replace(tzinfo=UTC).astimezone()
        return here.replace(tzinfo=timezone(here.utcoffset() or timedelta()))

    def utcoffset(self, when: datetime | None) -> timedelta | None:
        """Return what clocks here were ahead of UTC at ``when``, a time here."""
        return None if when is None else when.replace(tzinfo=None).astimezone().utcoffset()

    def dst(self, when: datetime | None) -> timedelta | None:
        """Return None: it is not known apart from the offset."""
        return None

    def tzname(self, when: datetime | None) -> str | None:
        """Return None: the offset is printed."""
        return None


def local_time(text: str, zone: tzinfo) -> datetime:
    """Return the time of a text that ``format_time`` wrote in ``zone``, cut to microseconds. A time that the calendar
    does not have there stays in UTC."""
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
