"""One conversation: what both sides have sent so far, in which state they are, and what is known about them."""

# A conversation is data. What happens to it is in modules of functions, each with one part of the work:
#
#   conversation_feed    takes the bytes of both sides, and is the handler of both readers
#   client_arrival       what is unusual about the client's next bytes or line
#   session              the commands without a reply, and the state in both views
#   reply_taking         all that a reply causes, in its order
#   reply_pairing        which command a reply answers, if that is not plain
#   prediction           what a correct server had to answer
#   reply_effects        how the client's bytes are read after a reply
#   early_talk           commands sent before a reply that the client must wait for
#   mail_data            where mail data starts and ends, chunks; chunk_sizes: of other sizes than BDAT says
#   text_as_commands     mail text that the server reads as commands
#   judging              when an exchange or a message goes to the rules
#   proxy_header         a PROXY header before the first command
#   tls_upgrade          STARTTLS and the session inside TLS
#   loss_recovery        what is known after bytes were lost; lost_bytes: what follows from them
#   taking_back          what is undone if bytes turn out never to have arrived
#   command_marks        a command beyond the offers and limits of the server
#   hello_names, postmasters   names in hellos, and refused postmasters
#   attack_marks         signs of attacks; lifecycle: the end of the connection, and pauses
#   connection_report    words for the report
#
# Most commands are plain, in order, and answered before the next one comes. Everything else is a part that exists only
# from its first use on (`loss`, `watching`, `usage`, `mail_tracking`, `proxy`, `course`), and costs nothing before.

from __future__ import annotations

from sys import maxsize
from typing import TYPE_CHECKING

from msgspec import Struct

from ..limits import Limits
from ..lines.client_reader import Mode
from ..tls.key_log import KeyLog
from .attack_marks import AttackMarks
from .connection_report import NO_DETAIL, TimeFormat, TurnDetail
from .interfaces import ContentTap, Judge
from .lifecycle import Lifecycle
from .loss_recovery import LossEvent, LossRecovery
from .mail_data_tracking import MailDataTracking
from .record import FindingCounts
from .session import Session
from .state_table import Phase

if TYPE_CHECKING:
    from .. import model
    from ..lines.client_reader import ClientReader
    from ..lines.server_reader import ServerReader
    from ..streams.receiver import ReceiverOwner
    from ..streams.stream import Shared
    from ..tls.receiver import TlsReceiver
    from .command_marks import LimitCounts
    from .exchange import Exchange, ReplySeen, WaitingReply
    from .proxy_header_tracking import ProxyHeaderTracking
    from .record import ConnectionRecord
    from .turns import SeenTurn

__all__ = ["ContentTap", "Conversation", "Judge", "Run"]


class Run(Struct):
    """What all conversations of one run share. ``profile_fixed``: the user chose the profile. ``keys``: of TLS
    sessions. ``most_turns``: turns kept in the dialogue of one connection."""

    judge: Judge
    limits: Limits
    clock: TimeFormat
    detail: TurnDetail = NO_DETAIL
    profile_fixed: bool = False
    keys: KeyLog | None = None
    most_turns: int = 0

    def __post_init__(self) -> None:
        self.most_turns = self.limits.turns or maxsize


class Conversation:
    """The data of one conversation. Rules only read it."""

    __slots__ = (
        "_counts",
        "_course",
        "client_captured",
        "client_ns",
        "client_seen",
        "client_tls",
        "greeted",
        "greeting",
        "hello_after_login",
        "injected",
        "inside_from",
        "last",
        "loss",
        "mail_tracking",
        "next_marks",
        "one_sided",
        "owner",
        "presuming",
        "profile",
        "proxy",
        "reader",
        "record",
        "replies_unreliable",
        "run",
        "sasl_layer_expected",
        "server_acked",
        "server_ns",
        "server_reader",
        "server_seen",
        "server_syn_missing",
        "session",
        "shared",
        "started",
        "tap",
        "tls",
        "usage",
        "waiting_replies",
        "watching",
    )

    def __init__(self, record: ConnectionRecord, run: Run, tap: ContentTap | None = None) -> None:
        self.record = record
        self.run = run
        self.tap = tap
        self.profile = record.profile
        midstream = record.opening == "midstream"
        self.session = Session(midstream=midstream, extensions=self.profile != "rfc821")
        self.greeted = midstream
        self.greeting: ReplySeen | None = None
        self.client_seen = False
        self.client_captured = False  # segments of the client are in the capture, although it has sent no byte yet
        self.server_seen = False
        self.server_syn_missing = False  # the server's SYN was lost, and perhaps its first bytes too
        self.client_ns = 0  # time of the client's last byte, 0: none so far
        self.server_ns = 0
        self.started = (0, 0)  # frame and time of the first byte
        self.one_sided = -1  # while no byte of the server is captured: most bytes of it that the client acknowledged
        self.server_acked = -1  # bytes of the client that the server had acknowledged with its last bytes
        self.last: Exchange | None = None  # the exchange answered last
        self.waiting_replies: list[WaitingReply] | None = None  # see reply_pairing
        self.presuming = False  # no more replies can come
        self.replies_unreliable = False  # the server may take other lines for commands: pairing is not certain
        self.sasl_layer_expected = False  # the client's next bytes may not be SMTP any more
        self.hello_after_login: Exchange | None = None
        self.injected: Exchange | None = None  # the STARTTLS after which plain text was injected
        # Of the client's first TLS record: its turn, offset, frame, time and type.
        self.client_tls: tuple[int, int, int, int, int] | None = None
        self.inside_from = -1  # the turns after this one are inside decrypted TLS
        self.owner: ReceiverOwner | None = None  # of the connection: the receiver changes if TLS begins
        self.tls: TlsReceiver | None = None
        self.shared: Shared | None = None  # with the other connections, if there are any
        self.loss: LossRecovery | None = None
        self.watching: AttackMarks | None = None
        self.usage: LimitCounts | None = None
        self.mail_tracking: MailDataTracking | None = None
        self.proxy: ProxyHeaderTracking | None = None
        self._course: Lifecycle | None = None
        self._counts: FindingCounts | None = None
        self.next_marks = 0  # bits of Mark for the next line of the client, whose first byte has come
        if midstream:
            self.own_loss().note(LossEvent.MIDSTREAM)

    reader: ClientReader
    server_reader: ServerReader

    def add_turn(self, turn: SeenTurn) -> int:
        """Add a turn to the dialogue. Return its place, -1: it is not kept."""
        place = self.next_turn()
        if place >= 0:
            self.record.dialogue.append(turn)
        return place

    def next_turn(self) -> int:
        """Return the place of the next turn, -1: the dialogue is full."""
        place = len(self.record.dialogue)
        if place < self.run.most_turns:
            return place
        self.record.note(f"the dialogue is shown up to turn {place}; the audit went on")
        return -1

    def note(self, text: str) -> None:
        """Add a note about the whole connection, once."""
        self.record.note(text)

    def stop(self, why: str) -> None:
        """Stop decoding: what follows is not SMTP."""
        self.record.note(why)
        self.course.stopped, self.course.stopped_at = why, (self.reader.position, self.server_ns)
        self.reader.discard_held()
        self.reader.mode = Mode.OPAQUE
        self.server_reader.opaque = True

    # -- parts that exist only when they are needed ----------------------------------------------------------------

    def own_loss(self) -> LossRecovery:
        """What is known after bytes were lost."""
        if self.loss is None:
            self.loss = LossRecovery()
        return self.loss

    @property
    def course(self) -> Lifecycle:
        """Facts about the connection as a whole."""
        if self._course is None:
            self._course = Lifecycle()
        return self._course

    @property
    def watch(self) -> AttackMarks:
        """Signs of attacks."""
        if self.watching is None:
            self.watching = AttackMarks(self.run.limits)
        return self.watching

    @property
    def mail(self) -> MailDataTracking:
        """Facts about unusual mail data."""
        if self.mail_tracking is None:
            self.mail_tracking = MailDataTracking()
        return self.mail_tracking

    @property
    def counts(self) -> FindingCounts:
        """What was found so far."""
        if self._counts is None:
            self._counts = FindingCounts()
        return self._counts

    # -- for rules -------------------------------------------------------------------------------------------------

    @property
    def judge(self) -> Judge:
        """What checks the rules."""
        return self.run.judge

    @property
    def limits(self) -> Limits:
        """The limits of the audit."""
        return self.run.limits

    @property
    def findings(self) -> list[model.Finding]:
        """The findings so far."""
        return self.record.findings

    @property
    def midstream(self) -> bool:
        """Whether the capture starts in the middle of the connection."""
        return self.record.opening == "midstream"

    @property
    def awaits_greeting(self) -> bool:
        """Whether the greeting is not complete yet, as far as is known. A line without a code may stand for it."""
        return not (self.greeted or self.server_syn_missing or self.garbled_greeting)

    @property
    def garbled_greeting(self) -> bool:
        """Whether the server has sent lines without a code, and nothing else."""
        return not self.greeted and self._course is not None and self._course.garbled_greeting

    @property
    def certain(self) -> bool:
        """Whether both sides are captured: otherwise bytes not captured may explain a finding."""
        return (self.client_seen or self.client_captured) and self.server_seen

    @property
    def quotes_more(self) -> bool:
        """Whether findings may quote text of the client that no turn has."""
        return self.injected is not None or (self._course is not None and self._course.slow_input is not None)

    @property
    def uneventful(self) -> bool:
        """Whether the connection ran and ended normally, so that no rule needs to judge it as a whole."""
        quiet = self._course is None or self._course.quiet
        both = self.client_seen and self.server_seen
        return quiet and both and self.session.state.phase is Phase.QUIT and self.record.opening == "handshake"
