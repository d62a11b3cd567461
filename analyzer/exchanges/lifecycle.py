"""The course of a connection: pauses, lost bytes, the first close notice, and what was unanswered at the first FIN."""

# Everything here is recorded when it happens, which is rare, and rules read it after the connection is over. The times
# of the last byte of each side are in the conversation.

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from .. import model
from ..content.message import Content
from ..lines.client_reader import Mode
from ..lines.server_reader import IncompleteReply
from ..streams.handshakes import GREETING_WAITED_NS
from .exchange import Exchange, Mark

if TYPE_CHECKING:
    from ..lines.client_reader import ClientReader
    from .record import ConnectionRecord

__all__ = [
    "GREETING_WAITED_NS",
    "PAUSE_NS",
    "SECOND",
    "CloseNotice",
    "Closing",
    "Lifecycle",
    "Overlap",
    "SlowInput",
    "end_of",
]

SECOND = 1_000_000_000
PAUSE_NS = SECOND  # a client that is silent for longer may be sending slowly on purpose
SLOW_LINE_NS = 300 * SECOND  # RFC 5321 §4.5.3.2: no server has to wait longer for a command
MAX_SLOW_TEXT = 200  # bytes of a slow line that are kept
Overlap = tuple[int, list[tuple[int, bytes]]]
"""Where copies of the same bytes first differ, and the segments that hold them."""

_NONE: Mapping[model.Side, Any] = MappingProxyType({})
_NO_LOSS: Mapping[model.Side, int] = MappingProxyType({"client": 0, "server": 0})
_LINES = frozenset({Mode.COMMAND, Mode.ANSWER})
_MAIL_DATA = frozenset({Mode.CONTENT, Mode.CHUNK})
SLOW_DATA_NS = 180 * SECOND  # RFC 5321 §4.5.3.2.5: between two blocks of mail data


class Closing(Struct, frozen=True):
    """The first FIN or RST of a connection. ``how``: see ``stream.How``.

    ``first``: no FIN or RST of the other side was lost before it. ``client_idle_ns``: since the last byte of the
    client, ``waited_ns``: since the last byte of either side. ``waiting``: in order, what the client had sent and the
    server had received but not answered.
    """

    side: model.Side
    how: str
    frame: int
    time_ns: int
    client_idle_ns: int
    waited_ns: int
    waiting: tuple[Exchange, ...]
    first: bool

    @property
    def certain(self) -> bool:
        """Whether this side closed first for certain; otherwise that was deduced from an ACK, without a known time."""
        return self.first and self.how != "unseen"


class CloseNotice(Struct, frozen=True):
    """The first 221, 421 or 521. ``idle_ns``: how long the client had been silent, -1 if it waited for a reply."""

    x: Exchange
    code: int
    idle_ns: int


class SlowInput(Struct, frozen=True):
    """Client input so slow that it blocked the server. ``line``: a line; otherwise mail data. ``text``: the start of
    that line; empty if it belongs to an AUTH exchange, where all of it is secret."""

    line: bool
    ns: int
    offset: int
    frame: int
    time_ns: int
    text: bytes = b""


class Lifecycle(Struct):
    """Facts about one connection as a whole; times are nanoseconds since 1970, 0 until there is one."""

    server_tls: bool = False  # the server sent TLS records
    garbled_greeting: bool = False  # before its first reply the server sent lines without a code
    started: tuple[int, int] = (0, 0)  # frame and time of the first byte
    captured: bool | None = None  # segments of both directions are in the capture; None: not known
    lost: Mapping[model.Side, int] = _NO_LOSS  # missing bytes that would have been read
    lost_to: int = -1  # offset after the client's last missing byte
    first_gap: tuple[int, int, int] | None = None  # offset, frame and time
    stopped: str | None = None  # the reason why decoding stopped early
    # Then: offset after the last byte of the client, time of the last one of the server.
    stopped_at: tuple[int, int] = (0, 0)
    long_header: bool = False  # a header section was longer than the limit, so its fields are not known
    slow_input: SlowInput | None = None
    quit_sent: bool = False
    server_ends: bool = False  # the server's FIN or RST came, and no end of the client before it
    unasked: Exchange | None = None  # the last reply that answers nothing, if it may be why the server closes
    close_notice: CloseNotice | None = None
    closing: Closing | None = None
    inside: Content | None = None  # mail data without an end when the connection ended
    opaque: bool = False  # the last bytes could not be read
    hanging: IncompleteReply | None = None  # a reply whose last line never came
    # Bytes that were sent again with other content: side, offset, frame and time.
    conflicts: list[tuple[model.Side, int, int, int]] = field(default_factory=list)
    replaced: Mapping[model.Side, int] = _NONE  # for each side, the last offset from which a later copy counts
    overlaps: Mapping[model.Side, Overlap | None] = _NONE  # for each side, the segments of the first conflict

    @property
    def quiet(self) -> bool:
        """Whether nothing unusual happened, apart from the way it ended."""
        return (
            self.slow_input is None
            and self.first_gap is None
            and self.stopped is None
            and self.hanging is None
            and not self.conflicts
            and self.captured is not False
            and not self.long_header
        )

    def reopen(self, record: ConnectionRecord) -> bool:
        """Forget the first FIN. Return whether that is possible: it was no RST, and no reply counts as missing because
        of it."""
        closing = self.closing
        if closing is None or closing.how != "fin":
            return False
        for x in closing.waiting[:1]:
            if x.marks & Mark.RECIPIENT_REPLIES:
                return False
            x.marks &= ~Mark.UNANSWERED
        self.closing, self.server_ends, record.closing = None, False, "open"
        return True

    def paused(self, reader: ClientReader, client_ns: int, offset: int, frame: int, time_ns: int) -> None:
        """Record that the client goes on, at ``offset``, after a pause of more than PAUSE_NS. ``client_ns``: time of
        its last byte before."""
        if self.slow_input is not None or not client_ns:
            return
        length, began, first_frame, since_ns = reader.unfinished
        if reader.mode in _LINES and length:
            if time_ns - since_ns >= SLOW_LINE_NS:
                text = reader.partial[:MAX_SLOW_TEXT] if reader.mode is Mode.COMMAND else b""
                self.slow_input = SlowInput(True, time_ns - since_ns, began, first_frame, since_ns, text)
            return
        pause, content = time_ns - client_ns, reader.content
        if pause > SLOW_DATA_NS and content is not None and content.has_started and reader.mode in _MAIL_DATA:
            self.slow_input = SlowInput(False, pause, offset, frame, time_ns)

    def cut_off(self, reader: ClientReader, time_ns: int) -> None:
        """Record that the connection ends inside a line that seems to be complete for the client, because it ends in
        backslashes and letters."""
        length, began, first_frame, since_ns = reader.unfinished
        text = reader.partial[:MAX_SLOW_TEXT]
        if self.slow_input is None and reader.mode is Mode.COMMAND and length and text.rstrip(b" ").endswith(b"\\n"):
            self.slow_input = SlowInput(True, time_ns - since_ns, began, first_frame, since_ns, text)

    def lose(self, side: model.Side, offset: int, length: int, frame: int, time_ns: int) -> None:
        """Record that ``length`` bytes of ``side`` that would have been read are not in the capture."""
        self.lost = {**self.lost, side: self.lost[side] + length}
        if side == "client":
            self.lost_to = offset + length
        if self.first_gap is None:
            self.first_gap = (offset, frame, time_ns)

    def server_closes(self, x: Exchange, code: int, idle_ns: int) -> None:
        """Record that the server announced that it closes. ``idle_ns``: see ``CloseNotice``."""
        if self.close_notice is None:
            self.close_notice = CloseNotice(x, code, idle_ns)


def end_of(x: Exchange) -> int:
    """Return the offset after the last byte of ``x``."""
    end = x.offset + x.length
    return end if x.content is None else max(end, x.content.end_offset)
