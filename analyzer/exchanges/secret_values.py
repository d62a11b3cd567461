"""The secrets of one connection, to find what repeats them."""

# Theory
# ------
# A server may quote what it could not understand: "501 cannot decode 'Zq7'". So what is hidden of the client's lines is
# kept, whole and in its words, as sent and decoded (base64, percent signs), in lower case. What repeats one of these
# values is hidden too. How far, depends on what the value is:
#
#   NAME      a user name, or text of which nothing says that it is secret: only in replies to the line that has it, and
#             to other lines of the login
#   ANSWER    what a login holds, and nothing says which part: in all that the server says, and in unknown commands
#   PASSWORD  everywhere
#
# A value of one to three bytes is part of too many words: it counts only as a word of its own. So does each value in an
# address or a header field, where people are named. Words that every server says (`reply_words`) are no echo. The
# number and size of the values are bounded. If there were more, `overflow` is set, and then only known words are shown
# of what the server says.

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from enum import IntEnum
from urllib.parse import unquote_to_bytes

from ...dissectors.lazy_regex import LazyPattern
from ..lines.reply_words import PROMPTS, REPLY_WORDS
from ..lines.shown_text import Span, joined

__all__ = ["Secrecy", "SecretValues"]

MAX_VALUES = 256
MAX_OCTETS = 16_384  # of all values; a line of AUTH may have 12,288 (RFC 4954 §4)
MAX_SEARCHED = 512  # octets of a longer value that are searched for: a repetition of its start counts
SHORT = 3  # octets of a value that counts only as a word of its own

_SEPARATORS = LazyPattern(rb"[ \t\r\n\x00-\x1f=:;,\"'<>()\[\]{}|&]+")
_WORD = LazyPattern(rb"[^ \t\r\n\"'<>()\[\]:,;]+")
_QUOTING = b"\"'<>()[]{}:,.;"


class Secrecy(IntEnum):
    """How far a value is secret, see above."""

    NAME = 1
    ANSWER = 2
    PASSWORD = 3


class SecretValues:
    """What was hidden of a connection. ``overflow``: it was more than is kept."""

    __slots__ = ("_octets", "_values", "overflow")

    def __init__(self) -> None:
        self._values: dict[bytes, Secrecy] = {}
        self._octets = 0
        self.overflow = False

    def add(self, text: bytes, secrecy: Secrecy) -> None:
        """Keep ``text`` as sent, its words, and what they encode."""
        text = text.strip(b" \t\r\n")
        if not text or (secrecy is not Secrecy.NAME and text in PROMPTS):
            return
        self._keep(text, secrecy)
        words = text.split()
        for word in words:
            self._keep_word(word, secrecy)
            decoded = _decoded(word)
            if decoded is not None:
                self._add_decoded(decoded, secrecy)
            if b"%" in word:
                self._keep_word(unquote_to_bytes(word), secrecy)

    def _add_decoded(self, data: bytes, secrecy: Secrecy) -> None:
        """Keep what a word of base64 holds. Of the message of PLAIN, the last part is the password (RFC 4616 §2)."""
        if data.count(b"\0") == 2:
            *names, password = data.split(b"\0")
            for name in names:
                self._keep(name, Secrecy.NAME)
            self._keep(password, Secrecy.PASSWORD)
            if password:
                self._keep(b64encode(password).rstrip(b"="), Secrecy.PASSWORD)
            return
        self._keep(data, secrecy)
        for word in data.split(b" "):
            self._keep_word(word, secrecy)

    def _keep_word(self, word: bytes, secrecy: Secrecy) -> None:
        self._keep(word.strip(_QUOTING), secrecy)
        for part in _SEPARATORS.split(word):
            self._keep(part, secrecy)

    def _keep(self, value: bytes, secrecy: Secrecy) -> None:
        value = value[:MAX_SEARCHED].lower()
        if not value or value in REPLY_WORDS:
            return
        known = self._values.get(value)
        if known is None:
            if len(self._values) >= MAX_VALUES or self._octets + len(value) > MAX_OCTETS:
                self.overflow = True
                return
            self._octets += len(value)
            self._values[value] = secrecy
        elif known < secrecy:
            self._values[value] = secrecy

    def find(self, text: bytes, least: Secrecy, *, apart: bool = False) -> tuple[Span, ...]:
        """Return what repeats a value in ``text``, of those that are at least as secret as ``least``. ``apart``: only
        where it is a word of its own."""
        low = text.lower()
        spans: list[Span] = []
        for value, secrecy in self._values.items():
            if secrecy < least:
                continue
            at = low.find(value)
            while at >= 0:
                end = at + len(value)
                if (len(value) > SHORT and not apart) or _is_apart(low, at, end, len(value) <= SHORT):
                    spans.append((at, end))
                at = low.find(value, end)
        return joined(tuple(spans)) if spans else ()

    def parts(self, text: bytes) -> tuple[Span, ...]:
        """Return the words of ``text`` that are a part of a value: an echo may be cut."""
        return tuple([found.span() for found in _WORD.finditer(text) if self.holds(found[0])])

    def holds(self, text: bytes) -> bool:
        """Whether ``text`` is a part of a value: the value was cut where it is quoted."""
        low = text.lower()
        if len(low) <= SHORT or low in REPLY_WORDS:
            return False
        for value in self._values:  # noqa: SIM110  a generator costs a call for each value
            if low in value:
                return True
        return False


def _is_apart(text: bytes, start: int, end: int, short: bool) -> bool:
    """Whether ``text[start:end]`` is a word of its own. A ``short`` one has blanks or quotes around it."""
    before, after = text[max(0, start - 1) : start], text[end : end + 1]
    if short:
        return before in _AROUND and (after in _AROUND or (after in _ENDS and text[end + 1 : end + 2] in _AROUND))
    return not (before.isalnum() or after.isalnum())


_AROUND = frozenset({b"", b" ", b"\t", b"\r", b"\n", b"'", b'"', b"(", b")", b"[", b"]", b"<", b">", b"="})
_ENDS = frozenset({b".", b",", b":", b";", b"!", b"?"})


def _decoded(word: bytes) -> bytes | None:
    """Return what ``word`` encodes as base64, None if it does not look like it."""
    if len(word) < 2 or _BASE64.fullmatch(word) is None:
        return None
    try:
        data = b64decode(word + b"=" * (-len(word) % 4), altchars=b"-_" if b"-" in word or b"_" in word else None)
    except (NotBase64, ValueError):
        return None
    return data or None


_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]+={0,2}")
