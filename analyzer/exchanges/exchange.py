"""The exchange, which the rules judge: one command with its reply and the session state of both sides."""

# An exchange is made once, when the client's line or message is read. It is what the rules read, what replies pair
# with, and what the dialogue of the report is written from. Words (times, texts) are made from it at the end
# (`connection_report`).

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from ...dissectors.lines.replies import Reply
from ..content.message import Content
from ..lines.acts import Act
from ..lines.command_line import NO_LINE, CommandLine
from ..lines.marks import Mark
from ..model import Predicted
from .state_table import State

if TYPE_CHECKING:
    from ...dissectors.deviations import Deviation
    from ...dissectors.lines.commands import Command

__all__ = ["MAX_REPLY_LINE", "Exchange", "Mark", "ReplySeen", "Transaction", "WaitingReply"]

MAX_REPLY_LINE = 512  # octets of a reply line with its CRLF (RFC 5321 §4.5.3.1.5)

_REPLY_DEVIATION, _REPLY_EIGHT_BIT = Mark.REPLY_DEVIATION.value, Mark.REPLY_EIGHT_BIT.value
_LONG_REPLY, _CLIENT_ORDER = Mark.LONG_REPLY.value, Mark.CLIENT_ORDER.value


class ReplySeen(Struct, gc=False):
    """A reply. ``answers``: place in the dialogue of the turn that it answers, -1: none. ``turn``: its own place.
    ``offset``: in the server's stream. ``complete``: its last line has come."""

    reply: Reply
    offset: int
    frame: int
    time_ns: int
    turn: int = -1
    answers: int = -1
    complete: bool = True


class WaitingReply(NamedTuple):
    """A reply of which it is not certain yet what it answers, and the offset after it."""

    answer: ReplySeen
    end: int


class Transaction:
    """A mail transaction: its MAIL command, recipients, content and result (RFC 5321 §3.3)."""

    __slots__ = (
        "accepted",
        "asked",
        "chunked",
        "content",
        "mail",
        "oversize",
        "recipients",
        "referred",
        "session_known",
        "state",
    )

    def __init__(self, mail: Exchange, state: State) -> None:
        self.mail = mail
        self.state = state  # the client's view at MAIL; its keywords decide what may follow
        self.recipients: list[Exchange] = []
        self.accepted = 0  # recipients that got 25y
        self.asked = 0  # RCPT commands sent; counted only if the server announced limits (RFC 9422)
        self.chunked = 0  # octets that the BDAT commands announced
        self.oversize = False  # it exceeds the server's SIZE, and that is marked
        self.content: Content | None = None
        self.referred = False  # BURL added octets that are not in the capture (RFC 4468)
        self.session_known = True  # False if replies to RCPT are missing from the capture

    @property
    def parameters(self) -> dict[str, bytes | None]:
        """Parameters of MAIL: names in upper case, with their values."""
        command = self.mail.line.command
        return {} if command is None else command.parameters

    @property
    def body(self) -> str | None:
        """Value of the BODY parameter in upper case (RFC 6152 §2, RFC 3030 §3); None if it was not given."""
        value = self.parameters.get("BODY")
        return None if value is None else value.decode("latin-1").upper()

    @property
    def smtputf8(self) -> bool:
        """Whether MAIL carried SMTPUTF8 (RFC 6531 §3.4)."""
        return "SMTPUTF8" in self.parameters


class Exchange(Struct, eq=False):
    """A command, or something else that the client sent, with its reply.

    ``act``: its kind. ``line``: what the client's line says by itself. ``turn``: its place in the dialogue, -1 if it
    has none. Offsets and lengths are bytes of that side's stream; times are nanoseconds since 1970.
    """

    act: Act
    offset: int
    frame: int
    time_ns: int
    line: CommandLine = NO_LINE
    turn: int = -1
    marks: int = 0  # bits of Mark
    state: State | None = None  # the client's view when it sent this
    presumed: State | None = None  # the client's view afterwards, if this succeeds
    before: State | None = None  # the server's state when it answered
    after: State | None = None
    breaks: str | None = None  # sequence rule violated in the client's view
    server_breaks: str | None = None  # sequence rule violated in the server's state
    ahead: Exchange | None = None  # the last one still unanswered, in the client's view, when this was sent
    transaction: Transaction | None = None
    opens: Transaction | None = None  # the transaction that this MAIL starts if it is accepted
    content: Content | None = None
    finding: int = -1  # index of the first finding about it, -1: none
    replies_due: int = 1  # replies still expected; LMTP has one for each recipient (RFC 2033 §4.2)
    missing_replies: int = 0  # expected replies that never came although the server went on
    sure: bool = True
    doubted: bool = False  # bytes were lost between this and its reply
    garbled: bool = False  # a line without a code came where its reply was expected
    in_flight: bool = False  # the client had not yet seen the reply when it sent its last command
    answer: ReplySeen | None = None  # the reply, None until it comes
    reply_end: int = -1  # offset after the reply, -1 until it is complete
    predicted: Predicted = "unknown"

    def without_order(self) -> None:
        """Withdraw the judgement of the order: it is not known after all."""
        self.breaks = None
        self.marks &= ~_CLIENT_ORDER

    def take_reply(self, answer: ReplySeen, end: int) -> None:
        """Store a reply that ends at offset ``end``. Of several replies (LMTP), the first one that accepts counts."""
        reply = answer.reply
        if reply.deviations:
            self.marks |= _REPLY_DEVIATION if reply.ascii else _REPLY_DEVIATION | _REPLY_EIGHT_BIT
        if len(reply.raw) > MAX_REPLY_LINE:
            self.marks |= _LONG_REPLY
        if self.answer is None or self.answer.reply.code >= 400 > reply.code:
            self.answer = answer
        self.replies_due -= 1
        self.reply_end = end if self.replies_due <= 0 else -1

    @property
    def command(self) -> Command | None:
        """The parsed line. None for the end of mail data, a line of an AUTH exchange, a reply that answers nothing."""
        return self.line.command

    @property
    def raw(self) -> bytes:
        """The line as sent, without its end."""
        return self.line.raw

    @property
    def end(self) -> bytes:
        """What ended the line."""
        return self.line.end

    @property
    def length(self) -> int:
        """Bytes of the line with its end."""
        return self.line.length

    @property
    def deviations(self) -> tuple[Deviation, ...]:
        """Deviations of the command from the grammar, as far as it can be judged."""
        return self.line.deviations

    @property
    def reply(self) -> Reply | None:
        """The reply, None until it comes."""
        return None if self.answer is None else self.answer.reply

    @property
    def reply_offset(self) -> int:
        """Offset of the reply in the server's stream."""
        return 0 if self.answer is None else self.answer.offset

    @property
    def reply_frame(self) -> int:
        """Frame of the first byte of the reply."""
        return 0 if self.answer is None else self.answer.frame

    @property
    def reply_time_ns(self) -> int:
        """Time of that frame."""
        return 0 if self.answer is None else self.answer.time_ns

    @property
    def name(self) -> str:
        """The verb for use in messages, printable."""
        return self.line.name or "A command"

    @property
    def code(self) -> int:
        """Code of the reply, 0 if none was seen."""
        return 0 if self.answer is None else self.answer.reply.code

    @property
    def accepted(self) -> bool:
        """Whether the reply is 2yz or 3yz."""
        return self.answer is not None and 200 <= self.answer.reply.code < 400
