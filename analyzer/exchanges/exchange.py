"""The exchange, which the rules judge: one command with its reply and the session state of both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...dissectors.deviations import Deviation
    from ...dissectors.lines.commands import Command
    from ...dissectors.lines.replies import Reply
    from ..content.end_of_data import Content
    from .state_table import Act, State

__all__ = ["MAX_REPLY_LINE", "Exchange", "Mark", "Transaction"]

MAX_REPLY_LINE = 512  # octets of a reply line with its CRLF (RFC 5321 §4.5.3.1.5)


class Mark:
    """Facts about an exchange that rules need, as bits: for clean traffic the number is 0."""

    EIGHT_BIT = 1 << 0  # a byte above 127 in the client's line
    NUL = 1 << 1  # a NUL in the client's line
    BARE_LF = 1 << 2  # LF without CR in the client's line or at its end
    BARE_CR = 1 << 3  # CR without LF in the client's line
    DEVIATION = 1 << 4  # the dissector found the client's line malformed
    REPLY_EIGHT_BIT = 1 << 5
    REPLY_DEVIATION = 1 << 6
    CLIENT_ORDER = 1 << 7  # out of order, as far as the client could know
    SERVER_ORDER = 1 << 8  # out of order in the state in which the server answered
    REFUSED_503 = 1 << 9  # the reply is 503
    HONOURED = 1 << 10  # the server took a bare CR or LF for the end of the line
    EMPTY_TRANSACTION = 1 << 11  # mail data accepted without an accepted recipient
    TEXT_AS_COMMANDS = 1 << 13  # on the first line of mail data that was sent although DATA was refused
    SKIPPED = 1 << 12  # a line of mail data in a place for commands: not a command
    CONTENT_UTF8 = 1 << 14  # on the end of mail data: the header is not ASCII, and SMTPUTF8 declares it as UTF-8
    NOT_OFFERED = 1 << 15  # a command, mechanism or parameter that the server's EHLO reply does not list
    HASTY = 1 << 16  # sent before a reply that the client must wait for (RFC 5321 §4.3.1, RFC 2920 §3.1)
    HASTY_TEXT = 1 << 17  # on DATA: mail data was sent before the reply to it
    AFTER_STARTTLS = 1 << 18  # in one group with STARTTLS: text injected or to be injected, and STARTTLS itself
    OVER_SIZE = 1 << 19  # more octets declared or sent than the server's SIZE allows
    OVER_LIMIT = 1 << 20  # more MAIL or RCPT commands than the server's LIMITS allow
    OVER_DOMAINS = 1 << 21  # more recipient domains than the server's LIMITS allow
    REQUIRETLS_CLEAR = 1 << 22  # REQUIRETLS requested outside TLS
    INCONSISTENT_OFFER = 1 << 23  # an EHLO reply lists keywords that must not occur together, or not in this place
    NOT_IMPLEMENTED = 1 << 24  # the reply is 500 or 502
    RECIPIENT_LIMIT = 1 << 25  # RCPT was refused as one recipient too many
    SOURCE_ROUTE = 1 << 26  # something like a source route in MAIL or RCPT
    OBSOLETE = 1 << 27  # SEND, SOML or SAML
    LONG_LINE = 1 << 28  # the client's line is longer than its limit
    LONG_PATH = 1 << 29  # the path or name may be longer than its limit
    LONG_REPLY = 1 << 30  # the reply is longer than one reply line may be
    INJECTED = 1 << 34  # on a STARTTLS after which plain text was sent before the reply
    NO_TLS = 1 << 35  # plain text of the client where the TLS handshake was expected
    AFTER_220 = 1 << 36  # plain text of the server after its 220 to STARTTLS
    INSIDE_FIRST = 1 << 37  # a reply inside TLS before any command there, after commands were injected
    EXPOSED = 1 << 38  # MAIL or AUTH in the clear although STARTTLS is listed
    CLEAR_PASSWORD = 1 << 39  # an AUTH line outside TLS that carries a password or token as it is
    CLEAR_OFFER = 1 << 40  # an EHLO reply outside TLS that offers PLAIN or LOGIN
    FOREIGN = 1 << 41  # the client speaks another protocol
    HIDDEN_COMMAND = 1 << 42  # a verb after a bare CR or LF of the line
    EARLY = 1 << 43  # sent before the greeting
    HARVEST = 1 << 44  # the probe at which the count means a search for addresses
    ROUTED_RECIPIENT = 1 << 45  # a recipient that may be in a form for relaying
    HUGE_CHUNK = 1 << 46  # a BDAT size that overflows 32 bits
    FLOOD = 1 << 47  # sent when too many commands were in flight
    BEYOND_END = 1 << 48  # a reply to data after a look-alike of the end of data
    MASKED = 1 << 50  # an EHLO reply with a keyword that looks like STARTTLS overwritten
    ENDLESS = 1 << 49  # a command line without an end
    UNANSWERED = 1 << 52  # the first command that the server received but did not answer before it closed
    AFTER_421 = 1 << 53  # answered after the server announced that it closes
    ODD_STATUS = 1 << 54  # the promised enhanced status code may be missing or wrong
    EXPLAINED = 1 << 55  # a reply without a command, for which there is an explanation
    RECIPIENT_REPLIES = 1 << 56  # LMTP: not one reply for each recipient after the message
    MALFORMED_REPLY = 1 << 57  # a server line that is not a valid reply


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
        "reply_code",
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
        self.reply_code: int | None = None
        self.session_known = True  # False if replies to RCPT are missing from the capture

    @property
    def parameters(self) -> dict[str, bytes | None]:
        """Parameters of MAIL: names in upper case, with their values."""
        command = self.mail.command
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


class Exchange:
    """A command, or something else that the client sent, with its reply.

    ``act``: its kind. ``command``: None for the end of mail data, for a line of an AUTH exchange and for a reply that
    answers nothing. Offsets and lengths are bytes of that side's stream. ``reply``: None until it comes.
    """

    __slots__ = (
        "act",
        "after",
        "ahead",
        "before",
        "breaks",
        "command",
        "content",
        "deviations",
        "doubted",
        "due",
        "end",
        "finding",
        "frame",
        "in_flight",
        "length",
        "marks",
        "missing_replies",
        "offset",
        "opens",
        "presumed",
        "raw",
        "reply",
        "reply_end",
        "reply_frame",
        "reply_offset",
        "reply_time_ns",
        "reply_turn",
        "server_breaks",
        "state",
        "sure",
        "time_ns",
        "transaction",
        "turn",
    )

    def __init__(self, act: Act, command: Command | None, turn: int, offset: int, frame: int, time_ns: int) -> None:
        self.act = act
        self.command = command
        self.turn = turn
        self.offset = offset
        self.frame = frame
        self.time_ns = time_ns
        self.length = 0
        self.raw = b""  # the line as sent, without its end
        self.end = b"\r\n"  # what ended the line
        self.marks = 0
        self.state: State | None = None  # the client's view when it sent this
        self.presumed: State | None = None  # the client's view afterwards, if this succeeds
        self.before: State | None = None  # the server's state when it answered
        self.after: State | None = None
        self.breaks: str | None = None  # sequence rule violated in the client's view
        self.server_breaks: str | None = None  # sequence rule violated in the server's state
        self.ahead: Exchange | None = None  # the last one still unanswered, in the client's view, when this was sent
        self.transaction: Transaction | None = None
        self.opens: Transaction | None = None  # the transaction that this MAIL starts if it is accepted
        self.content: Content | None = None
        self.deviations: tuple[Deviation, ...] = ()  # of the command, as far as it can be judged
        self.finding = -1  # index of the first finding about it, -1: none
        self.due = 1  # replies still expected; LMTP has one for each recipient (RFC 2033 §4.2)
        self.missing_replies = 0  # expected replies that never came although the server went on
        self.sure = True
        self.doubted = False  # bytes were lost between this and its reply
        self.in_flight = False  # the client had not yet seen the reply when it sent its last command
        self.reply: Reply | None = None
        self.reply_turn = -1
        self.reply_offset = 0
        self.reply_end = -1  # offset after the reply, -1 until it is complete
        self.reply_frame = 0
        self.reply_time_ns = 0

    def line(self, raw: bytes, end: bytes, length: int) -> None:
        """Store the line: ``raw`` without ``end``, ``length`` bytes in total. Mark what its bytes show."""
        self.raw = raw
        self.end = end
        self.length = length
        marks = 0
        if end != b"\r\n" or not raw.isascii() or b"\n" in raw or b"\r" in raw or b"\0" in raw:
            marks |= 0 if raw.isascii() else Mark.EIGHT_BIT
            marks |= Mark.NUL if b"\0" in raw else 0
            marks |= Mark.BARE_LF if b"\n" in raw or end == b"\n" else 0
            marks |= Mark.BARE_CR if b"\r" in raw or end == b"\r" else 0
        self.marks |= marks

    def without_order(self) -> None:
        """Withdraw the judgement of the order: it is not known after all."""
        self.breaks = None
        self.marks &= ~Mark.CLIENT_ORDER

    def answer(self, reply: Reply, turn: int, offset: int, end: int, frame: int, time_ns: int) -> None:
        """Store a reply. Of several replies (LMTP), the first one that accepts counts."""
        if reply.deviations:
            self.marks |= Mark.REPLY_DEVIATION
            if not reply.ascii:
                self.marks |= Mark.REPLY_EIGHT_BIT
        if len(reply.raw) > MAX_REPLY_LINE:
            self.marks |= Mark.LONG_REPLY
        if self.reply is None or self.reply.code >= 400 > reply.code:
            self.reply = reply
            self.reply_turn = turn
            self.reply_offset = offset
            self.reply_frame = frame
            self.reply_time_ns = time_ns
        self.due -= 1
        self.reply_end = end if self.due <= 0 else -1

    @property
    def name(self) -> str:
        """The verb for use in messages, printable."""
        return "A command" if self.command is None or self.command.name is None else self.command.name

    @property
    def code(self) -> int:
        """Code of the reply, 0 if none was seen."""
        return 0 if self.reply is None else self.reply.code

    @property
    def accepted(self) -> bool:
        """Whether the reply is 2yz or 3yz."""
        return self.reply is not None and 200 <= self.reply.code < 400
