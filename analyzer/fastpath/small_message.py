"""A whole message that came in one piece and has nothing wrong with it: read in a tenth of the steps of `content`."""

# Theory
# ------
# Most messages of probes, monitoring and small notices come in one segment. For them `Content`, which can be fed byte
# by byte and knows the place of every fault, takes longer than all the rest of the connection. Here a message gets a
# few tests of C speed. If it passes all of them, this is what `Content` would say of it; if not, nothing is said, and
# `Content` is asked. A property test holds the two together.

from __future__ import annotations

from hashlib import sha256

from ..content.header import on_one_line, plain_fields
from ..content.line_lengths import MAX_TEXT_LINE
from ..content.octet_checks import END_OF_DATA as _END
from ..content.octet_checks import Flaw

__all__ = ["Letter", "letter"]


class Letter:
    """What is known of the message. ``flaws``: as of ``Content``, and no more than missing fields; the rest too."""

    __slots__ = ("_fields", "_stored", "flaws", "frame", "lines", "offset", "size", "time_ns")

    def __init__(self, stored: bytes, fields: dict[bytes, bytes], place: tuple[int, int, int], lines: int) -> None:
        """``stored``: as the receiver stores it; ``fields``: of its header; ``place``: offset, frame and time."""
        self._stored = stored
        self._fields = fields
        self.offset, self.frame, self.time_ns = place
        self.size = len(stored)
        self.lines = lines
        self.flaws = (0 if b"date" in fields else Flaw.NO_DATE) | (0 if b"from" in fields else Flaw.NO_FROM)

    @property
    def sha256(self) -> str | None:
        """Of the content as stored."""
        return sha256(self._stored).hexdigest()

    @property
    def subject(self) -> bytes | None:
        """Body of the Subject field."""
        value = self._fields.get(b"subject")
        return None if value is None else on_one_line(value)

    @property
    def message_id(self) -> bytes | None:
        """Body of the Message-ID field."""
        value = self._fields.get(b"message-id")
        return None if value is None else on_one_line(value)


def letter(data: bytes, offset: int, frame: int, time_ns: int, header_limit: int) -> tuple[Letter, int] | None:
    """The message that ``data`` begins with, and how many bytes it has with its end mark (RFC 5321 §4.1.1.4).

    None: it goes on in other segments, or has something that takes a closer look. ``header_limit``: bytes.
    """
    end = data.find(_END)
    if end < 0 or data[:1] == b".":
        return None
    stored = data[: end + 2]
    lines = stored.count(b"\r\n")
    # no CR or LF stands alone where there are twice as many as pairs
    if end + 2 - len(stored.translate(None, b"\r\n")) != 2 * lines or b"\0" in stored or not stored.isascii():
        return None
    split = stored.find(b"\r\n\r\n")
    if b"\r\n." in stored or split < 0 or stored[:2] == b"\r\n" or split > header_limit > 0:
        return None
    at = 0
    while end + 2 - at > MAX_TEXT_LINE:
        at = stored.rfind(b"\n", at, at + MAX_TEXT_LINE) + 1
        if not at:
            return None
    fields = plain_fields(stored[:split])
    if fields is None:
        return None
    return Letter(stored, fields, (offset, frame, time_ns), lines), end + len(_END)
