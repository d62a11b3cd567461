"""The header section of a message: its fields, and what is wrong with their form (RFC 5322)."""

# Theory
# ------
# A header section is read once, when its empty line was seen. What it says is one immutable value, made from its octets
# and nothing else. So the values of short sections are remembered: tests, monitors and lists send the same section many
# times. The table is bounded by its entries and by the size of a section that it takes.
#
# One search finds all known fields, a second one a line that belongs to no field. Places are only searched when there
# is something to report. Values are not judged, except those of Date, From and Message-ID. A new fact about a field is
# one more attribute, computed from `fields` in `_read`.

from __future__ import annotations

import datetime
import re
from functools import lru_cache

from msgspec import Struct
from msgspec.structs import replace

from ...dissectors.printable import printable, whole_words
from .octet_checks import Flaw
from .originator_fields import AuthorFault, author_fault, message_id_fault, without_comments

__all__ = ["HeaderFault", "HeaderReport", "begins_field", "date_fault", "fault_of_field", "find_field", "read_header"]

begins_field = re.compile(rb"[!-9;-~]++:").match
"""Match the name of a field and its colon at the start of a text (RFC 5322 §2.2)."""

MAX_QUOTED = 100  # bytes of a header line that are shown as evidence
MAX_REMEMBERED = 512  # header sections
MAX_REMEMBERED_OCTETS = 2048  # of one section: with its value, the table holds about 2 MB at most

# RFC 5322 §2.2: a field is a name of printable ASCII without colon, a colon, and text that may be folded. This finds an
# LF without CR, and the LF before a line that does not start like a field or a continuation.
_UNUSUAL_LINE = re.compile(rb"\n(?!(?<=\r\n)(?:[!-9;-~]++:|[ \t]|\Z))").search
_BLANK_BEFORE_COLON = re.compile(rb"[!-9;-~]++[ \t]++:").match
# RFC 5322 §3.6, RFC 2045 §3: fields that may occur once at most. As they are usually spelled, which saves a step for
# each field.
_ENCODING = b"Content-Transfer-Encoding"
_ONCE = (
    *(b"Date", b"From", b"Sender", b"Reply-To", b"To", b"Cc", b"Bcc"),
    *(b"Message-ID", b"In-Reply-To", b"References", b"Subject"),
    *(b"MIME-Version", b"Content-Type", _ENCODING, b"Content-ID", b"Content-Description"),
)
_SPELLED = frozenset((*_ONCE, b"Return-Path"))
_SPELLING = {name.lower(): name for name in _SPELLED}
_KNOWN_FIELDS = re.compile(
    rb"\n(" + rb"|".join((*_ONCE, b"Return-Path")) + rb")[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)", re.IGNORECASE
)
_FOLDS = re.compile(rb"\r?\n[ \t]+")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")


class HeaderFault(Struct, frozen=True, gc=False):
    """A fault: its first offset ``at`` in the header section, how often it occurs, and the line as printable text.
    ``quoted``: what of the field is meant, on one line, if that is not the line."""

    at: int
    times: int
    text: str
    what: str = ""
    quoted: str = ""


class HeaderReport(Struct, frozen=True, gc=False):
    """The content of a header section.

    ``flaws``: its faults as ``Flaw`` bits, described by ``repeated`` (fields that may occur only once), ``malformed``,
    ``bad_date``, ``bad_message_id``, ``bad_author`` and ``return_path`` (the field is there). ``content_type`` and
    ``transfer_encoding``: unfolded, empty if the field is absent. ``mime``: there is a MIME-Version. ``encoded``: MIME
    says that the body must be decoded, or that it has parts.
    """

    flaws: int
    repeated: HeaderFault | None
    malformed: HeaderFault | None
    bad_date: HeaderFault | None
    bad_message_id: HeaderFault | None
    bad_author: HeaderFault | None
    return_path: HeaderFault | None
    subject: bytes | None
    message_id: bytes | None
    content_type: bytes
    transfer_encoding: bytes
    mime: bool
    encoded: bool


def read_header(header: bytes) -> HeaderReport:
    """Read a whole header section, without the empty line after it. Accepts any bytes.

    Lines end with CRLF (RFC 5322 §2.1). In a section without any CRLF, as some clients write it, they end with LF.
    """
    return _read_remembered(header) if len(header) <= MAX_REMEMBERED_OCTETS else _read(header)


def _read(header: bytes) -> HeaderReport:
    repeated = malformed = bad_date = bad_message_id = bad_author = return_path = None
    if header[:1] in _BLANKS or _UNUSUAL_LINE(b"\r\n" + header):
        if b"\r\n" in header:
            header = _BARE_LF.sub(b" ", header)
        malformed = _first_malformed(header)
    lines = b"\n" + header
    found = _KNOWN_FIELDS.findall(lines)
    fields: dict[bytes, bytes] = dict(found)
    if b"Message-Id" in fields and b"Message-ID" not in fields:
        fields[b"Message-ID"] = fields.pop(b"Message-Id")  # many programs spell it so
    if len(fields) < len(found) or not _SPELLED.issuperset(fields):
        fields = {_SPELLING[name.lower()]: value for name, value in reversed(found)}  # the first of each name
        if len(fields) < len(found):
            repeated = _first_repeated(lines)
    date, author, identifier = fields.get(b"Date"), fields.get(b"From"), fields.get(b"Message-ID")
    wrong = None if date is None else date_fault(date)
    if wrong is not None:
        bad_date = _field_fault(lines, b"Date", wrong)
    no_author = None if author is None else author_fault(author, sender=b"Sender" in fields)
    if no_author is not None:
        bad_author = _author_fault(lines, no_author)
    wrong = None if identifier is None else message_id_fault(identifier)
    if identifier is not None and wrong is not None:
        text = printable(whole_words(_on_one_line(identifier), MAX_QUOTED))
        quoted = f"Message-ID: {text}" if text else ""
        bad_message_id = _field_fault(lines, b"Message-ID", wrong, quoted)
    if b"Return-Path" in fields:
        return_path = _field_fault(lines, b"Return-Path", "")
    kind = _unfolded(fields[b"Content-Type"]) if b"Content-Type" in fields else b""
    encoding = _unfolded(fields[_ENCODING]) if _ENCODING in fields else b""
    mime = b"MIME-Version" in fields
    flaws = (
        (Flaw.NO_DATE if date is None else 0)
        | (Flaw.NO_FROM if author is None else 0)
        | (Flaw.NO_MESSAGE_ID if identifier is None else 0)
        | (0 if repeated is None else Flaw.REPEATED_FIELD)
        | (0 if malformed is None else Flaw.MALFORMED_HEADER)
        | (0 if bad_date is None else Flaw.BAD_DATE)
        | (0 if bad_author is None else Flaw.BAD_AUTHOR)
        | (0 if bad_message_id is None else Flaw.BAD_MESSAGE_ID)
        | (0 if return_path is None else Flaw.RETURN_PATH)
        | (0 if mime or (b"Content-Type" not in fields and _ENCODING not in fields) else Flaw.NOT_MIME)
    )
    return HeaderReport(
        flaws,
        repeated,
        malformed,
        bad_date,
        bad_message_id,
        bad_author,
        return_path,
        _on_one_line(fields[b"Subject"]) if b"Subject" in fields else None,
        None if identifier is None else _on_one_line(identifier),
        kind,
        encoding,
        mime,
        mime and (kind[:10].lower() in _COMPOSITE or encoding.lower() in {b"base64", b"quoted-printable"}),
    )


def fault_of_field(header: bytes, name: bytes, wrong: str) -> HeaderFault:
    """Return the fault ``wrong`` at the first field ``name``, which the section has."""
    return _field_fault(b"\n" + header, name, wrong)


_read_remembered = lru_cache(maxsize=MAX_REMEMBERED)(_read)
_BLANKS = (b" ", b"\t")
_COMPOSITE = frozenset({b"multipart/", b"message/rf", b"message/gl"})  # the starts of types that have parts


def find_field(header: bytes, name: bytes) -> bytes | None:
    """Return the body of the first field ``name``, on one line, None if there is none (RFC 5322 §2.2)."""
    pattern = rb"(?:\A|\n)" + re.escape(name) + rb"[ \t]*:[ \t]*((?:[^\n]*)(?:\n[ \t][^\n]*)*)"
    found = re.search(pattern, header, re.IGNORECASE)
    return None if found is None else _on_one_line(found[1])


def _unfolded(value: bytes) -> bytes:
    """Return a field body on one line, without the white space around it (RFC 5322 §2.2.3)."""
    value = value.strip(b" \t\r\n")
    return _FOLD.sub(b"", value) if b"\n" in value else value


def _on_one_line(value: bytes) -> bytes:
    """Return a field body to display: each fold with its white space becomes one space."""
    value = value.strip(b" \t\r\n")
    return _FOLDS.sub(b" ", value) if b"\n" in value else value


# -- faults ------------------------------------------------------------------------------------------------------------
# ``lines`` is the section with an LF in front. This LF and the LF at the start of each match cancel each other out: the
# start of a match in ``lines`` is the start of the field in the section.


def _first_repeated(lines: bytes) -> HeaderFault | None:
    """Return the first field that occurs again and may not, with the number and the names of such fields."""
    seen: set[bytes] = set()
    again: list[tuple[int, str]] = []
    for found in _KNOWN_FIELDS.finditer(lines):
        name = _SPELLING[found[1].lower()]
        if name in seen:
            again.append((found.start(), name.decode("ascii")))
        elif name in _ONCE:
            seen.add(name)
    if not again:
        return None
    names = ", ".join(sorted({name for _, name in again}))
    return HeaderFault(again[0][0], len(again), _line(lines, again[0][0]), names)


def _field_fault(lines: bytes, name: bytes, wrong: str, quoted: str = "") -> HeaderFault:
    """Return a fault of the first field ``name``."""
    name = name.lower()
    at = next(found.start() for found in _KNOWN_FIELDS.finditer(lines) if found[1].lower() == name)
    return HeaderFault(at, 1, _line(lines, at), wrong, quoted)


def _author_fault(lines: bytes, wrong: AuthorFault) -> HeaderFault:
    """Return a fault of the first From field; ``times`` is the number of authors, if there are too many."""
    fault = _field_fault(lines, b"From", wrong.what, f"From: {wrong.author}" if wrong.author else "")
    return replace(fault, times=wrong.authors) if wrong.authors else fault


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
        elif not begins_field(text):
            blank = _BLANK_BEFORE_COLON(text)
            wrong = "there is white space before the colon" if blank else "the line has no field name"
        if wrong:
            count += 1
            if first < 0:
                first, what = at, wrong
        at += len(line) + 1
    return HeaderFault(first, count, _line(b"\n" + header, first), what) if count else None


def _line(lines: bytes, at: int) -> str:
    """Return the line after the LF at ``at``, as printable text."""
    end = lines.find(b"\n", at + 1)
    return printable(whole_words(lines[at + 1 : end if end >= 0 else len(lines)].rstrip(b"\r"), MAX_QUOTED))


# -- the date ----------------------------------------------------------------------------------------------------------

_MONTHS = (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec")
_DAYS = (b"mon", b"tue", b"wed", b"thu", b"fri", b"sat", b"sun")
# RFC 5322 §3.3 and §4.3: date-time, with obsolete years, zones and blanks. Comments were removed before.
_DATE = re.compile(
    rb"[ \t]*+(?:(?P<name>" + rb"|".join(_DAYS) + rb")[ \t]*+,)?[ \t]*+(?P<day>[0-9]{1,2})[ \t]*+"
    rb"(?P<month>" + rb"|".join(_MONTHS) + rb")[ \t]*+(?P<year>[0-9]{2,9})[ \t]++"
    rb"(?P<hour>[0-9]{1,2})[ \t]*+:[ \t]*+(?P<minute>[0-9]{2})(?:[ \t]*+:[ \t]*+(?P<second>[0-9]{2}))?[ \t]*+"
    rb"(?:[+-](?P<zone>[0-9]{4})|[A-Za-z]{1,9})[ \t]*+",
    re.IGNORECASE,
).fullmatch
MAX_DATES = 1024  # Date fields remembered: many messages are sent in one second
MAX_DATE_OCTETS = 128  # of a field that is remembered


def date_fault(value: bytes) -> str | None:
    """Return what is wrong with the body of a Date field (RFC 5322 §3.3, §4.3), None if nothing."""
    return _date_fault_remembered(value) if len(value) <= MAX_DATE_OCTETS else _date_fault(value)


def _date_fault(value: bytes) -> str | None:
    found = _DATE(without_comments(_unfolded(value)))
    if found is None:
        return "it is not a date and time with a zone"
    hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"] or b"0")
    if hour > 23 or minute > 59 or second > 60 or int(found["zone"] or b"0") % 100 > 59:
        return "this time does not exist"
    year = int(found["year"])
    if len(found["year"]) < 4:
        year += 2000 if len(found["year"]) == 2 and year < 50 else 1900
    if year > datetime.MAXYEAR:
        return None  # valid grammar, but after the last year of `datetime`
    try:
        day = datetime.date(year, _MONTHS.index(found["month"].lower()) + 1, int(found["day"]))
    except ValueError:
        return "this day does not exist"
    if found["name"] is not None and _DAYS[day.weekday()] != found["name"].lower():
        return f"that day is a {_DAYS[day.weekday()].decode().title()}, not a {found['name'].decode().title()}"
    return None


_date_fault_remembered = lru_cache(maxsize=MAX_DATES)(_date_fault)
