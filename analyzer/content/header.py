"""The header section of a message: its fields, and what is wrong with their form (RFC 5322)."""

# A header section is read once, when its empty line was seen. One match decides whether the whole section is
# well-formed; its lines are checked one by one only if it is not. Values are not judged, except the date.

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache

from msgspec import Struct

from ...dissectors.printable import printable

__all__ = ["HeaderFault", "HeaderReport", "date_fault", "on_one_line", "plain_fields", "read_header"]

MAX_QUOTED = 100  # bytes of a header line that are shown as evidence

# RFC 5322 §2.2: a field is a name of printable ASCII without colon, a colon, and text that may be folded.
_WELL_FORMED = re.compile(rb"(?:[!-9;-~]++:[^\r\n]*+(?:\r?\n[ \t][^\r\n]*+)*+(?:\r?\n|\Z))*+").fullmatch
_FIELD = re.compile(rb"[!-9;-~]++:").match
_BLANK_BEFORE_COLON = re.compile(rb"[!-9;-~]++[ \t]++:").match
# RFC 5322 §3.6: fields that may occur once at most; then the fields that make the body MIME (RFC 2045 §3).
_NAMES = re.compile(
    rb"\n(date|from|sender|reply-to|to|cc|bcc|message-id|in-reply-to|references|subject"
    rb"|mime-version|content-type|content-transfer-encoding)[ \t]*+:((?:[^\n]*+)(?:\n[ \t][^\n]*+)*+)",
    re.IGNORECASE,
)
_MIME = frozenset({b"mime-version", b"content-type", b"content-transfer-encoding"})
_FOLDS = re.compile(rb"\r?\n[ \t]+")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")


class HeaderFault(Struct, frozen=True):
    """A fault: its first offset ``at`` in the header section, how often it occurs, and the line as printable text."""

    at: int
    times: int
    text: str
    what: str = ""


class HeaderReport(Struct, frozen=True):
    """The content of a header section. ``repeated``: fields that may occur only once; ``mime``: unfolded, by lower
    name."""

    has_date: bool
    has_from: bool
    repeated: HeaderFault | None
    malformed: HeaderFault | None
    bad_date: HeaderFault | None
    mime: dict[bytes, bytes]
    subject: bytes | None
    message_id: bytes | None


def read_header(header: bytes) -> HeaderReport:
    """Read a whole header section, without the empty line after it. Accepts any bytes.

    Lines end with CRLF (RFC 5322 §2.1). In a section without any CRLF, as some clients write it, they end with LF.
    """
    if b"\r\n" in header and header.count(b"\n") != header.count(b"\r\n"):
        header = _BARE_LF.sub(b" ", header)
    first: dict[bytes, re.Match[bytes]] = {}
    mime: dict[bytes, bytes] = {}
    again: list[re.Match[bytes]] = []
    for found in _NAMES.finditer(b"\n" + header):
        name = found[1].lower()
        if name in _MIME:
            mime.setdefault(name, unfolded(found[2]))
        elif name in first:
            again.append(found)
        else:
            first[name] = found
    repeated = None
    if again:
        names = sorted({found[1].decode("ascii").title().replace("-Id", "-ID") for found in again})
        # the LF put in front of the section and the LF at the start of each match cancel each other out
        repeated = HeaderFault(again[0].start(), len(again), _line(header, again[0].start()), ", ".join(names))
    bad_date = None
    if b"date" in first:
        wrong = date_fault(unfolded(first[b"date"][2]))
        if wrong is not None:
            at = first[b"date"].start()
            bad_date = HeaderFault(at, 1, _line(header, at), wrong)
    malformed = None if _WELL_FORMED(header) else _first_malformed(header)
    subject, message_id = first.get(b"subject"), first.get(b"message-id")
    return HeaderReport(
        b"date" in first,
        b"from" in first,
        repeated,
        malformed,
        bad_date,
        mime,
        None if subject is None else on_one_line(subject[2]),
        None if message_id is None else on_one_line(message_id[2]),
    )


def plain_fields(header: bytes) -> dict[bytes, bytes] | None:
    """Return the bodies of the known fields, by lower name, of a section without faults and with CRLF line ends.

    None if it has a fault, or if a field says that the body must be decoded.
    """
    if not _WELL_FORMED(header):
        return None
    found = _NAMES.findall(b"\n" + header)
    fields = {name.lower(): value for name, value in found}
    if len(fields) != len(found) or (not _MIME.isdisjoint(fields) and _is_encoded(fields)):
        return None
    sent = fields.get(b"date")
    return fields if sent is None or date_fault(unfolded(sent)) is None else None


def _is_encoded(fields: dict[bytes, bytes]) -> bool:
    """Return whether the body may be a multipart, or anything else than plain text."""
    kind, encoding = fields.get(b"content-type", b""), fields.get(b"content-transfer-encoding", b"7bit")
    return unfolded(kind)[:4].lower() != b"text" or unfolded(encoding).lower() not in {b"7bit", b"8bit"}


def unfolded(value: bytes) -> bytes:
    """Return a field body on one line, without the white space around it (RFC 5322 §2.2.3)."""
    value = value.strip(b" \t\r\n")
    return _FOLD.sub(b"", value) if b"\n" in value else value


def on_one_line(value: bytes) -> bytes:
    """Return a field body to display: each fold with its white space becomes one space."""
    value = value.strip(b" \t\r\n")
    return _FOLDS.sub(b" ", value) if b"\n" in value else value


def _line(header: bytes, at: int) -> str:
    end = header.find(b"\n", at)
    return printable(header[at : end if end >= 0 else len(header)].rstrip(b"\r")[:MAX_QUOTED])


def _first_malformed(header: bytes) -> HeaderFault | None:
    """Return the first line that belongs to no field, with the number of such lines."""
    at, count, first, what = 0, 0, -1, ""
    for line in header.split(b"\n"):
        text = line.rstrip(b"\r")
        wrong = ""
        if not text:
            pass  # after the last line
        elif text[0] in b" \t":
            wrong = "" if at else "the first line is a continuation"
        elif not _FIELD(text):
            blank = _BLANK_BEFORE_COLON(text)
            wrong = "there is white space before the colon" if blank else "the line has no field name"
        if wrong:
            count += 1
            if first < 0:
                first, what = at, wrong
        at += len(line) + 1
    return HeaderFault(first, count, _line(header, first), what) if count else None


# -- the date ----------------------------------------------------------------------------------------------------------

_MONTHS = (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec")
_DAYS = (b"mon", b"tue", b"wed", b"thu", b"fri", b"sat", b"sun")
_COMMENT = re.compile(rb"\((?:[^()\\]|\\.)*+\)", re.DOTALL)
# RFC 5322 §3.3 and §4.3: date-time, with obsolete years, zones and blanks. Comments were removed before.
_DATE = re.compile(
    rb"[ \t]*+(?:(?P<name>" + rb"|".join(_DAYS) + rb")[ \t]*+,)?[ \t]*+(?P<day>[0-9]{1,2})[ \t]*+"
    rb"(?P<month>" + rb"|".join(_MONTHS) + rb")[ \t]*+(?P<year>[0-9]{2,9})[ \t]++"
    rb"(?P<hour>[0-9]{1,2})[ \t]*+:[ \t]*+(?P<minute>[0-9]{2})(?:[ \t]*+:[ \t]*+(?P<second>[0-9]{2}))?[ \t]*+"
    rb"(?:[+-](?P<zone>[0-9]{4})|[A-Za-z]{1,9})[ \t]*+",
    re.IGNORECASE,
).fullmatch
MAX_DATES = 1024  # Date fields remembered: many messages are sent in one second
MAX_COMMENTS = 16  # nested comments that are removed from a date


@lru_cache(maxsize=MAX_DATES)
def date_fault(value: bytes) -> str | None:
    """Return what is wrong with the body of a Date field (RFC 5322 §3.3, §4.3), None if nothing."""
    for _ in range(MAX_COMMENTS):
        if b"(" not in value:
            break
        value = _COMMENT.sub(b" ", value)
    found = _DATE(value)
    if found is None:
        return "it is not a date and time with a zone"
    hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"] or b"0")
    if hour > 23 or minute > 59 or second > 60 or int(found["zone"] or b"0") % 100 > 59:
        return "this time does not exist"
    year = int(found["year"])
    if len(found["year"]) < 4:
        year += 2000 if len(found["year"]) == 2 and year < 50 else 1900
    if year > date.max.year:
        return None  # valid grammar, but after the last year of `date`
    try:
        day = date(year, _MONTHS.index(found["month"].lower()) + 1, int(found["day"]))
    except ValueError:
        return "this day does not exist"
    if found["name"] is not None and _DAYS[day.weekday()] != found["name"].lower():
        return f"that day is a {_DAYS[day.weekday()].decode().title()}, not a {found['name'].decode().title()}"
    return None
