"""The state of a conversation, and how exchanges are passed to the judge."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ...dissectors.lines.commands import parse_command
from ..lines.client_reader import ClientReader, Mode
from ..lines.server_reader import ServerReader
from ..streams.stream import KeptCount
from .attack_marks import AttackMarks
from .command_marks import CommandMarks
from .exchange import Exchange, Mark
from .lifecycle import Lifecycle
from .prediction import predict
from .session import Session
from .state_table import NO_KEYWORDS, Act, Hello, Phase, State
from .turns import NO_DETAIL, TurnDetail, TurnLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from .. import model
    from ..limits import Limits
    from ..lines.client_reader import ClientHandler
    from ..lines.server_reader import ServerHandler
    from .interfaces import ContentTap, Judge

__all__ = ["Ground"]


class Ground:
    """The state of one connection, and the end of each exchange: prediction, judgement, record."""

    def __init__(
        self,
        record: model.Connection,
        judge: Judge,
        limits: Limits,
        clock: Callable[[int], str],
        *,
        profile_fixed: bool = False,
        detail: TurnDetail = NO_DETAIL,
        tap: ContentTap | None = None,
    ) -> None:
        self.record = record
        self.findings = record.findings
        self.profile = record.profile
        self.midstream = record.opening == "midstream"
        self.session = Session(midstream=self.midstream, extensions=self.profile != "rfc821")
        self.time = clock
        self.greeted = self.midstream
        self.kept = KeptCount()  # counts the bytes kept of all connections, if there are several
        self.server_syn_missing = False  # the server's SYN was lost, and perhaps its first bytes too
        self.client_seen = False
        self.server_seen = False
        self.counts: dict[str, int] = {}  # number of findings by rule, including unlisted ones
        self.conflicts: list[tuple[model.Side, int, int, int]] = []
        self.overlaps: dict[model.Side, tuple[int, list[tuple[int, bytes]]] | None] = {}  # segments of the first
        self.injected: Exchange | None = None  # the STARTTLS after which plain text was injected
        self.judge = judge
        self.watch = AttackMarks(limits)
        self.course = Lifecycle()
        self.replies_unreliable = (
            False  # the server may take other lines for commands: it is unknown what a reply answers
        )
        self._usage = CommandMarks(self.profile)
        self.limits = limits
        self._profile_fixed = profile_fixed
        self._tap = tap
        self._dialogue = TurnLog(record, limits, clock, detail)
        self._reader = ClientReader(cast("ClientHandler", self), limits)  # the derived classes implement it
        self._server = ServerReader(cast("ServerHandler", self), limits)
        self._skipping = self.midstream  # client lines count only from the next line that is certainly a command
        self._passed = False  # client bytes were lost or skipped, and no reply came since
        self._replies_may_be_old = (
            False  # skipped lines may still be answered: replies may not belong to the commands after them
        )
        self._answers_unseen = False  # the server has more client bytes than were captured, or the FIN
        self._spoken = False  # a reply came since skipping started, or the next bytes start a line
        self._replied = False  # a reply came, and no client line since
        self._early = False  # the client's first byte came before the server's
        self._hello_after_login: Exchange | None = None
        self._sasl_layer_expected = False  # the client's next bytes may not be SMTP any more
        self._ended_early = False  # the server refused the message before its end
        self._lost_replies = False  # some of the unanswered commands were answered in a gap
        self._lost_until = 0  # offset where that gap ends
        self._presuming = False  # no more replies can come
        self._peer_heard = -1
        self._chunk: Exchange | None = None
        self._chunk_turn = -1
        self._unended = False  # the server had started a line when the client sent more; its end may be missing
        self._overtaken: Exchange | None = None  # its reply had started but not ended when the client sent more
        self._text: list[Exchange] = []  # lines that may be mail data sent although DATA was refused
        self._rest: tuple[bytes, int, int, int] | None = None  # bytes after an end of data that only the server saw
        self._tls_seen = False
        self._tls_place = (-1, 0, 0, 0)  # turn, offset, frame and time of the client's first TLS record
        self._inside_from = -1  # the turns after this one are inside decrypted TLS
        self.last: Exchange | None = None  # the exchange answered last
        self._unjudged: Exchange | None = None  # a message with a look-alike end, not yet judged

    @property
    def uneventful(self) -> bool:
        """Whether the connection ran and ended normally, so that no rule needs to judge it as a whole."""
        return (
            self.session.state.phase is Phase.QUIT
            and self.course.quiet
            and not self.midstream
            and not self.conflicts
            and self.certain
        )

    def detach(self) -> None:
        """Release the readers, which refer back to the conversation: it is finished, and no reference cycle remains."""
        del self._reader, self._server

    @property
    def readers(self) -> tuple[ClientReader, ServerReader]:
        """The readers of the client's and the server's bytes."""
        return self._reader, self._server

    @property
    def certain(self) -> bool:
        """Whether both sides are captured: otherwise bytes not captured may explain a finding."""
        return self.client_seen and self.server_seen

    def _sent(self, x: Exchange, seen: int) -> None:
        session = self.session
        if self._unjudged is not None:
            self._judge_content()
        session.sent(x, seen)
        if self._replies_may_be_old:
            x.doubted, x.sure = True, False
        self._usage.sent(x, one_sided=not self.server_seen)
        if len(session.due) > self.limits.unanswered_commands > 0:
            x.marks |= Mark.FLOOD
        if len(session.due) > self.limits.outstanding > 0:
            self._note(f"more than {self.limits.outstanding} commands waited for replies: the oldest are not paired")
            self._give_up(max(1, self.limits.outstanding // 10))  # many at once: the rest is in doubt afterwards
            session.doubt()
        if self._server.unfinished and len(session.due) == 2 and seen >= 0:
            self._overtaken = session.due[0]
        self._unended = self._server.mid_line and seen >= 0

    def _predict(self, x: Exchange) -> None:
        if x.command is not None:
            self._dialogue.predicted(x, predict(x, self.profile, self.session.causes.disputed))

    def _settle(self, x: Exchange) -> None:
        """Judge ``x``: it has its reply, or will never get one."""
        if x in self._text:
            return  # judged when it is known what it is
        if not self.server_seen:
            x.without_order()
        self.judge.exchange(x, self)
        if x.act is Act.END or (x.act is Act.LAST and x is not self._chunk):
            self._content_over(x)

    def _content_over(self, x: Exchange) -> None:
        """Record a message that is complete and answered, and pass it to the rules."""
        content = x.content
        if content is None:
            return
        if x.transaction is not None and x.transaction.referred:
            content.missing += 1  # the octets that BURL refers to
        self._dialogue.deliver(x, content)
        if self._tap is not None:
            self._tap.over(content, x)
        self.replies_unreliable = self.replies_unreliable or content.lookalike is not None
        if content.header_8bit is not None and x.transaction is not None and x.transaction.smtputf8:
            x.marks = Mark.CONTENT_UTF8 | (x.marks & Mark.HONOURED)
            self.judge.exchange(x, self)
        if content.lookalike is None or x.marks & Mark.HONOURED or self._presuming:
            self.judge.content(x, self)
        else:
            self._unjudged = x

    def _judge_content(self) -> None:
        """Judge a message with a look-alike end: nothing more about the server's reaction will be known."""
        x, self._unjudged = self._unjudged, None
        assert x is not None
        self.judge.content(x, self)
        self.watch.beyond, self.watch.beyond_count = None, 0

    def _inside_tls(self) -> State:
        """Return the state after a TLS handshake: earlier knowledge is discarded (RFC 3207 §4.2), except the identity
        of the client if TLS itself established it."""
        login, known = self.watch.login, self.session.state.hello.authenticated
        external = known and login is not None and login.mechanism == "EXTERNAL"
        return State(Phase.GREETED, Hello(keywords=NO_KEYWORDS, authenticated=external, secure=True))

    def _unwanted_tls(self) -> None:
        """Mark that the client started TLS although the server speaks plain text."""
        self.watch.foreign = "TLS"
        self._event(Mark.FOREIGN, *self._tls_place)

    def _event(
        self, mark: int, turn: int, offset: int, frame: int, time_ns: int, line: bytes = b"", breaks: str | None = None
    ) -> None:
        """Pass an event that is neither command nor reply to the rules."""
        x = Exchange(Act.EVENT, parse_command(line) if line else None, turn, offset, frame, time_ns)
        x.raw = line
        x.length = len(line)
        x.marks, x.breaks = mark, breaks
        x.before = x.state = self.session.state
        x.sure = x.before.sure
        self.judge.exchange(x, self)

    def _give_up(self, count: int) -> None:
        for x in self.session.give_up(count):
            x.sure = False
            self._settle(x)

    def keeps(self, count: int) -> None:
        """Count ``count`` more bytes that a reader keeps for later."""
        self.kept.grown += count

    @property
    def weight(self) -> int:
        """Approximate number of bytes that the readers keep."""
        return self._reader.weight + self._server.weight

    def long_line(self) -> None:
        """Note that a line of either side is longer than the limit."""
        self._note(f"a line is longer than {self.limits.line_bytes} bytes: only these were examined")

    def long_reply(self) -> None:
        """Note that a reply is longer than the limit."""
        limit = self.limits.reply_bytes
        self._note(f"a reply is longer than {limit} bytes: it was read as several, lines without a code were omitted")

    def _note(self, text: str) -> None:
        """Add a note about the whole connection, once."""
        if text not in self.record.notes:
            self.record.notes.append(text)

    def _stop(self, why: str) -> None:
        self.record.notes.append(why)
        self.course.stopped = why
        self._reader.discard_held()
        self._reader.mode = Mode.OPAQUE
        self._server.opaque = True

    def _end_text(self) -> None:
        lines, self._text = self._text, []
        for x in lines:
            if x.reply_end >= 0:
                self.judge.exchange(x, self)
