"""Both sides of one connection: who answered what, in which state, with what outcome."""

# Theory
# ------
# The conversation gets both streams in causal order and knows nothing of frames, files or rules. The readers cut the
# bytes (client.py, server.py), the session pairs and keeps the state (session.py), the dialogue shows it (dialogue.py);
# here they are brought together, and the three things are decided that need all of them:
#
# * What the client's bytes are behind DATA, AUTH, STARTTLS and BDAT, once the reply says so.
# * What a reply means that answers nothing due. The client may have ended a line with a bare LF and the server taken
#   it, or the server took a look-alike for the end of mail data. Then we follow the server, for only so can what comes
#   next be understood; the rules say whose fault it was.
# * What still holds after bytes were lost. Nothing is guessed: the state becomes unsure, lines of the client count only
#   from the next well-formed command on, and replies pair again when it is certain what they answer.

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..dissectors.commands import DeviationKind, is_base64, parse_command
from ..dissectors.replies import begins_reply, parse_reply
from .client import ClientReader, Mode
from .closing import PAUSE_NS, Course
from .content import Content, ContentSink
from .dialogue import NO_DETAIL, Detail, Dialogue
from .exchange import Exchange, Mark, Transaction
from .predict import predict
from .server import ServerReader
from .session import Session, mark_reply
from .states import ACTS, NO_KEYWORDS, Act, Hello, Phase, State, advance
from .usage import Usage, judged
from .watch import Injection, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..dissectors.commands import Command
    from ..dissectors.replies import Reply
    from . import model
    from .limits import Limits
    from .servers import Servers
    from .streams import Deliver

__all__ = ["ContentTap", "Conversation", "Judge"]

MAX_CHUNK = (1 << 63) - 1  # a larger BDAT size cannot be meant (RFC 3030 §2 knows no limit, computers do)

MAX_ENDLESS = 2047  # bytes of a line without an end that are no attack yet (RFC 5321 §4.5.3.1.4 has 512)
MAX_TEXT = 1000  # lines of it; who sends more than that as commands is told so without its end

_HELD_BACK = frozenset({Act.DATA, Act.AUTH, Act.STARTTLS})
_DECIDING = frozenset({*_HELD_BACK, Act.ANSWER})
_CHUNKS = frozenset({Act.BDAT, Act.LAST})
_HELLOS = frozenset({b"EHLO", b"HELO", b"LHLO"})
_STRONG = frozenset({*_HELLOS, b"MAIL", b"RCPT", b"DATA", b"QUIT", b"RSET", b"STARTTLS", b"BDAT"})
_ONLY_ANSWERS = {
    354: frozenset({Act.DATA}),
    334: frozenset({Act.AUTH, Act.ANSWER}),
    235: frozenset({Act.AUTH, Act.ANSWER}),
}
_QUITS = frozenset({Act.QUIT})
_LAYERED = frozenset({"GSSAPI", "DIGEST-MD5"})  # mechanisms that may encrypt what follows
_WATCHED = frozenset({Act.MAIL, Act.RCPT, Act.AUTH, *_CHUNKS})
_ODD_END = Mark.HONOURED | Mark.BARE_LF | Mark.BARE_CR
_FAREWELLS = frozenset({221, 421, 521})  # RFC 7504 §3: behind 521 the server may close as well
_ENDS_MESSAGE = frozenset({Act.END, Act.LAST})
SMTP_PORT = 25
_ODD_LINE = Mark.DEVIATION | Mark.BARE_LF | Mark.BARE_CR
_TLS_HELLO = (0x16, 0x80)  # a TLS handshake record, or an SSLv2-style hello


class Judged(Protocol):
    """A rule, as far as conversations remember it. ``formal``: it does not look at text that varies freely; ``own``:
    it is one of ours."""

    @property
    def formal(self) -> bool: ...
    @property
    def own(self) -> bool: ...


class Judge(Protocol):
    """Who holds the rules against what happened. ``servers``: what was seen of them in other connections."""

    servers: Servers

    def exchange(self, x: Exchange, talk: Conversation) -> None:
        """``x`` is answered, or never will be."""

    def content(self, x: Exchange, talk: Conversation) -> None:
        """The content of ``x`` is over; ``x`` is what ended it."""

    def ended(self, talk: Conversation) -> None:
        """Nothing more comes."""


class ContentTap(Protocol):
    """Who wants the messages of one connection themselves, not only what is wrong with them."""

    def begin(self, content: Content, transaction: object) -> ContentSink | None:
        """Mail data begin; their octets go to what this returns. ``transaction``: the open one, None if none is known.
        BDAT chunks that no LAST follows begin and are never over."""

    def over(self, content: Content, x: Exchange) -> None:
        """``content`` is answered, or never will be. ``x``: what ended it, or an event where the end was not seen."""

    def overhear(self, deliver: Deliver) -> Deliver:
        """What is to take the client's stream in the place of ``deliver``, which has to be handed all of it."""


class Conversation:
    """Feed it ``client`` and ``server`` in causal order; ``finish`` returns the connection with its findings."""

    def __init__(
        self,
        record: model.Connection,
        judge: Judge,
        limits: Limits,
        clock: Callable[[int], str],
        *,
        profile_fixed: bool = False,
        detail: Detail = NO_DETAIL,
        tap: ContentTap | None = None,
    ) -> None:
        self.record = record
        self.findings = record.findings
        self.profile = record.profile
        self.midstream = record.opening == "midstream"
        self.session = Session(midstream=self.midstream, extensions=self.profile != "rfc821")
        self.time = clock
        self.greeted = self.midstream
        self.client_seen = False
        self.server_seen = False
        self.counts: dict[str, int] = {}  # findings by rule, unlisted ones too
        self.conflicts: list[tuple[model.Side, int, int, int]] = []
        self.injected: Exchange | None = None  # the STARTTLS behind which plain text was injected
        self.judge = judge
        self.watch = Watch(limits)
        self.course = Course()
        self.astray = False  # the server takes for commands what is none: a reply may answer what nobody can tell
        self._usage = Usage(self.profile)
        self.limits = limits
        self._profile_fixed = profile_fixed
        self._tap = tap
        self._dialogue = Dialogue(record, limits, clock, detail)
        self._reader = ClientReader(self, limits)
        self._server = ServerReader(self, limits)
        self._skipping = self.midstream  # client lines count only from the next command that is certainly one
        self._spoken = False  # a reply came since skipping began, or what comes begins with a line
        self._replied = False  # a reply came, and no line of the client since
        self._early = False  # the client's first byte came before the server's
        self._layer_due = False  # what the client sends next may be no SMTP any more
        self._ended_early = False  # the server refused the message before its end
        self._lost_replies = False  # some of what is due was answered in a gap
        self._lost_until = 0  # and that gap ends here
        self._presuming = False  # no reply can come any more
        self._peer_heard = -1
        self._chunk: Exchange | None = None
        self._chunk_turn = -1
        self._unended = False  # the line that the server had begun when the client sent more may lack its end
        self._overtaken: Exchange | None = None  # its reply had begun and not ended when the client sent more
        self._text: list[Exchange] = []  # lines that may be mail data sent although DATA was refused
        self._rest: tuple[bytes, int, int, int] | None = None  # behind an end of data that only the server saw
        self._tls_seen = False
        self._tls_place = (-1, 0, 0, 0)  # turn, offset, frame and time of the client's first TLS record
        self._inside_from = -1  # turn behind which the dialogue is inside TLS, where that was decrypted
        self.last: Exchange | None = None  # what was answered last
        self.asked: list[tuple[Sequence[Judged], Exchange | None]] | None = None  # who was asked of what; None: unkept
        self._unjudged: Exchange | None = None  # a message with a look-alike end: what comes next tells more of it

    # -- from the streams ------------------------------------------------------------------------------------------

    def client(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int = -1) -> None:
        """Bytes of the client. ``seen``: bytes of the server that it had acknowledged, -1: unknown."""
        reader, course = self._reader, self.course
        if not self.client_seen:
            self.client_seen = True
            self._early = not self.greeted and not self.server_seen
            course.begin(frame, time_ns)
        if self._layer_due:
            self._layer_due = False
            if data[0] == 0:  # RFC 4422 §3.7: four octets of length come first, and no buffer has 16 MB
                self._stop(f"decoding stopped: {self._login_name()} has put on a security layer (RFC 4422 §3.7)")
        if time_ns - course.client_ns > PAUSE_NS:
            course.paused(reader, offset, frame, time_ns)
        course.client_ns = time_ns
        if not self.server_seen:
            # One direction only: that the server's stream grew between two segments is all that shows an answer.
            if seen > self._peer_heard and reader.mode is Mode.COMMAND:
                reader.cut_bare()
            self._peer_heard = max(self._peer_heard, seen)
            seen = -1
        if self._lost_replies and seen >= self._lost_until:
            self._pass_lost_replies(data)
        reader.feed(data, offset, frame, time_ns, seen)

    def server(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int = -1) -> None:
        """Bytes of the server. ``seen`` as for the client."""
        if not self.server_seen:
            self.server_seen = True
            self.course.begin(frame, time_ns)
        self.course.server_ns = time_ns
        if self._overtaken is not None:
            self._end_reply_that_hangs(data)
        elif self._unended and data[:1].isdigit() and begins_reply(data.partition(b"\n")[0] + b"\n"):
            self.session.doubt()  # two replies in one line: which of them answers what?
        self._unended = False
        self._server.feed(data, offset, frame, time_ns)

    def mail(self, content: Content, seen: int) -> None:
        """Mail data of the client that were read before, instead of their bytes. ``seen`` as for ``client``."""
        _, self.course.client_ns = content.reach
        self._reader.take(content, seen)

    def gap(self, side: model.Side, offset: int, length: int, frame: int, time_ns: int) -> None:
        """``length`` bytes of ``side`` are missing from the capture at ``offset``."""
        self._dialogue.gap(side, offset, length, frame, time_ns)
        if side == "server":
            if not self._server.opaque:
                self.course.lose(side, offset, length, frame, time_ns)
                self._server.gap()
                self.greeted = True
                self._lost_replies = bool(self.session.due) or bool(self._reader.partial)
                self._lost_until = offset + length
                self.session.doubt()
            return
        mode = self._reader.mode
        if mode is Mode.OPAQUE:
            return
        self.course.lose(side, offset, length, frame, time_ns)
        inside = mode is Mode.CONTENT or (mode is Mode.CHUNK and length <= self._reader.chunk_left)
        self._reader.gap(length)
        if inside:
            return
        if mode is Mode.HOLD:
            self._reader.discard_held()
        self.session.doubt()
        self._skipping = True
        self._spoken = True  # segments are lost whole: what follows mostly begins with a line
        self._replied = False

    def closed(self, side: model.Side, how: str, frame: int, time_ns: int, seen: int = -1) -> None:
        """``side`` ended its stream. ``seen``: bytes of the other side that it had acknowledged, -1: unknown."""
        course = self.course
        if course.client_ns and self._reader.partial:
            course.paused(self._reader, 0, frame, time_ns)
        closing = course.close(side, how, frame, time_ns, self.session.due, seen)
        if closing is not None and side == "server" and how == "fin" and closing.waiting:
            self._left_unanswered(closing.waiting[0])
        if how == "rst" or self.record.closing == "open":
            self.record.closing = "rst" if how == "rst" else "fin"

    def conflict(self, side: model.Side, offset: int, frame: int, time_ns: int) -> None:
        """Bytes of ``side`` at ``offset`` were sent again with other content."""
        self.conflicts.append((side, offset, frame, time_ns))

    def finish(self) -> model.Connection:
        """Nothing more comes: settle what is open and return the report of this connection."""
        reader, course = self._reader, self.course
        course.hanging = self._server.hanging
        course.opaque = reader.mode in {Mode.OPAQUE, Mode.TLS_DUE} or self._server.opaque
        if reader.mode in {Mode.CONTENT, Mode.CHUNK}:
            course.inside = reader.content
        if reader.partial.strip().upper() == b"QUIT":
            course.quit_sent = True  # without its line end; there are rules for that
        self._presume()
        if self._unjudged is not None:
            self._judge_content()
        self._end_content()
        self._end_line()
        self._end_text()
        due = self.session.due
        while due:
            x = due.popleft()
            if x.before is None:
                x.before = self.session.state
                self._predict(x)
            self._settle(x)
        self.judge.ended(self)
        self.record.profile = self.profile
        if self.profile == "lmtp":
            self.record.protocol = "lmtp"
            if self.record.server.port == SMTP_PORT:
                self.record.notes.append("LMTP on port 25, which is SMTP's (RFC 2033 §5)")
        return self.record

    @property
    def uneventful(self) -> bool:
        """Whether the connection ran and ended as it should: nothing is left to ask about it as a whole."""
        return (
            self.session.state.phase is Phase.QUIT
            and self.course.quiet
            and not self.midstream
            and not self.conflicts
            and self.certain
        )

    @property
    def readers(self) -> tuple[ClientReader, ServerReader]:
        """Who reads the bytes of either side."""
        return self._reader, self._server

    @property
    def certain(self) -> bool:
        """Whether both sides are in view: otherwise a finding may have an excuse that was not captured."""
        return self.client_seen and self.server_seen

    # -- from the readers ------------------------------------------------------------------------------------------

    def command_line(
        self, raw: bytes, end: bytes, offset: int, length: int, frame: int, time_ns: int, seen: int
    ) -> None:
        """A line in command position."""
        command = parse_command(raw)
        if self._skipping and not self._resumes(command, raw):
            return
        act = ACTS.get(command.verb, Act.OTHER)
        if act in {Act.BDAT, Act.BURL} and command.last:
            act = Act.LAST
        turn = self._dialogue.command(command, frame, time_ns, offset)
        x = Exchange(act, command, turn, offset, frame, time_ns)
        x.line(raw, end, length)
        if command.deviations:
            x.marks |= Mark.DEVIATION
            x.deviations = judged(x)
        self._sent(x, seen)
        if act in _WATCHED or x.marks & _ODD_LINE or self.watch.in_foreign_header:
            self.watch.command(x)
            self.astray = self.astray or b"\n" in raw or b"\r" in raw
        if self._early or (not self.greeted and not self.server_seen):
            x.marks |= Mark.EARLY
            self._early = False
        if self._text or self.session.causes.data is not None:
            self._follow_text(x, command)
        if act in _HELD_BACK:
            self._reader.mode = Mode.HOLD
            if self._presuming:
                self._presume()
        elif act in _CHUNKS:
            self._begin_chunk(x, command, offset + length, frame, time_ns)
        elif act is Act.QUIT:
            self.course.quit_sent = True

    def answer_line(
        self, raw: bytes, end: bytes, offset: int, length: int, frame: int, time_ns: int, seen: int
    ) -> None:
        """A line that answers a challenge (RFC 4954 §4)."""
        if self._presuming and parse_command(raw).verb in _STRONG:
            self._reader.mode = Mode.COMMAND
            self.command_line(raw, end, offset, length, frame, time_ns, seen)
            return
        turn = self._dialogue.answer(raw, length, frame, time_ns, offset)
        x = Exchange(Act.ANSWER, None, turn, offset, frame, time_ns)
        x.line(raw, end, length)
        if raw not in (b"", b"*") and not is_base64(raw):
            x.marks |= Mark.DEVIATION
        self._sent(x, seen)
        self.watch.answer(x)
        self._reader.mode = Mode.HOLD
        if self._presuming:
            self._presume()

    def content_end(self, content: Content, seen: int) -> None:
        """The end mark of mail data was read, or taken for read."""
        turn = self._dialogue.message(content, complete=content.complete)
        x = Exchange(Act.END, None, turn, content.offset, content.frame, content.time_ns)
        x.content = content
        transaction = self.session.state.transaction
        if isinstance(transaction, Transaction):
            x.transaction = transaction
            transaction.content = content
            if self.profile == "lmtp":
                x.due = max(1, transaction.accepted)
        self._sent(x, seen)

    def chunk_end(self, seen: int) -> None:
        """The last octet of a BDAT chunk was read."""
        x, self._chunk = self._chunk, None
        if x is None or x.content is None:
            return
        x.content.settle()
        if x.act is Act.LAST:
            x.content.flush()
            x.content.complete = not x.content.missing
        self._dialogue.end_chunk(self._chunk_turn, x.content)
        if x.act is Act.LAST and x.reply_end >= 0:
            self._content_over(x)

    def undecided(self) -> None:
        """Too much waits for one reply: take the likely one."""
        self.record.notes.append(
            f"more than {self.limits.undecided_bytes} bytes waited for one reply: they were read as if it had come"
        )
        self._lost_replies = True
        self.session.doubt()
        self._release_as_presumed()

    def tls_begins(self, side: model.Side, offset: int, frame: int, time_ns: int) -> None:
        """A TLS record stands where a line should begin: what follows is opaque."""
        if not self._tls_seen:
            self._tls_seen = True
            self.record.tls = "starttls" if self._spoken or self.midstream else "implicit"
            turn = self._dialogue.tls(side, frame, time_ns, offset)
            if side == "client":
                self._tls_place = turn, offset, frame, time_ns
                if self._spoken and self.session.state.sure and not self.session.state.hello.secure:
                    self._unwanted_tls()
        if side == "server":
            self.course.server_tls = True
            self.watch.upgrading = False
        if side == "client":
            self._server.expect_tls = True
        else:
            self._reader.discard_held()
            self._reader.mode = Mode.OPAQUE

    def no_tls(self, data: bytes, offset: int, frame: int, time_ns: int) -> None:
        """Plain text of the client stands where the TLS handshake was due."""
        self.watch.upgrading = False
        if self._presuming or self._skipping:
            return  # nobody has seen the 220, or what came first behind it
        self.watch.tls_lacking = True
        line, end, _ = data.partition(b"\r\n")
        next_turn = len(self.record.dialogue)
        shown = end and not self._skipping and not 0 < self.limits.turns <= next_turn
        self._event(Mark.NO_TLS, next_turn if shown else -1, offset, frame, time_ns, line)

    def secured(self, offset: int, frame: int, time_ns: int) -> None:
        """The TLS handshake succeeded; what is fed from here on was decrypted. The session starts anew (RFC 3207 §4.2).

        For who can decrypt. Offsets go on from ``offset`` as the caller counts them.
        """
        if not self._tls_seen:
            self._tls_seen = True
            self.record.tls = "starttls" if self._spoken or self.midstream else "implicit"
            self._dialogue.tls("client", frame, time_ns, offset)
        self._inside_from = len(self.record.dialogue)
        self.watch.upgrading = False
        session = self.session
        if session.state.phase is not Phase.CONNECTED:
            session.restart(self._inside_tls())
        else:
            session.restart(session.state._replace(hello=Hello(keywords=NO_KEYWORDS, secure=True)))
        self._reader.discard_held()
        self._reader.mode = Mode.COMMAND
        self._server.opaque = self._server.expect_tls = False

    def malformed(self, line: bytes, offset: int, frame: int, time_ns: int) -> None:
        """A server line that is no reply: it answers nothing."""
        turn = self._dialogue.malformed(line, frame, time_ns, offset)
        if self.watch.upgrading:
            self._event(Mark.BEHIND_220, turn, offset, frame, time_ns, line)
        elif self.last is not None or not self.midstream:
            x = Exchange(Act.NOTHING, None, -1, offset, frame, time_ns)
            x.before = self.session.state
            x.marks = Mark.MALFORMED_REPLY | Mark.EXPLAINED
            x.answer(parse_reply(line), turn, offset, offset + len(line), frame, time_ns)
            self._settle(x)

    def reply(self, reply: Reply, offset: int, end: int, frame: int, time_ns: int) -> None:
        """One whole reply of the server: find what it answers and go on from there."""
        self._spoken = self._replied = True
        session = self.session
        x = self._answered(reply)
        turn = self._dialogue.reply(reply, -1 if x is None else x.turn, frame, time_ns, offset)
        if x is None:
            x = Exchange(Act.NOTHING, None, -1, offset, frame, time_ns)
            x.before = session.state
            self._unasked(x, reply)
            mark_reply(x, session.state, reply)
            if self._has_reason():
                x.marks |= Mark.EXPLAINED
            if reply.code == 421:
                session.restart(advance(session.state, Act.OTHER, 421))
            elif reply.code == 354 and not session.state.sure and self._reader.mode is Mode.COMMAND:
                self._begin_content(self._reader.position, frame, time_ns)  # its DATA was lost
        x.sure = x.sure and self.client_seen and (session.state.sure or x.act is Act.GREETING)
        x.answer(reply, turn, offset, end, frame, time_ns)
        if x.act is Act.GREETING:
            self.watch.greeting = x
            if self._tls_place[2] and self._inside_from < 0:
                self._unwanted_tls()
            session.greeted(x, reply.code)
        elif x.act is Act.NOTHING:
            if self.profile == "lmtp" and self.last is not None and self.last.act in _ENDS_MESSAGE:
                x.marks |= Mark.RECIPIENT_REPLIES
        else:
            session.answered(x, reply)
            if x.command is not None:
                self._predict(x)
                session.dispute(x)
            self.last = x
            if x.due <= 0:
                self._go_on(x, reply.code)
        if reply.code in _FAREWELLS:
            self.course.part(x, reply.code, time_ns, asked=x.act is not Act.NOTHING)
        if x.due <= 0:
            self._settle(x)

    # -- pairing ---------------------------------------------------------------------------------------------------

    def _sent(self, x: Exchange, seen: int) -> None:
        session = self.session
        if self._unjudged is not None:
            self._judge_content()
        session.sent(x, seen)
        self._usage.sent(x, one_sided=not self.server_seen)
        if len(session.due) > self.limits.unanswered_commands > 0:
            x.marks |= Mark.FLOOD
            if len(session.due) > self.limits.outstanding > 0:
                self._give_up(1)
                session.doubt()
        if self._server.unfinished and len(session.due) == 2 and seen >= 0:
            self._overtaken = session.due[0]
        self._unended = self._server.mid_line and seen >= 0

    def _answered(self, reply: Reply) -> Exchange | None:
        """What ``reply`` answers; None: nothing."""
        if not self.greeted:
            self.greeted = True
            return Exchange(Act.GREETING, None, -1, 0, 0, 0)
        due = self.session.due
        if len(due) > 1 and reply.code in _ONLY_ANSWERS:
            self._skip_to(_ONLY_ANSWERS[reply.code])
        elif self._ended_early and due:
            self._ended_early = False
            if reply.code == 221 and due[0].act is Act.END:
                self._skip_to(_QUITS)  # it had answered the message already
        if due and self.profile == "lmtp":
            self._count_replies(reply)
        if due:
            if self._lost_replies and len(due) > 1:
                return None  # some of these were answered in the gap, but nobody knows which
            self._lost_replies = False
            return due[0] if due[0].due > 1 else due.popleft()
        if self._reader.mode is Mode.CONTENT:
            return self._answer_to_content(reply)
        if self._reader.mode <= Mode.ANSWER and reply.code != 421 and self._reader.cut_bare() and due:
            first = due.popleft()
            first.marks |= Mark.HONOURED
            return first
        return None

    def _count_replies(self, reply: Reply) -> None:
        """How many replies an LMTP server owes for the message that is first in line (RFC 2033 §4.2, §4.3)."""
        due, state = self.session.due, self.session.state
        first = due[0]
        if first.act is Act.LAST and first.reply is None and state.phase in {Phase.RCPT, Phase.CHUNKS}:
            transaction = state.transaction
            first.due = max(1, transaction.accepted) if isinstance(transaction, Transaction) else 1
        if reply.code == 421:
            first.due = 1  # it ends the series
        elif reply.code == 221 and first.reply is not None and any(x.act is Act.QUIT for x in due):
            self._cut_series(due.popleft())

    def _cut_series(self, x: Exchange) -> None:
        """The server went on before it had given one reply for each recipient."""
        assert x.reply is not None
        x.lacking, x.due = x.due, 0
        x.reply_end = x.reply_offset + len(x.reply.raw)
        x.marks |= Mark.RECIPIENT_REPLIES
        self.session.answered(x, x.reply)
        self._go_on(x, x.code)
        self._settle(x)

    def _left_unanswered(self, x: Exchange) -> None:
        """The server closed in an orderly way, having received ``x`` and not answered it."""
        if x.reply is not None:
            x.lacking = x.due
            x.marks |= Mark.RECIPIENT_REPLIES
        elif self._server.hanging is None and not self._lost_replies and x is not self._chunk:
            x.marks |= Mark.UNANSWERED

    def _has_reason(self) -> bool:
        """Whether a reply that answers nothing due may answer something that is no command to us."""
        reader, last = self._reader, self.last
        if self.astray or self.session.due or reader.partial or reader.mode > Mode.CONTENT:
            return True
        if last is None or reader.mode is Mode.CONTENT:
            return False
        upgraded = last.act is Act.STARTTLS and last.accepted and self._inside_from < 0
        return upgraded or bool(last.marks & _ODD_END)

    def _answer_to_content(self, reply: Reply) -> Exchange | None:
        """A reply while mail data flows: did the server see an end where there is none for us?"""
        content = self._reader.content
        assert content is not None
        content.settle()
        lookalike = content.ends_like() or (content.lookalike is not None and 200 <= reply.code < 300)
        if reply.code == 421 or not (lookalike or content.missing):
            return None
        self._reader.end_content_early()
        if lookalike:
            spot = content.lookalike
            frame, time_ns = (content.frame, content.time_ns) if spot is None else (spot.frame, spot.time_ns)
            rest = content.end_early()
            if rest:
                self._rest = (rest, content.end_offset - len(rest), frame, time_ns)
        else:  # the end mark was among the missing bytes
            content.flush()
            self._skipping = True
            self.session.doubt()  # commands may have followed it there
        self.content_end(content, -1)
        x = self.session.due.popleft()
        if lookalike:
            x.marks |= Mark.HONOURED
        return x

    def _skip_to(self, acts: frozenset[Act]) -> None:
        """The code belongs to one kind of command only. Where that is not first in line, the server never answered
        what stands before it, or answered in a way that is no reply: there the pairing starts anew."""
        place = next((n for n, x in enumerate(self.session.due) if x.act in acts), 0)
        if place:
            self._give_up(place)
            self.session.doubt()

    def _pass_lost_replies(self, data: bytes) -> None:
        """The client has seen the replies that the capture lacks, and goes on with ``data``: what it does now tells."""
        reader, due = self._reader, self.session.due
        if not due and reader.mode <= Mode.ANSWER:
            reader.cut_bare()
        self._lost_replies = False
        if reader.mode is not Mode.HOLD:
            self._give_up(len(due))
        elif parse_command(data.partition(b"\r\n")[0]).verb in _STRONG:
            self._give_up(len(due))
            reader.release(Mode.COMMAND)
        else:
            self._release_as_presumed()
            self._give_up(len(due))

    def _give_up(self, count: int) -> None:
        for x in self.session.give_up(count):
            x.sure = False
            self._settle(x)

    def _end_reply_that_hangs(self, data: bytes) -> None:
        """The client sent its next command though the reply to its last had not ended, without being allowed to
        pipeline. If ``data`` does not end as many replies as are due, what came before was the whole of the first."""
        x, due, self._overtaken = self._overtaken, self.session.due, None
        if not due or x is not due[0] or self._server.ends(data) >= len(due):
            return
        if x.act is Act.EHLO or not self.session.state.hello.lists("PIPELINING"):
            later = [due.pop() for _ in range(len(due) - 1)]
            self._server.end_unfinished()
            later[-1].sure = False  # who hurried whom is open
            due.extend(reversed(later))

    # -- outcome ---------------------------------------------------------------------------------------------------

    def _predict(self, x: Exchange) -> None:
        if x.command is not None:
            self._dialogue.predicted(x, predict(x, self.profile, self.session.causes.disputed))

    def _settle(self, x: Exchange) -> None:
        """``x`` has its reply, or will never have one."""
        if x in self._text:
            return  # judged when it is clear what it is
        if not self.server_seen:
            x.without_order()
        self.judge.exchange(x, self)
        if x.act is Act.END or (x.act is Act.LAST and x is not self._chunk):
            self._content_over(x)

    def _content_over(self, x: Exchange) -> None:
        """A message is complete and answered: list it, and let the rules look at it."""
        content = x.content
        if content is None:
            return
        if x.transaction is not None and x.transaction.referred:
            content.missing += 1  # what BURL pointed at
        self._dialogue.deliver(x, content)
        if self._tap is not None:
            self._tap.over(content, x)
        self.astray = self.astray or content.lookalike is not None
        if content.header_8bit is not None and x.transaction is not None and x.transaction.smtputf8:
            x.marks = Mark.CONTENT_UTF8 | (x.marks & Mark.HONOURED)
            self.judge.exchange(x, self)
        if content.lookalike is None or x.marks & Mark.HONOURED or self._presuming:
            self.judge.content(x, self)
        else:
            self._unjudged = x

    def _judge_content(self) -> None:
        """What the server made of a look-alike end is known as far as it ever will be."""
        x, self._unjudged = self._unjudged, None
        assert x is not None
        self.judge.content(x, self)
        self.watch.beyond, self.watch.beyond_count = None, 0

    def _inside_tls(self) -> State:
        """The state behind a TLS handshake: what was known is forgotten (RFC 3207 §4.2), except who the client is where
        TLS itself told that."""
        login, known = self.watch.login, self.session.state.hello.authenticated
        external = known and login is not None and login.mechanism == "EXTERNAL"
        return State(Phase.GREETED, Hello(keywords=NO_KEYWORDS, authenticated=external, secure=True))

    def _unasked(self, x: Exchange, reply: Reply) -> None:
        """A reply that answers nothing due: is there a reason for it?"""
        if self.watch.upgrading:
            x.marks |= Mark.BEHIND_220
        elif reply.code == 421:
            return
        elif self._reader.mode is Mode.CONTENT:
            self._ended_early = reply.code >= 400
        elif self._unjudged is not None:
            self.watch.answered_beyond(x)
        elif self.injected is not None and self._inside_from >= 0:
            turns = self.record.dialogue[self._inside_from :]
            if all(turn.side == "server" for turn in turns):
                x.marks |= Mark.INSIDE_FIRST

    def _unwanted_tls(self) -> None:
        """The client began TLS where the server speaks in the clear."""
        self.watch.foreign = "TLS"
        self._event(Mark.FOREIGN, *self._tls_place)

    def _event(
        self, mark: int, turn: int, offset: int, frame: int, time_ns: int, line: bytes = b"", breaks: str | None = None
    ) -> None:
        """Something happened that is neither command nor reply: let the rules look at it."""
        x = Exchange(Act.EVENT, parse_command(line) if line else None, turn, offset, frame, time_ns)
        x.raw = line
        x.length = len(line)
        x.marks, x.breaks = mark, breaks
        x.before = x.state = self.session.state
        x.sure = x.before.sure
        self.judge.exchange(x, self)

    def _go_on(self, x: Exchange, code: int) -> None:
        """The reply is known: let the client's bytes go on."""
        act, reader, session = x.act, self._reader, self.session
        if act in _CHUNKS and code >= 400 and x.before is not None and not x.before.hello.lists("CHUNKING"):
            self.astray = True  # the octets of the chunk, which the server takes for commands
        if act in _DECIDING:
            self._layer_due = code == 235 and self._login_name() in _LAYERED
            self._decide_held(x, code)
        elif act in _CHUNKS and reader.mode is Mode.HOLD and not session.due:
            if code >= 400 and reader.held:
                self._skipping = self.astray = True
            reader.release(Mode.COMMAND)
        elif act in {Act.EHLO, Act.HELO} and code < 300:
            self._choose_profile(x)
            if not session.state.hello.secure and session.state.hello.keywords:
                self.watch.hello(x, session.state.hello.keywords)
        elif act is Act.XCLIENT and code == 220:
            hello = Hello(keywords=NO_KEYWORDS, secure=session.state.hello.secure)
            session.restart(session.state._replace(hello=hello))
        elif act is Act.RCPT:
            if code >= 550:
                self.watch.probed(x, code)
        elif act is Act.FREE:
            self.watch.probed(x, code)
        elif act is Act.TURN and code == 250:
            self._stop("decoding stopped: TURN was accepted, the two sides change roles (RFC 821 §3.8)")
        rest, self._rest = self._rest, None
        if rest is not None:
            reader.feed(*rest, -1)

    def _login_name(self) -> str:
        return "" if self.watch.login is None else self.watch.login.mechanism

    def _choose_profile(self, x: Exchange) -> None:
        """The first accepted hello tells SMTP from LMTP."""
        if not self._profile_fixed and x.command is not None:
            if x.command.verb == b"LHLO":
                self.profile = "lmtp"
            elif self.profile == "lmtp":
                self.profile = "rfc5321"

    def _decide_held(self, x: Exchange, code: int) -> None:
        """The reply that says what the held bytes of the client are."""
        reader = self._reader
        if reader.mode is not Mode.HOLD or any(one.act in _DECIDING for one in self.session.due):
            return
        if x.act is Act.DATA and 300 <= code < 400:
            if reader.held and 0 <= reader.held_seen < x.reply_end:
                x.marks |= Mark.HASTY_TEXT
            self._begin_content(x.offset + x.length, x.frame, x.time_ns)
        elif x.act in {Act.AUTH, Act.ANSWER} and 300 <= code < 400:
            reader.release(Mode.ANSWER)
        elif x.act is Act.STARTTLS and code == 220:
            held = reader.held
            if held and held[0] not in _TLS_HELLO:
                line = held.partition(b"\r\n")[0]
                self.watch.injection = Injection(line, reader.held_size, *reader.held_place)
                reader.discard_held()
                self.injected = x
                x.marks |= Mark.INJECTED
            self._server.expect_tls = self.watch.upgrading = True
            self.session.restart(self._inside_tls())
            reader.release(Mode.TLS_DUE)
        else:
            if x.act is Act.STARTTLS and reader.held:
                x.marks |= Mark.INJECTED
            reader.release(Mode.COMMAND)

    def _begin_content(self, offset: int, frame: int, time_ns: int) -> None:
        limit = self.limits.header_bytes
        content = self._reader.content = Content(offset, frame, time_ns, chunked=False, header_limit=limit)
        if self._tap is not None:
            content.sink = self._tap.begin(content, self.session.state.transaction)
        self._skipping = False
        self._reader.release(Mode.CONTENT)

    def _begin_chunk(self, x: Exchange, command: Command, offset: int, frame: int, time_ns: int) -> None:
        """BDAT: so many octets follow, whatever the server says (RFC 3030 §2); unless nobody knows how many."""
        size = command.chunk_size
        bad = any(d.kind is DeviationKind.BAD_BDAT_SYNTAX for d in command.deviations)
        if size is None or bad or size > MAX_CHUNK:
            self._reader.mode = Mode.HOLD
            if self._presuming:
                self._reader.release(Mode.COMMAND)
            return
        assert x.state is not None
        transaction = x.state.transaction
        content = transaction.content if isinstance(transaction, Transaction) else None
        if content is None or content.complete or not content.chunked:
            content = Content(offset, frame, time_ns, chunked=True, header_limit=self.limits.header_bytes)
            if isinstance(transaction, Transaction):
                transaction.content = content
            if self._tap is not None:
                content.sink = self._tap.begin(content, transaction)
        self._usage.chunk(x, size)
        content.move_to(offset)
        x.content = content
        self._chunk = x
        self._chunk_turn = self._dialogue.chunk(content, size, frame, time_ns, offset)
        self._reader.content = content
        self._reader.chunk_left = size
        self._reader.mode = Mode.CHUNK if size else Mode.COMMAND
        if not size:
            self.chunk_end(-1)

    def _end_content(self) -> None:
        """The connection ended inside a message."""
        content = self._reader.content
        if content is None:
            return
        if self._reader.mode is Mode.CONTENT:
            content.flush()
            turn = self._dialogue.message(content, complete=False) if content.size else -1
            x = Exchange(Act.EVENT, None, turn, content.offset, content.frame, content.time_ns)
            x.content = content
            if content.lookalike is not None:
                self.judge.content(x, self)
            if self._tap is not None:
                self._tap.over(content, x)
        elif self._reader.mode is Mode.CHUNK:
            self._dialogue.end_chunk(self._chunk_turn, content, self._reader.chunk_left)

    def _end_line(self) -> None:
        """The connection ended inside a line."""
        length, offset, frame, time_ns = self._reader.unfinished
        if not length or self._reader.mode > Mode.ANSWER or self._skipping:
            return
        line, session = self._reader.partial, self.session
        marks = Mark.ENDLESS if length > MAX_ENDLESS and self._reader.mode is Mode.COMMAND else 0
        marks |= (Mark.BARE_LF if b"\n" in line else 0) | (Mark.BARE_CR if b"\r" in line[:-1] else 0)
        quitting = session.state.phase is Phase.QUIT or any(x.act is Act.QUIT for x in session.due)
        if quitting and not 0x14 <= line[0] <= 0x17:  # TLS may say farewell too
            marks |= Mark.CLIENT_ORDER
        if marks:
            self._event(marks, -1, offset, frame, time_ns, line[:MAX_ENDLESS], breaks="SEQ114" if quitting else None)

    def _follow_text(self, x: Exchange, command: Command) -> None:
        """Mail data sent as if DATA had been accepted (SEQ113): header-like lines up to a lone dot."""
        causes = self.session.causes
        refused, causes.data = causes.data, None
        if self._text:
            self._text.append(x)
            if x.raw == b".":
                self._text[0].marks |= Mark.TEXT_AS_COMMANDS
                for line in self._text:
                    line.marks |= Mark.SKIPPED
                self._end_text()
            elif len(self._text) > MAX_TEXT or (command.verb in _STRONG and not command.deviations):
                self._end_text()
        elif refused is not None and self.session.in_view(refused) and command.spec is None and b":" in x.raw:
            name = x.raw.partition(b":")[0]
            if name and all(33 <= byte <= 126 for byte in name):
                self._text = [x]

    def _end_text(self) -> None:
        lines, self._text = self._text, []
        for x in lines:
            if x.reply_end >= 0:
                self.judge.exchange(x, self)

    def _stop(self, why: str) -> None:
        self.record.notes.append(why)
        self.course.stopped = why
        self._reader.discard_held()
        self._reader.mode = Mode.OPAQUE
        self._server.opaque = True

    # -- without certainty -----------------------------------------------------------------------------------------

    def _resumes(self, command: Command, raw: bytes) -> bool:
        """While skipping: whether this line is a command for certain. Mail data may quote one, so it must be
        well-formed, and come after a reply or carry a verb that prose does not begin with."""
        if raw == b".":
            self._spoken = True  # the end of mail data, most likely: a command comes next
            return False
        certain = command.spec is not None and (not command.deviations or command.verb in _HELLOS or self._replied)
        if certain and (self._spoken or (command.verb in _STRONG and command.verb == raw[: len(command.verb)])):
            self._skipping = False
            return True
        self._spoken = self._replied = False
        return False

    def _presume(self) -> None:
        """No reply comes any more: read what is held as if the likely one had come."""
        self._presuming = True
        if self._reader.mode is Mode.HOLD:
            self._release_as_presumed()
        if self._reader.mode <= Mode.ANSWER and not self.server_seen:
            while _begins_verb(self._reader.partial) and self._reader.cut_bare(verbs=True):
                pass

    def _release_as_presumed(self) -> None:
        last = next((x for x in reversed(self.session.due) if x.act in _DECIDING), None)
        if last is None:
            self._reader.release(Mode.COMMAND)
        elif last.act is Act.DATA:
            self._begin_content(last.offset + last.length, last.frame, last.time_ns)
        elif last.act is Act.STARTTLS:
            self._reader.release(Mode.TLS_DUE)
        elif last.act is Act.AUTH and last.command is not None and last.command.initial is not None:
            self._reader.release(Mode.COMMAND)
        else:
            self._reader.release(Mode.ANSWER)


def _begins_verb(line: bytes) -> bool:
    return parse_command(line.split(b"\n", 1)[0].rstrip(b"\r")).spec is not None
