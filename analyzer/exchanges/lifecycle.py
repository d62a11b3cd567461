"""The course of a connection: pauses, lost bytes, the first close notice, and what was unanswered at the first FIN."""

# Only two times are updated here, those of the last byte of each side; the cost is one comparison for each client
# segment. Everything else is recorded when it happens, which is rare, and rules read it after the connection is over.

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from .. import model
from ..lines.client_reader import Mode
from .exchange import Exchange

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..content.end_of_data import Content
    from ..lines.client_reader import ClientReader

__all__ = ["PAUSE_NS", "CloseNotice", "Closing", "Lifecycle", "SlowInput"]

SECOND = 1_000_000_000
PAUSE_NS = SECOND  # a client that is silent for longer may be sending slowly on purpose
SLOW_LINE_NS = 300 * SECOND  # RFC 5321 §4.5.3.2: no server has to wait longer for a command
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
    """Client input so slow that it blocked the server. ``line``: a command line; otherwise mail data."""

    line: bool
    ns: int
    offset: int
    frame: int
    time_ns: int


class Lifecycle:
    """Facts about one connection as a whole; times are nanoseconds since 1970, 0 until there is one."""

    __slots__ = (
        "captured",
        "client_ns",
        "close_notice",
        "closing",
        "first_gap",
        "hanging",
        "inside",
        "lost",
        "lost_to",
        "opaque",
        "quit_sent",
        "server_ns",
        "server_tls",
        "slow_input",
        "started",
        "stopped",
    )

    def __init__(self) -> None:
        self.client_ns = 0  # time of the client's last byte
        self.server_ns = 0
        self.server_tls = False  # the server sent TLS records
        self.started = (0, 0)  # frame and time of the first byte
        self.captured: bool | None = None  # segments of both directions are in the capture; None: not known
        self.lost = {"client": 0, "server": 0}  # missing bytes that would have been read
        self.lost_to = -1  # offset after the client's last missing byte
        self.first_gap: tuple[int, int, int] | None = None  # offset, frame and time
        self.stopped: str | None = None  # the reason why decoding stopped early
        self.slow_input: SlowInput | None = None
        self.quit_sent = False
        self.close_notice: CloseNotice | None = None
        self.closing: Closing | None = None
        self.inside: Content | None = None  # mail data without an end when the connection ended
        self.opaque = False  # the last bytes could not be read
        self.hanging: tuple[bytes, int, int, int] | None = None  # a reply whose last line never came

    @property
    def quiet(self) -> bool:
        """Whether nothing unusual happened, apart from the way it ended."""
        return (
            self.slow_input is None
            and self.first_gap is None
            and self.stopped is None
            and self.hanging is None
            and self.captured is not False
        )

    def begin(self, frame: int, time_ns: int) -> None:
        """Record the first byte of a side."""
        if not self.started[0]:
            self.started = (frame, time_ns)

    def paused(self, reader: ClientReader, offset: int, frame: int, time_ns: int) -> None:
        """Record that the client goes on, at ``offset``, after a pause of more than PAUSE_NS."""
        if self.slow_input is not None or not self.client_ns:
            return
        length, began, first_frame, since_ns = reader.unfinished
        if reader.mode is Mode.COMMAND and length:
            if time_ns - since_ns >= SLOW_LINE_NS:
                self.slow_input = SlowInput(True, time_ns - since_ns, began, first_frame, since_ns)
            return
        pause, content = time_ns - self.client_ns, reader.content
        if pause > SLOW_DATA_NS and content is not None and content.has_started and reader.mode in _MAIL_DATA:
            self.slow_input = SlowInput(False, pause, offset, frame, time_ns)

    def lose(self, side: model.Side, offset: int, length: int, frame: int, time_ns: int) -> None:
        """Record that ``length`` bytes of ``side`` that would have been read are not in the capture."""
        self.lost[side] += length
        if side == "client":
            self.lost_to = offset + length
        if self.first_gap is None:
            self.first_gap = (offset, frame, time_ns)

    def server_closes(self, x: Exchange, code: int, time_ns: int, *, asked: bool) -> None:
        """Record that the server announced that it closes. ``asked``: the reply answers a command."""
        if self.close_notice is None:
            idle = -1 if asked or not self.client_ns else time_ns - self.client_ns
            self.close_notice = CloseNotice(x, code, idle)

    def close(
        self, side: model.Side, how: str, frame: int, time_ns: int, due: Iterable[Exchange], seen: int, other: int
    ) -> Closing | None:
        """Record that ``side`` ended its stream. ``seen``: bytes of the other side that it had acknowledged, -1:
        unknown. ``other``: bytes that the other side had sent. Return the record if this is the first end, else
        None."""
        if self.closing is not None:
            return None
        received = tuple(x for x in due if side == "client" or seen < 0 or _end(x) <= seen)
        last = max(self.client_ns, self.server_ns)
        client_idle = time_ns - self.client_ns if self.client_ns else -1
        self.closing = Closing(side, how, frame, time_ns, client_idle, time_ns - last, received, other != self.lost_to)
        return self.closing


def _end(x: Exchange) -> int:
    """Return the offset after the last byte of ``x``."""
    end = x.offset + x.length
    return end if x.content is None else max(end, x.content.end_offset)
