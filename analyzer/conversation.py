"""Both sides of one connection: who answered what, in which state, with what outcome."""

# Theory
# ------
# The conversation gets both streams in causal order and knows nothing of frames, files or rules. It keeps three things:
#
# * `_due`: what the client sent and the server still has to answer. Replies pair with it strictly in order (RFC 2920
#   §3.1), whatever was pipelined, unknown or malformed.
# * `state`: the server's state, advanced by each reply (states.py), and `_window`: the commands whose replies the client
#   could not have seen when it sent its last byte, by its ACK number. The client is judged by the state before that
#   window with all of the window presumed to succeed.
# * `dialogue`: the turns as the report shows them.
#
# A reply that answers nothing due may still be explained: the client ended a line with a bare LF and the server took it
# (`cut_bare`), or the server took a look-alike for the end of mail data. Then we follow the server, for only so can what
# comes next be understood; the rules say whose fault it was.
#
# When bytes are missing the conversation does not guess. The state becomes unsure, lines of the client count only from
# the next well-formed command on, and replies pair again when it is certain what they answer.

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from ..dissectors.commands import DeviationKind, is_base64, parse_command
from ..dissectors.text import printable
from . import model
from .client import ClientReader, Mode
from .content import Content
from .exchange import Exchange, Mark, Transaction
from .predict import predict
from .server import ServerReader
from .states import (
    ACTS,
    NO_KEYWORDS,
    START,
    Act,
    Hello,
    Phase,
    State,
    advance,
    broken_rule,
    unsure,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..dissectors.commands import Command
    from ..dissectors.replies import Reply
    from .limits import Limits

__all__ = ["Conversation", "Judge"]

MAX_CHUNK = (1 << 63) - 1  # a larger BDAT size cannot be meant (catalogue, SEC613)
MAX_HOPES = 256  # commands in flight for which the hopeful state is worked out again after a refusal

_HELD_BACK = frozenset({Act.DATA, Act.AUTH, Act.STARTTLS})
_ONLY_ANSWERS = {
    354: frozenset({Act.DATA}),
    334: frozenset({Act.AUTH, Act.ANSWER}),
    235: frozenset({Act.AUTH, Act.ANSWER}),
}
_CHUNKS = frozenset({Act.BDAT, Act.LAST})
_CONTENT_ACTS = frozenset({Act.DATA, Act.BDAT, Act.LAST, Act.BURL})
_HELLOS = frozenset({b"EHLO", b"HELO", b"LHLO"})
_STRONG = frozenset({b"EHLO", b"HELO", b"LHLO", b"MAIL", b"RCPT", b"DATA", b"QUIT", b"RSET", b"STARTTLS", b"BDAT"})


class Judge(Protocol):
    """Who holds the rules against what happened."""

    def exchange(self, x: Exchange, talk: Conversation) -> None:
        """``x`` is answered, or never will be."""

    def content(self, x: Exchange, talk: Conversation) -> None:
        """The content of ``x.transaction`` is over; ``x`` is the exchange that ended it."""

    def ended(self, talk: Conversation) -> None:
        """Nothing more comes."""


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
    ) -> None:
        self.record = record
        self.dialogue = record.dialogue
        self.findings = record.findings
        self.limits = limits
        self.judge = judge
        self.profile = record.profile
        self.state = START
        self.greeted = False
        self.midstream = record.opening == "midstream"
        self.client_seen = False
        self.server_seen = False
        self.counts: dict[str, int] = {}  # findings by rule, unlisted ones too
        self.last_ns = 0
        self.disputed: set[Act] = set()  # what the server called out of order though it was not (SEQ123)
        self.conflicts: list[tuple[model.Side, int, int, int]] = []
        self.refused_hello: Exchange | None = None  # what explains that the session got no further
        self.refused_mail: Exchange | None = None
        self.refused_rcpt: Exchange | None = None
        self.order_fault: Exchange | None = None
        self.injected: Exchange | None = None  # the STARTTLS behind which plain text was injected
        self.time = clock
        self._profile_fixed = profile_fixed
        self._due: deque[Exchange] = deque()
        self._window: deque[Exchange] = deque()
        self._base = START
        self._reader = ClientReader(self, limits)
        self._server = ServerReader(self, limits)
        self._skipping = self.midstream  # client lines count only from the next command that is certainly one
        self._spoken = False  # a reply came since skipping began
        self._lost_replies = False
        self._presuming = False  # no reply can come any more
        self._chunk: Exchange | None = None
        self._bare: deque[Exchange] = deque()
        self._text: Exchange | None = None  # first line of text sent although DATA was refused
        self._chunk_turn = -1
        self._data_refused: Exchange | None = None
        self._rest: tuple[bytes, int, int, int] | None = (
            None  # client bytes behind an end of data that only the server saw
        )
        self._lost_until = 0
        self._peer_heard = -1
        self._replied = False
        self._full = False
        self._tls_seen = False
        if self.midstream:
            self.state = self._base = State(Phase.READY, Hello(None, None), sure=False)
            self.greeted = True

    # -- from the streams ------------------------------------------------------------------------------------------

    def client(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int = -1) -> None:
        """Bytes of the client. ``seen``: bytes of the server that it had acknowledged, -1: unknown."""
        self.client_seen = True
        reader = self._reader
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
        self.server_seen = True
        self._server.feed(data, offset, frame, time_ns)

    def gap(self, side: model.Side, offset: int, length: int, frame: int, time_ns: int) -> None:
        """``length`` bytes of ``side`` are missing from the capture at ``offset``."""
        self._note_gap(side, offset, length, frame, time_ns)
        if side == "server":
            if self._server.opaque:
                return
            self._server.gap()
            self.greeted = True
            self._lost_replies = bool(self._due) or bool(self._reader.partial)
            self._lost_until = offset + length
            self._doubt()
            return
        if self._reader.mode is Mode.OPAQUE:
            return
        mode = self._reader.mode
        inside = mode is Mode.CONTENT or (mode is Mode.CHUNK and length <= self._reader.chunk_left)
        self._reader.gap(length)
        if inside:
            return
        if mode is Mode.HOLD:
            self._reader.discard_held()
        self._doubt()
        self._skipping = True
        self._spoken = True  # segments are lost whole: what follows mostly begins with a line

    def _note_gap(self, side: model.Side, offset: int, length: int, frame: int, time_ns: int) -> None:
        """List the gap; what adjoins the last one of this side belongs to it."""
        last = next((g for g in reversed(self.record.gaps) if g.side == side), None)
        if last is not None and last.offset + last.length == offset:
            last.length += length
            turn = self.dialogue[-1] if self.dialogue else None
            if isinstance(turn, model.GapTurn) and turn.side == side:
                turn.length += length
                return
        else:
            self.record.gaps.append(model.Gap(side, offset, length, frame))
        self._add(model.GapTurn(side, length, frame, self.time(time_ns), offset))

    def closed(self, side: model.Side, how: str, frame: int, time_ns: int) -> None:
        """``side`` ended its stream."""
        if how == "rst" or self.record.closing == "open":
            self.record.closing = "rst" if how == "rst" else "fin"

    def conflict(self, side: model.Side, offset: int, frame: int, time_ns: int) -> None:
        """Bytes of ``side`` at ``offset`` were sent again with other content."""
        self.conflicts.append((side, offset, frame, time_ns))

    def finish(self) -> model.Connection:
        """Nothing more comes: settle what is open and return the report of this connection."""
        self._presume()
        if self._server.unfinished:
            self._server.end_unfinished()
        self._end_content()
        for x in self._due:
            if x.before is None:
                x.before = self.state
                self._predict(x)
            self._tell(x)
        self._due.clear()
        self._window.clear()
        self.judge.ended(self)
        self.record.profile = self.profile
        if self.profile == "lmtp":
            self.record.protocol = "lmtp"
        return self.record

    # -- for the rules ---------------------------------------------------------------------------------------------

    @property
    def certain(self) -> bool:
        """Whether both sides are in view: otherwise a finding may have an excuse that was not captured."""
        return self.client_seen and self.server_seen

    def shown(self, x: Exchange) -> str:
        """The line as evidence, without secrets."""
        if x.command is None:
            return ""
        if x.command.verb == b"AUTH" and x.command.argument is not None:
            return f"AUTH {_shown(x.command, x.command.argument)}"
        return printable(x.raw[:200])

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
        x = Exchange(act, command, len(self.dialogue), offset, frame, time_ns)
        x.length = length
        x.end = end
        x.raw = raw
        marks = 0
        if command.deviations:
            marks = Mark.DEVIATION
        if not raw.isascii():
            marks |= Mark.EIGHT_BIT
        if end != b"\r\n" or b"\n" in raw:
            marks |= Mark.BARE_LF if end != b"\r" else Mark.BARE_CR
        if b"\r" in raw:
            marks |= Mark.BARE_CR
        if b"\0" in raw:
            marks |= Mark.NUL
        x.marks = marks
        argument = command.argument
        shown = None if argument is None else _shown(command, argument)
        self._add(model.CommandTurn("client", command.name, shown, "unknown", frame, self.time(time_ns), offset))
        self._sent(x, seen)
        self._follow_text(x)
        if act in _HELD_BACK:
            self._reader.mode = Mode.HOLD
            if self._presuming:
                self._presume()
        elif act in _CHUNKS:
            self._begin_chunk(x, command, offset + length, frame, time_ns)

    def answer_line(
        self, raw: bytes, end: bytes, offset: int, length: int, frame: int, time_ns: int, seen: int
    ) -> None:
        """A line that answers a challenge (RFC 4954 §4). Its content is judged here and not kept."""
        if self._presuming and parse_command(raw).verb in _STRONG:
            self._reader.mode = Mode.COMMAND
            self.command_line(raw, end, offset, length, frame, time_ns, seen)
            return
        x = Exchange(Act.ANSWER, None, len(self.dialogue), offset, frame, time_ns)
        x.length = length
        x.end = end
        if end != b"\r\n" or b"\n" in raw:
            x.marks |= Mark.BARE_LF
        if b"\r" in raw:
            x.marks |= Mark.BARE_CR
        if raw not in (b"", b"*") and not is_base64(raw):
            x.marks |= Mark.DEVIATION
        self._add(model.AuthTurn("client", length, frame, self.time(time_ns), offset))
        self._sent(x, seen)
        self._reader.mode = Mode.HOLD
        if self._presuming:
            self._presume()

    def content_end(self, content: Content, seen: int) -> None:
        """The end mark of mail data was read, or taken for read."""
        x = Exchange(Act.END, None, len(self.dialogue), content.offset, content.frame, content.time_ns)
        x.content = content
        transaction = self.state.transaction
        if isinstance(transaction, Transaction):
            x.transaction = transaction
            transaction.content = content
            if self.profile == "lmtp":
                x.due = max(1, transaction.accepted)
        self._add_message(content, content.offset, content.size, content.lines, content.complete)
        self._sent(x, seen)

    def chunk_end(self, seen: int) -> None:
        """The last octet of a BDAT chunk was read."""
        x, self._chunk = self._chunk, None
        if x is None or x.content is None:
            return
        content = x.content
        if x.act is Act.LAST:
            content.flush()
            content.complete = not content.missing
        turn = self.dialogue[self._chunk_turn]
        if isinstance(turn, model.MessageTurn):
            turn.complete = True
            turn.lines = content.lines - turn.lines
        if x.act is Act.LAST and x.reply_end >= 0:
            self._content_over(x)

    def undecided(self) -> None:
        """Too much waits for one reply: take the likely one."""
        self.record.notes.append(
            f"more than {self.limits.undecided_bytes} bytes waited for one reply: they were read as if it had come"
        )
        self._lost_replies = True
        self._doubt()
        self._release_as_presumed()

    def tls_begins(self, side: model.Side, offset: int, frame: int, time_ns: int) -> None:
        """A TLS record stands where a line should begin: what follows is opaque."""
        if not self._tls_seen:
            self._tls_seen = True
            self.record.tls = "starttls" if self._replied or self.midstream else "implicit"
            self._add(model.TlsTurn(side, frame, self.time(time_ns), offset))
        if side == "client":
            self._server.expect_tls = True
        else:
            self._reader.discard_held()
            self._reader.mode = Mode.OPAQUE

    def malformed(self, line: bytes, offset: int, frame: int, time_ns: int) -> None:
        """A server line that is no reply: it answers nothing (catalogue, section 2)."""
        text = printable(line.rstrip(b"\r\n"))
        self._add(model.MalformedTurn("server", text, frame, self.time(time_ns), offset))

    def reply(self, reply: Reply, offset: int, end: int, frame: int, time_ns: int) -> None:
        """One whole reply of the server: find what it answers and go on from there."""
        self._spoken = self._replied = True
        x = self._answered(reply)
        answers = x.turn if x is not None and x.turn >= 0 else None
        turn = len(self.dialogue)
        self._add(
            model.ReplyTurn(
                "server", reply.code, reply.lines, reply.enhanced, answers, frame, self.time(time_ns), offset
            )
        )
        if x is None:
            x = Exchange(Act.NOTHING, None, -1, offset, frame, time_ns)
            x.before = self.state
            if reply.code == 421:
                self.state = advance(self.state, Act.OTHER, 421)
        x.sure = x.sure and self.client_seen and (self.state.sure or x.act is Act.GREETING)
        if reply.deviations:
            x.marks |= Mark.REPLY_DEVIATION
            if not reply.ascii:
                x.marks |= Mark.REPLY_EIGHT_BIT
        if x.reply is None or (x.reply.code >= 400 and reply.code < 400):
            x.reply = reply
            x.reply_turn, x.reply_offset, x.reply_frame, x.reply_time_ns = turn, offset, frame, time_ns
        x.due -= 1
        x.reply_end = end if x.due <= 0 else -1
        if x.act is Act.GREETING:
            self._greet(x, reply)
        elif x.act is not Act.NOTHING:
            self._apply(x, reply)
        if x.due <= 0:
            self._tell(x)
            if x.act is Act.END or (x.act is Act.LAST and x is not self._chunk):
                self._content_over(x)

    # -- pairing ---------------------------------------------------------------------------------------------------

    def _sent(self, x: Exchange, seen: int) -> None:
        """Something that will be answered: what could the client know when it sent it?"""
        window = self._window
        if window:
            base = self._base
            stale = False
            while window and window[0].reply_end >= 0 and (seen < 0 or window[0].reply_end <= seen):
                first = window.popleft()
                assert first.after is not None
                base = first.after
                stale = stale or first.hope not in (None, base)
            self._base = base
            state = self._hope(window, base, stale=stale) if window else self.state
        else:
            state = self.state
        if not window:
            self._base = self.state
        x.state = state
        x.sure = state.sure
        if x.act is Act.MAIL:
            x.opens = Transaction(x, state)
        if state.sure:
            x.breaks = broken_rule(state, x.act)
            if x.act is Act.DATA and x.breaks is None and _binary(state):
                x.breaks = "SEQ110"
            if x.breaks is not None:
                x.marks |= Mark.CLIENT_ORDER
        window.append(x)
        due = self._due
        due.append(x)
        if len(due) > self.limits.outstanding > 0:
            lost = due.popleft()
            lost.reply_end = 0
            lost.after = lost.before = self.state
            self._tell(lost)
            self._doubt()
        if self._server.unfinished and len(due) == 2 and seen >= 0:
            self._end_reply_that_hangs(due[0])

    def _hope(self, window: deque[Exchange], base: State, *, stale: bool) -> State:
        """The state if all that is in flight succeeds."""
        last = window[-1]
        if not stale and last.state is not None:
            if last.hope is None:
                last.hope = _hopeful(last.state, last)
            return last.hope
        if len(window) > MAX_HOPES:
            return unsure(base)
        state = base
        for one in window:
            one.hope = state = _hopeful(state, one)
        return state

    def _answered(self, reply: Reply) -> Exchange | None:
        """What ``reply`` answers; None: nothing."""
        if not self.greeted:
            self.greeted = True
            return Exchange(Act.GREETING, None, -1, 0, 0, 0)
        due = self._due
        if due and reply.code in _ONLY_ANSWERS and len(due) > 1:
            self._skip_to(_ONLY_ANSWERS[reply.code])
        if due:
            if self._lost_replies and len(due) > 1:
                return None  # some of these were answered in the gap, but nobody knows which
            self._lost_replies = False
            first = due[0]
            if first.due <= 1:
                due.popleft()
            return first
        if self._bare:
            return self._bare.popleft()
        mode = self._reader.mode
        if mode is Mode.CONTENT:
            return self._answer_to_content(reply)
        if mode <= Mode.ANSWER and reply.code != 421 and self._reader.cut_bare() and due:
            first = due.popleft()
            first.marks |= Mark.HONOURED
            return first
        return None

    def _answer_to_content(self, reply: Reply) -> Exchange | None:
        """A reply while mail data flows: did the server see an end where there is none for us?"""
        content = self._reader.content
        assert content is not None
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
            self._doubt()  # commands may have followed it there
        self.content_end(content, -1)
        x = self._due.popleft()
        if lookalike:
            x.marks |= Mark.HONOURED
        return x

    def _skip_to(self, acts: frozenset[Act]) -> None:
        """The code belongs to one kind of command only. Where that is not first in line, the server never answered
        what stands before it, or answered in a way that is no reply: there the pairing starts anew."""
        due = self._due
        if due[0].act in acts or not any(x.act in acts for x in due):
            return
        while due[0].act not in acts:
            x = due.popleft()
            x.reply_end = 0
            x.before = x.after = self.state
            self._tell(x)
        self._doubt()

    def _pass_lost_replies(self, data: bytes) -> None:
        """The client has seen the replies that the capture lacks, and goes on with ``data``: what it does now tells."""
        reader = self._reader
        if not self._due and reader.mode <= Mode.ANSWER:
            reader.cut_bare()
        if reader.mode is not Mode.HOLD:
            self._drop_lost()
        elif parse_command(data.partition(b"\r\n")[0]).verb in _STRONG:
            self._drop_lost()
            reader.release(Mode.COMMAND)
        else:
            self._release_as_presumed()
            self._drop_lost()

    def _drop_lost(self) -> None:
        """The client goes on: all that was due before was answered in the gap."""
        self._lost_replies = False
        for x in self._due:
            x.reply_end = 0
            x.before = x.after = self.state
            x.sure = False
            self._tell(x)
        self._due.clear()
        self._window.clear()
        self._base = self.state

    def _end_reply_that_hangs(self, x: Exchange) -> None:
        """The client sent its next command though the reply to its last has not ended, without being allowed to
        pipeline: it must have taken what came for the whole reply, so the next line begins another."""
        if x.act is Act.EHLO or not self.state.hello.lists("PIPELINING"):
            second = self._due.pop()
            self._server.end_unfinished()
            self._due.append(second)

    def _predict(self, x: Exchange) -> None:
        turn = self.dialogue[x.turn] if 0 <= x.turn < len(self.dialogue) else None
        if x.command is not None and isinstance(turn, model.CommandTurn):
            turn.predicted = predict(x, self.profile, self.disputed)

    # -- outcome ---------------------------------------------------------------------------------------------------

    def _greet(self, x: Exchange, reply: Reply) -> None:
        """RFC 5321 §3.1: 220, or the server turns the client away."""
        x.before = self.state
        code = reply.code
        if code == 421:
            phase = Phase.CLOSING
        elif code >= 400:
            phase = Phase.TURNED_AWAY
        else:
            phase = Phase.GREETED
        self.state = x.after = self.state._replace(phase=phase)
        if not self._window:
            self._base = self.state

    def _apply(self, x: Exchange, reply: Reply) -> None:
        """Advance the server's state by a reply and let the client's bytes go on."""
        state = self.state
        code = reply.code
        act = x.act
        if x.before is None:
            x.before = state
            if state.sure:
                x.server_breaks = x.breaks if state is x.state else broken_rule(state, act)
                if act is Act.DATA and x.server_breaks is None and _binary(state):
                    x.server_breaks = "SEQ110"
            if x.server_breaks is not None:
                x.marks |= Mark.SERVER_ORDER
            if x.command is not None:
                self._predict(x)
        if code == 503:
            x.marks |= Mark.REFUSED_503
        if x.due > 1:
            return
        keywords = None
        if act is Act.EHLO and 200 <= code < 300:
            keywords = reply.keywords()
        verb = b"" if x.command is None else x.command.verb
        self.state = x.after = advance(state, act, code, verb=verb, transaction=x.opens, keywords=keywords)
        if x.doubted:
            self.state = x.after = unsure(self.state)  # perhaps another command was answered: no ground to stand on
        if x.transaction is None and isinstance(state.transaction, Transaction):
            x.transaction = state.transaction
        self._remember(x, code)
        if act in _HELD_BACK or act is Act.ANSWER:
            self._decide_held(x, code)
        elif act in _CHUNKS and self._reader.mode is Mode.HOLD and not self._due:
            self._skipping = self._skipping or (code >= 400 and bool(self._reader.held))
            self._reader.release(Mode.COMMAND)
        elif act is Act.XCLIENT and code == 220:
            self.state = self.state._replace(hello=Hello(keywords=NO_KEYWORDS, secure=state.hello.secure))
        elif act is Act.TURN and code == 250:
            self._stop("decoding stopped: TURN was accepted, the two sides change roles (RFC 821 §3.8)")
        rest = self._rest
        if rest is not None:
            self._rest = None
            self._reader.feed(*rest, -1)

    def _remember(self, x: Exchange, code: int) -> None:
        """Keep what later findings need to name their cause."""
        act = x.act
        if act is Act.RCPT:
            transaction = x.transaction
            if transaction is not None:
                transaction.recipients.append(x)
                if 250 <= code < 260:
                    transaction.accepted += 1
                else:
                    self.refused_rcpt = x
        elif act is Act.MAIL:
            if code < 300:
                x.transaction = x.opens
                self.refused_mail = self.refused_rcpt = self.order_fault = None
            else:
                self.refused_mail = x
        elif act in {Act.EHLO, Act.HELO}:
            if code < 300:
                self.refused_hello = self.refused_mail = self.refused_rcpt = self.order_fault = None
                self._choose_profile(x)
            else:
                self.refused_hello = x
        elif act in {Act.END, Act.RSET} and code < 300:
            self.refused_mail = self.refused_rcpt = self.order_fault = None
        elif act is Act.DATA and code >= 400:
            self._data_refused = x
        if act in _CONTENT_ACTS and code < 400 and x.transaction is not None and not x.transaction.accepted:
            x.marks |= Mark.EMPTY_TRANSACTION

    def _choose_profile(self, x: Exchange) -> None:
        """The first accepted hello tells SMTP from LMTP (catalogue, section 6)."""
        if self._profile_fixed or x.command is None:
            return
        if x.command.verb == b"LHLO":
            self.profile = "lmtp"
        elif self.profile == "lmtp":
            self.profile = "rfc5321"

    def _decide_held(self, x: Exchange, code: int) -> None:
        """The reply that says what the held bytes of the client are."""
        reader = self._reader
        if reader.mode is not Mode.HOLD:
            return
        if any(one.act in _HELD_BACK or one.act is Act.ANSWER for one in self._due):
            return  # another such command is due behind this one
        if x.act is Act.DATA and 300 <= code < 400:
            self._begin_content(x)
        elif x.act in {Act.AUTH, Act.ANSWER} and 300 <= code < 400:
            reader.release(Mode.ANSWER)
        elif x.act is Act.STARTTLS and 200 <= code < 300:
            held = reader.held
            if held and held[0] not in (0x16, 0x80):
                reader.discard_held()
                self.injected = x
            self._server.expect_tls = True
            self.state = State(Phase.GREETED, Hello(keywords=NO_KEYWORDS, secure=True))
            reader.release(Mode.TLS_DUE)
        else:
            reader.release(Mode.COMMAND)

    def _begin_content(self, x: Exchange) -> None:
        offset = x.offset + x.length
        limit = self.limits.header_bytes
        self._reader.content = Content(offset, x.frame, x.time_ns, chunked=False, header_limit=limit)
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
        content.move_to(offset)
        x.content = content
        self._chunk = x
        self._chunk_turn = len(self.dialogue)
        self._add(model.MessageTurn("client", size, content.lines, True, False, frame, self.time(time_ns), offset))
        self._reader.content = content
        self._reader.chunk_left = size
        self._reader.mode = Mode.CHUNK
        if not size:
            self._reader.mode = Mode.COMMAND
            self.chunk_end(-1)

    def _content_over(self, x: Exchange) -> None:
        """A message is complete and answered: list it, and let the rules look at it."""
        content = x.content
        if content is None:
            return
        transaction = x.transaction
        sender: str | None = None
        recipients: list[model.Recipient] = []
        if transaction is not None:
            transaction.reply_code = x.code or None
            sender = _mailbox(transaction.mail)
            recipients = [model.Recipient(_mailbox(r) or "", r.code or None) for r in transaction.recipients]
        subject, message_id = content.field(b"Subject"), content.field(b"Message-ID")
        self.record.messages.append(
            model.Message(
                sender,
                recipients,
                content.size,
                x.code or None,
                None if subject is None else printable(subject),
                None if message_id is None else printable(message_id),
                content.sha256,
                content.complete,
            )
        )
        if content.header_8bit is not None and transaction is not None and transaction.smtputf8:
            x.marks |= Mark.CONTENT_UTF8
            self.judge.exchange(x, self)
        self.judge.content(x, self)

    def _tell(self, x: Exchange) -> None:
        self.judge.exchange(x, self)

    # -- doubt -----------------------------------------------------------------------------------------------------

    def _doubt(self) -> None:
        """Bytes were lost that the state may depend on."""
        self.state = unsure(self.state)
        for x in self._due:
            x.doubted = True
        for x in self._window:
            x.hope = None
            x.sure = False
            x.breaks = None
            x.marks &= ~Mark.CLIENT_ORDER
        self._base = unsure(self._base)
        if isinstance(self.state.transaction, Transaction):
            self.state.transaction.session_known = False

    def _resumes(self, command: Command, raw: bytes) -> bool:
        """While skipping: whether this line is a command for certain. Mail data may quote one, so it must be
        well-formed, and come after a reply or carry a verb that prose does not begin with."""
        if raw == b".":
            self._spoken = True  # the end of mail data, most likely: a command comes next
            return False
        certain = command.spec is not None and (not command.deviations or command.verb in _HELLOS)
        if certain and (self._spoken or (command.verb in _STRONG and command.verb == raw[: len(command.verb)])):
            self._skipping = False
            return True
        self._spoken = False
        return False

    def _presume(self) -> None:
        """No reply comes any more: read what is held as if the likely one had come."""
        self._presuming = True
        if self._reader.mode is Mode.HOLD:
            self._release_as_presumed()
        if self._reader.mode <= Mode.ANSWER and not self.server_seen:
            while self._begins_verb(self._reader.partial) and self._reader.cut_bare(verbs=True):
                pass

    @staticmethod
    def _begins_verb(line: bytes) -> bool:
        return parse_command(line.split(b"\n", 1)[0].rstrip(b"\r")).spec is not None

    def _release_as_presumed(self) -> None:
        last = next((x for x in reversed(self._due) if x.act in _HELD_BACK or x.act is Act.ANSWER), None)
        if last is None:
            self._reader.release(Mode.COMMAND)
        elif last.act is Act.DATA:
            self._begin_content(last)
        elif last.act is Act.STARTTLS:
            self._reader.release(Mode.TLS_DUE)
        elif last.act is Act.AUTH and last.command is not None and last.command.initial is not None:
            self._reader.release(Mode.COMMAND)
        else:
            self._reader.release(Mode.ANSWER)

    def _end_content(self) -> None:
        """The connection ended inside a message."""
        content = self._reader.content
        if content is None or self._reader.mode not in {Mode.CONTENT, Mode.CHUNK}:
            return
        if self._reader.mode is Mode.CONTENT:
            content.flush()
            if content.size:
                self._add_message(content, content.offset, content.size, content.lines, complete=False)
        else:
            turn = self.dialogue[self._chunk_turn]
            if isinstance(turn, model.MessageTurn):
                turn.size -= self._reader.chunk_left
                turn.lines = content.lines - turn.lines

    def _follow_text(self, x: Exchange) -> None:
        """Mail data sent as if DATA had been accepted (SEQ113): header-like lines up to a lone dot."""
        command = x.command
        assert command is not None
        refused, self._data_refused = self._data_refused, None
        if self._text is not None:
            if x.raw == b".":
                self._text.marks = Mark.TEXT_AS_COMMANDS
                self.judge.exchange(self._text, self)
                self._text = None
            elif command.spec is not None and not command.deviations:
                self._text = None
        elif refused is not None and refused not in self._window and command.spec is None and b":" in x.raw:
            name = x.raw.partition(b":")[0]
            if name and all(33 <= byte <= 126 for byte in name):
                self._text = x

    def _stop(self, why: str) -> None:
        self.record.notes.append(why)
        self._reader.discard_held()
        self._reader.mode = Mode.OPAQUE
        self._server.opaque = True

    # -- dialogue --------------------------------------------------------------------------------------------------

    def _add(self, turn: model.Turn) -> None:
        limit = self.limits.turns
        if limit and len(self.dialogue) >= limit:
            if len(self.dialogue) == limit and not self._full:
                self._full = True
                self.record.notes.append(f"the dialogue is shown up to turn {limit}; the audit went on")
            return
        self.dialogue.append(turn)

    def _add_message(self, content: Content, offset: int, size: int, lines: int, complete: bool) -> None:
        time = self.time(content.time_ns)
        self._add(model.MessageTurn("client", size, lines, False, complete, content.frame, time, offset))


def _binary(state: State) -> bool:
    """Whether the open transaction was declared BODY=BINARYMIME (RFC 3030 §3)."""
    transaction = state.transaction
    return isinstance(transaction, Transaction) and transaction.body == "BINARYMIME"


def _hopeful(state: State, x: Exchange) -> State:
    """The state if ``x`` succeeds."""
    verb = b"" if x.command is None else x.command.verb
    return advance(state, x.act, None, verb=verb, transaction=x.opens)


def _shown(command: Command, argument: bytes) -> str:
    """The argument as the report shows it: no secret of an AUTH command."""
    if command.verb == b"AUTH":
        mechanism, _, initial = argument.partition(b" ")
        if initial.strip() not in (b"", b"="):
            return f"{printable(mechanism)} [{len(initial)} bytes not shown]"
    return printable(argument)


def _mailbox(x: Exchange) -> str | None:
    """Address of a MAIL or RCPT without brackets and route; "" is the null path."""
    path = None if x.command is None else x.command.path
    return None if path is None else printable(path.address)
