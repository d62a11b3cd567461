"""Parse one complete reply: its code, its texts, and all deviations from the grammar."""

# Hot path. A reply takes one match if it is well-formed and in ASCII, with one line or many; only otherwise are its
# lines parsed one by one. Nothing is remembered here: the reader of the server's lines does that.

from __future__ import annotations

import re
from itertools import compress
from typing import TYPE_CHECKING

from msgspec import Struct

from ..deviations import Deviation, DeviationKind, quoted
from ..grammar.abnf import EXTENDED_STATUS, REPLY_CODE
from ..printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "MAX_OFFERS",
    "Deviation",
    "DeviationKind",
    "Reply",
    "ReplyLine",
    "begins_reply",
    "parse_reply",
]


class ReplyLine(Struct, frozen=True, gc=False):
    """One line of a reply. ``code``: None if it is not a valid reply line; then all of it is ``text``. ``separator``:
    b" ", b"-" or b"". ``at``: offset in the reply. ``enhanced``: see Reply."""

    code: int | None
    separator: bytes
    text: bytes
    enhanced: str | None
    at: int


_leading_status = re.compile(rb"(" + EXTENDED_STATUS + rb")(?: |\Z)").match
_begins = re.compile(rb"[0-9]{3}(?:[ \r\n-]|\Z)").match

# Well-formed replies. Bytes above 0x7F are excluded, so that a match also means ASCII.
# The status code of the first line is a group of its own.
_STATUS = rb"(?:(" + EXTENDED_STATUS + rb")(?=[ \r]))?"
_one_line = re.compile(rb"(" + REPLY_CODE + rb") (" + _STATUS + rb"[^\r\n\x80-\xff]*+)\r\n").fullmatch
_many_lines = re.compile(
    rb"(" + REPLY_CODE + rb")-" + _STATUS + rb"[^\r\n\x80-\xff]*+\r\n"
    rb"(?:\1-[^\r\n\x80-\xff]*+\r\n)*\1 [^\r\n\x80-\xff]*+\r\n"
).fullmatch


def begins_reply(line: bytes) -> bool:
    """Whether ``line`` starts like a line of a reply: three digits, then SP, "-" or the end of the line
    (RFC 5321 §4.2)."""
    return _begins(line) is not None


def _enhanced(code: int, text: bytes) -> str | None:
    # RFC 2034 §4: a 3yz reply has no status code
    if code // 100 not in {2, 4, 5}:
        return None
    match = _leading_status(text)
    return None if match is None else match[1].decode("ascii")


class Reply(Struct, eq=False, gc=False):
    """A complete reply as sent. Read-only, and shared between equal replies; ``parse_reply`` makes it.

    ``code``: the code of the last line that has one, 0 if none has: if the lines differ, what the server decided stands
    in the last (RFC 5321 §4.2.1). ``codes``: the code of each line, 0 for a line without one; None if all are the same.
    ``texts``: each line without code, separator and line ending. ``enhanced``: status code ``c.s.d`` at the start of
    the first text (RFC 2034, RFC 3463); None if there is none, if it has superfluous zeros, and for 3yz.
    ``status_fits``: the reply is well-formed and has one line, with a status code of the class of its code, and text
    after that (RFC 2034 §3, §4). ``ascii``: no byte above 0x7F. ``deviations``: in order of offset, empty if the reply
    is well-formed. ``lines``: ``texts`` made printable; the list is shared, do not change it. ``secrets``: start and
    end of each part of ``raw`` that an auditor does not show; it sets them.
    """

    raw: bytes
    code: int
    texts: tuple[bytes, ...]
    lines: list[str]
    enhanced: str | None
    status_fits: bool
    deviations: tuple[Deviation, ...] = ()
    ascii: bool = True
    codes: tuple[int, ...] | None = None
    secrets: tuple[tuple[int, int], ...] | None = None
    _keywords: dict[str, tuple[str, ...]] | None = None
    _parts: list[ReplyLine] | None = None

    def __repr__(self) -> str:
        return f"<Reply {printable(self.raw[:80])}>"

    def keywords(self) -> dict[str, tuple[str, ...]]:
        """Return the EHLO keywords of the second and later lines: keyword in upper case to its parameters, printable.

        A keyword listed twice has the parameters of both; the old form ``AUTH=LOGIN`` counts as AUTH. At most
        ``MAX_OFFERS`` words are read. The result is shared: do not change it.
        """
        if self._keywords is None:
            self._keywords = _keywords(self)
        return self._keywords

    def parts(self) -> list[ReplyLine]:
        """Return each line with its own code, separator and status code. The list is shared: do not change it."""
        if self._parts is None:
            self._parts = _read_lines(self.raw)
        return self._parts


MAX_OFFERS = 1000
"""Words of an EHLO reply that are read as offers. Servers list about thirty; what is asked of the list for each command
would otherwise cost as much as the server likes."""


def _keywords(reply: Reply) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}  # the parameters as keys: a reply may list one keyword in many lines
    left = MAX_OFFERS
    offers: Iterable[tuple[bytes, str]] = zip(reply.texts[1:], reply.lines[1:], strict=True)
    if reply.deviations:  # some lines may have no code
        coded = [part.code is not None for part in reply.parts()[1:]]
        offers = compress(offers, coded)
    for text, line in offers:
        if "\\" not in line:  # nothing in it was escaped
            words = line.split()
            name = words[0].upper() if words else ""
        else:
            words = [printable(word) for word in text.split(b" ") if word]
            name = printable(text.strip(b" ").partition(b" ")[0].upper())
        if not words:
            continue
        if name.startswith("AUTH="):
            name, words = "AUTH", ["", *([words[0][5:]] if len(words[0]) > 5 else []), *words[1:]]
        parameters = dict.fromkeys(words[1 : 1 + left])
        if name in found:
            found[name].update(parameters)
        else:
            found[name] = parameters
        left -= len(words)
        if left <= 0:
            break
    return {name: tuple(words) for name, words in found.items()}


_line = re.compile(rb"([0-9]{3})(?:([ -])(.*)|(\r.*)?)", re.DOTALL).fullmatch


def _read_lines(raw: bytes) -> list[ReplyLine]:
    """Return the lines of ``raw``, each ended by CRLF, a bare LF or the end."""
    lines = []
    at = 0
    for whole in raw.removesuffix(b"\n").split(b"\n"):
        content = whole.rstrip(b"\r")  # CR CR LF is a wrong line end, and no part of the text
        match = _line(content)
        if match is None:
            lines.append(ReplyLine(None, b"", content, None, at))
        else:
            code, text = int(match[1]), match[3] or match[4] or b""
            enhanced = _enhanced(code, text) if text[1:2] == b"." else None
            lines.append(ReplyLine(code, match[2] or b"", text, enhanced, at))
        at += len(whole) + 1
    return lines


def parse_reply(raw: bytes) -> Reply:
    """Parse one complete reply: all its lines with their line endings (CRLF or bare LF; the last one may have none).
    Any bytes are accepted; faults become ``deviations``, each kind once for each line."""
    match = _one_line(raw)
    if match is not None:
        digits, text, status = match.groups()
        line = text.decode("ascii")
        enhanced = None if status is None or digits[:1] == b"3" else status.decode("ascii")
        fits = enhanced is not None and status[:1] == digits[:1] and status != text
        return Reply(raw, int(digits), (text,), [line if line.isprintable() else printable(text)], enhanced, fits)
    match = _many_lines(raw)
    if match is not None:
        digits, status = match.groups()
        texts = tuple([line[4:] for line in raw[:-2].split(b"\r\n")])
        enhanced = None if status is None or digits[:1] == b"3" else status.decode("ascii")
        return Reply(raw, int(digits), texts, _printable_lines(texts), enhanced, False)
    return _parse_malformed(raw)


def _printable_lines(texts: tuple[bytes, ...]) -> list[str]:
    text = b"\n".join(texts).decode("latin-1")
    plain = text.isascii() and text.replace("\n", "").isprintable() and text.count("\n") == len(texts) - 1
    return text.split("\n") if plain else [printable(line) for line in texts]


_eight_bit = re.compile(rb"[\x80-\xff]").search
# A CR at the very end does not count as bare: its LF may not have been captured.
_bare_newline = re.compile(rb"(?<!\r)\n|\r(?![\n]|\Z)").search


def _parse_malformed(raw: bytes) -> Reply:
    lines = _read_lines(raw)
    code = lines[0].code or 0
    codes = tuple(line.code or 0 for line in lines)
    wrong: list[Deviation] = []
    if lines[0].code is not None and not (2 <= code // 100 <= 5 and code // 10 % 10 <= 5):
        wrong.append(Deviation(DeviationKind.CODE_OUT_OF_RANGE, 0, 3, f"{code:03d}"))
    for line, after in zip(lines, [*(line.at for line in lines[1:]), len(raw)], strict=True):
        if line.code is None:
            wrong.append(Deviation(DeviationKind.MALFORMED_LINE, line.at, len(line.text), quoted(line.text)))
        elif line.code != code and lines[0].code is not None:
            wrong.append(Deviation(DeviationKind.CODE_MISMATCH, line.at, 3, f"{line.code:03d} after {code:03d}"))
        bare = _bare_newline(raw, line.at, after)
        if bare is not None:
            detail = "LF without CR" if bare[0] == b"\n" else "CR without LF"
            wrong.append(Deviation(DeviationKind.BARE_NEWLINE, bare.start(), 1, detail))
        high = _eight_bit(raw, line.at, after)
        if high is not None:
            wrong.append(Deviation(DeviationKind.EIGHT_BIT, high.start(), 1, quoted(high[0])))
    last = lines[-1]
    if last.code is not None and not last.separator and not last.text and raw.endswith(b"\n"):
        wrong.append(Deviation(DeviationKind.BARE_CODE, last.at, 3, f"{last.code:03d} without a space"))
    wrong.sort(key=lambda deviation: deviation.at)
    valid = [one for one in codes if one]
    texts = tuple(line.text for line in lines)
    same = len({*codes}) == 1
    code = code if same else valid[-1]
    enhanced = _enhanced(code, texts[0] if same else texts[-1])
    return Reply(
        raw, code, texts, _printable_lines(texts), enhanced, False, tuple(wrong), raw.isascii(), None if same else codes
    )
