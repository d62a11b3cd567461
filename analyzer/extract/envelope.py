"""The envelope of an extracted message: sender, recipients, the reply to each step, and the result."""

# The names of the fields are those of the report (docs/report.schema.json) where it has them. An envelope is made from
# the exchanges that the audit paired. If only one direction was captured, there is no transaction; then the commands in
# the dialogue give the addresses, and the replies are unknown.

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import UNSET, Struct, UnsetType, field

from ...dissectors.tables.tls_names import suite_name, version_name
from ..exchanges.exchange import Exchange, Transaction
from ..exchanges.secret_context import secret_context, shown_lines
from ..exchanges.turns import ChunkSeen, MessageSeen, ReplySeen, mailbox
from ..lines.secret_spans import shown_parameters
from ..model import Endpoint
from ..redact.report_texts import shown_address
from ..tls.places import shown_place

if TYPE_CHECKING:
    from ..exchanges.connection_report import TimeFormat
    from ..exchanges.record import ConnectionRecord
    from ..exchanges.turns import SeenTurn

__all__ = [
    "Attachment",
    "Envelope",
    "EnvelopeRecipient",
    "EnvelopeReply",
    "EnvelopeTls",
    "Fate",
    "MissingOctets",
    "envelope_of",
]

Fate = Literal["accepted", "refused", "unknown"]
LOOKED_BACK = 10_000  # turns before a message that are searched for its envelope, and after it for its replies
HELLO_WITHIN = 10  # turns in which the client says whether it speaks LMTP


class EnvelopeReply(Struct):
    """One reply. ``lines`` do not have the code."""

    code: int
    lines: list[str]
    frame: int
    time: str


class EnvelopeRecipient(Struct):
    """A recipient: its forward-path, the parameters of RCPT, the reply (None: not seen)."""

    address: str
    parameters: dict[str, str | None] = field(default_factory=dict)
    reply: EnvelopeReply | None = None


class MissingOctets(Struct):
    """``length`` octets are missing at ``offset`` of the file."""

    offset: int
    length: int


class Attachment(Struct):
    """A part of a message that is not its text. ``size`` and hashes are those of the decoded content; None if it has
    none."""

    type: str
    name: str | None
    size: int | None
    md5: str | None
    sha1: str | None
    sha256: str | None


class EnvelopeTls(Struct):
    """What the message was inside of: version and suite of TLS, None if the capture does not show them."""

    version: str | None
    suite: str | None


class Envelope(Struct, rename={"from_": "from"}):
    """The JSON file beside a message.

    ``from``: the reverse-path, "" for the null reverse-path. ``size``: octets as the receiver stores them. ``octets``:
    those in the file; ``sha256`` is the hash of the file. ``complete``: the whole message, up to its end.
    ``truncated``: cut off by the limit. ``replies``: the replies to the message itself, one for each recipient in LMTP.
    ``attachments``: None if they are not listed. ``tls``: only of a message that was inside TLS.
    """

    file: str = ""
    fate: Fate = "unknown"
    complete: bool = False
    truncated: bool = False
    connection: int = 0
    client: Endpoint | None = None
    server: Endpoint | None = None
    protocol: str = "smtp"
    from_: str | None = None
    parameters: dict[str, str | None] = field(default_factory=dict)
    mail_reply: EnvelopeReply | None = None
    recipients: list[EnvelopeRecipient] = field(default_factory=list)
    chunked: bool = False
    frame: int = 0
    started: str = ""
    replies: list[EnvelopeReply] = field(default_factory=list)
    size: int = 0
    octets: int = 0
    sha256: str = ""
    missing: list[MissingOctets] = field(default_factory=list)
    attachments: list[Attachment] | None = None
    notes: list[str] = field(default_factory=list)
    tls: EnvelopeTls | UnsetType = UNSET


class _Shown:
    """Makes words of what belongs to an envelope, without secrets."""

    def __init__(self, record: ConnectionRecord, clock: TimeFormat) -> None:
        self._context = secret_context(record, always=True)
        self._clock = clock

    def address(self, x: Exchange) -> str | None:
        address = mailbox(x)
        return address and shown_address(address, self._context)

    def parameters(self, x: Exchange) -> dict[str, str | None]:
        return {} if x.command is None else shown_parameters(x.command)

    def reply_to(self, x: Exchange) -> EnvelopeReply | None:
        return None if x.answer is None or x.answer.turn < 0 else self.reply(x.answer)

    def reply(self, turn: ReplySeen) -> EnvelopeReply:
        lines = shown_lines(turn, () if self._context is None else self._context.spans(turn.turn))
        return EnvelopeReply(turn.reply.code, lines, turn.frame, self._clock(turn.time_ns))


def envelope_of(
    record: ConnectionRecord, clock: TimeFormat, x: Exchange | None, transaction: object, turn: int
) -> Envelope:
    """Return the envelope of a message that ``x`` ended, None if nothing did.

    ``transaction``: the one that was open when the message started; ``turn``: the last turn of the dialogue at that
    time.
    """
    envelope = Envelope(
        connection=record.id, client=record.client, server=record.server, protocol=_protocol(record), fate=_fate(x)
    )
    if 0 <= turn < len(record.dialogue):
        envelope.tls = _tls(record, record.dialogue[turn])
    shown = _Shown(record, clock)
    known = (
        [transaction] if x is None else [x.transaction, transaction, None if x.state is None else x.state.transaction]
    )
    for one in known:
        if isinstance(one, Transaction) and (one.recipients or (x is not None and one is x.transaction)):
            _from_transaction(envelope, shown, one)
            break
    else:
        _from_dialogue(envelope, shown, record.dialogue, turn)
    if x is not None and x.turn >= 0 and x.answer is not None:
        accepted = x.transaction.accepted if envelope.protocol == "lmtp" and x.transaction is not None else 1
        envelope.replies = [shown.reply(reply) for reply in _replies(record.dialogue, x.turn, max(1, accepted))]
    return envelope


def _tls(record: ConnectionRecord, turn: SeenTurn) -> EnvelopeTls | UnsetType:
    """Return what is known of TLS if ``turn``, the last one before a message, was inside."""
    if record.places is None or record.facts is None or shown_place(record.places, turn.offset)[1] is None:
        return UNSET
    chosen = record.facts.server_hello
    if chosen is None:
        return EnvelopeTls(None, None)
    return EnvelopeTls(version_name(chosen.version), suite_name(chosen.suite))


def _replies(dialogue: list[SeenTurn], turn: int, most: int) -> list[ReplySeen]:
    """Return the replies to the message at ``turn``, at most ``most``: RFC 2033 §4.2 has one for each recipient."""
    found: list[ReplySeen] = []
    for place in range(turn + 1, min(len(dialogue), turn + LOOKED_BACK)):
        reply = dialogue[place]
        if isinstance(reply, ReplySeen) and reply.answers == turn:
            found.append(reply)
            if len(found) == most:
                break
    return found


def _protocol(record: ConnectionRecord) -> str:
    """Return the protocol that the report will give at the end of the connection."""
    first = record.dialogue[:HELLO_WITHIN]
    lmtp = record.profile == "lmtp" or any(isinstance(turn, Exchange) and turn.line.name == "LHLO" for turn in first)
    return "lmtp" if lmtp else record.protocol


def _fate(x: Exchange | None) -> Fate:
    if x is None or x.doubted or not x.code:
        return "unknown"
    return "accepted" if 200 <= x.code < 300 else "refused" if x.code >= 400 else "unknown"


def _from_transaction(envelope: Envelope, shown: _Shown, transaction: Transaction) -> None:
    mail = transaction.mail
    envelope.from_ = shown.address(mail)
    envelope.parameters = shown.parameters(mail)
    envelope.mail_reply = shown.reply_to(mail)
    envelope.recipients = [
        EnvelopeRecipient(shown.address(rcpt) or "", shown.parameters(rcpt), shown.reply_to(rcpt))
        for rcpt in transaction.recipients
    ]


def _from_dialogue(envelope: Envelope, shown: _Shown, dialogue: list[SeenTurn], turn: int) -> None:
    """Fill in what the client asked for, from the last MAIL on. What comes before an earlier message belongs to that
    one."""
    for place in range(turn, max(-1, turn - LOOKED_BACK), -1):
        command = dialogue[place]
        if isinstance(command, MessageSeen | ChunkSeen):
            break
        if not isinstance(command, Exchange) or command.line.name not in {"MAIL", "RCPT"}:
            continue
        address, parameters = shown.address(command), shown.parameters(command)
        if command.line.name == "MAIL":
            envelope.from_, envelope.parameters = address, parameters
            break
        if address is not None:
            envelope.recipients.append(EnvelopeRecipient(address, parameters))
    envelope.recipients.reverse()
    if envelope.recipients or envelope.from_ is not None:
        envelope.notes.append("the envelope comes from the client's commands only")
