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
# address or a header field, where people are named, unless it has a sign that names do not have, or is base64 of
# text. Words that every server says (`reply_words`) are no echo.
#
# Values are kept as text (Latin-1, so that places are the same), because a search in `str` is much quicker than in
# `bytes`.
#
# Somebody who guesses passwords sends many. So values are found by their first bytes and their length, and a text costs
# the same for one value and for thousands. Their number and size are bounded all the same. If there were more,
# `overflow` is set, and then only known words are shown of what the server says.

from __future__ import annotations

import re
from base64 import b64encode
from enum import IntEnum
from urllib.parse import unquote_to_bytes

from ...dissectors.lazy_regex import LazyPattern
from ..limits import SECRET_BYTES, SECRET_VALUES
from ..lines.announced_secrets import decoded_base64
from ..lines.reply_words import PROMPTS, REPLY_WORDS
from ..lines.shown_text import Span, joined

__all__ = ["Secrecy", "SecretValues"]

PIECE = 64  # octets of the pieces in which a longer value is searched for
SHORT = 3  # octets of a value that counts only as a word of its own
FEW = 32  # values that are searched for one by one
_HEAD = SHORT + 1

_SEPARATORS = LazyPattern(rb"[ \t\r\n\x00-\x1f=:;,\"'<>()\[\]{}|&*]+")
_WORD = LazyPattern(rb"[^ \t\r\n\"'<>()\[\]:,;]+")
_SHORT_WORD = LazyPattern(rb"[^ \t\r\n\"'<>()\[\]=]+")
_QUOTING = b"\"'<>()[]{}:,.;*"
_ENDS = b".,:;!?"
_NAME = re.compile(rb"[A-Za-z0-9._+'\x80-\xff-]{1,63}")
_TEXT = re.compile(rb"[\x00\x20-\x7e]+")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]+={0,2}")


class Secrecy(IntEnum):
    """How far a value is secret, see above."""

    NAME = 1
    ANSWER = 2
    PASSWORD = 3


class SecretValues:
    """What was hidden of a connection. ``overflow``: it was more than is kept."""

    __slots__ = ("_lengths", "_long", "_most", "_short", "_values", "overflow")

    def __init__(self) -> None:
        self._values: dict[str, Secrecy] = {}
        self._most = Secrecy.NAME  # how secret the most secret of them is
        self._lengths: dict[str, set[int]] = {}  # of the values that begin with some characters
        self._long = bytearray()  # the longer values
        self._short = False  # one is so short that it counts only as a word
        self.overflow = False

    def add(self, text: bytes, secrecy: Secrecy) -> None:
        """Keep ``text`` as sent, its words, and what they encode."""
        text = text.strip(b" \t\r\n")
        if not text or (secrecy is not Secrecy.NAME and text in PROMPTS):
            return
        self._keep(text, secrecy)
        for word in text.split():
            self._keep_word(word, secrecy)
            if b"%" in word:
                self._keep_word(unquote_to_bytes(word), secrecy)

    def _keep_word(self, word: bytes, secrecy: Secrecy) -> None:
        """Keep a word and its parts, each also decoded."""
        for part in {word.strip(_QUOTING), *_SEPARATORS.split(word)}:
            self._keep(part, secrecy)
            self._keep_decoded(part, secrecy)
        if word.endswith(b"="):
            self._keep(word, secrecy)
            self._keep_decoded(word, secrecy)

    def _keep_decoded(self, word: bytes, secrecy: Secrecy) -> None:
        """Keep what a word of base64 holds. Of the message of PLAIN, the last part is the password (RFC 4616 §2)."""
        data = _decoded(word)
        if not data:
            return
        if b"\0" in data.strip(b"\0"):
            *names, password = data.split(b"\0")
            for name in names:
                self._keep(name, Secrecy.NAME)
            self._keep(password, Secrecy.PASSWORD)
            self._keep(word.rstrip(b"="), Secrecy.PASSWORD)
            if password:
                self._keep(b64encode(password).rstrip(b"="), Secrecy.PASSWORD)
            return
        self._keep(data, secrecy)
        for one in _SEPARATORS.split(data):
            self._keep(one, secrecy)

    def _keep(self, value: bytes, secrecy: Secrecy) -> None:
        value = value.lower()
        if len(value) > PIECE and value in self._long:
            return
        if len(value) > PIECE:
            if len(self._long) + len(value) > SECRET_BYTES:
                self.overflow = True
                return
            self._long += value + b"\n"
            for at in range(0, len(value) - PIECE, PIECE):
                self._keep(value[at : at + PIECE], secrecy)
            value = value[-PIECE:]
        if not value or value in REPLY_WORDS:
            return
        self._most = max(self._most, secrecy)
        text = value.decode("latin-1")
        known = self._values.get(text)
        if known is not None:
            self._values[text] = max(known, secrecy)
            return
        if len(self._values) >= SECRET_VALUES:
            self.overflow = True
            return
        self._values[text] = secrecy
        if len(text) > SHORT:
            self._lengths.setdefault(text[:_HEAD], set()).add(len(text))
        else:
            self._short = True

    def find(self, text: bytes, least: Secrecy, *, apart: bool = False) -> tuple[Span, ...]:
        """Return what repeats a value in ``text``, of those that are at least as secret as ``least``. ``apart``: a
        value that may be a part of a name counts only where it is a word of its own."""
        if not text or self._most < least:
            return ()
        low = text.lower().decode("latin-1")
        values, lengths = self._values, self._lengths
        spans: list[Span] = []
        if len(values) <= FEW:
            for value in values:
                if value not in low or len(value) <= SHORT or values[value] < least:
                    continue
                at = low.find(value)
                while at >= 0:
                    spans.append((at, at + len(value)))
                    at = low.find(value, at + len(value))
        else:
            for at in range(len(low) - SHORT):
                for length in lengths.get(low[at : at + _HEAD], ()):
                    if at + length <= len(low) and values.get(low[at : at + length], 0) >= least:
                        spans.append((at, at + length))
        if apart:
            spans = [span for span in spans if _is_apart(text, *span) or not _is_like_a_name(text[slice(*span)])]
        for word in _SHORT_WORD.finditer(text) if self._short else ():
            bare = word[0].rstrip(_ENDS)
            if len(bare) <= SHORT and values.get(bare.lower().decode("latin-1"), 0) >= least:
                spans.append((word.start(), word.start() + len(bare)))
        return joined(tuple(spans)) if spans else ()

    def parts(self, text: bytes) -> tuple[Span, ...]:
        """Return the words of ``text`` that are a part of a longer value: an echo may be cut."""
        words = _WORD.finditer(text) if self._long else ()
        return tuple([found.span() for found in words if self.holds(found[0])])

    def holds(self, text: bytes) -> bool:
        """Whether ``text`` is a part of a longer value: the value was cut where it is quoted."""
        low = text.lower()
        if len(low) <= SHORT or low in REPLY_WORDS or low.decode("latin-1") in self._values:
            return False
        return low in self._long


def _decoded(word: bytes) -> bytes:
    """Return what a word of base64 holds, empty if it is none."""
    return decoded_base64(word) if len(word) > 1 and _BASE64.fullmatch(word) else b""


def _is_like_a_name(value: bytes) -> bool:
    """Whether ``value`` may be a part of a name by chance."""
    return _NAME.fullmatch(value) is not None and not _TEXT.fullmatch(_decoded(value))


def _is_apart(text: bytes, start: int, end: int) -> bool:
    """Whether ``text[start:end]`` is a word of its own."""
    return not (text[max(0, start - 1) : start].isalnum() or text[end : end + 1].isalnum())
