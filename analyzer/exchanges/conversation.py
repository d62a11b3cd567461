"""Both sides of one connection: which reply answers which command, in which state, and with which result."""

# Theory
# ------
# The conversation gets both streams in causal order and knows nothing of frames, files or rules. The readers split the
# bytes into lines (lines/client_reader.py, lines/server_reader.py), the session pairs commands with replies and keeps
# the state (session.py), the turn log records the dialogue (turns.py). Here they are combined, and three things are
# decided that need all of them:
#
# * The meaning of the client's bytes after DATA, AUTH, STARTTLS and BDAT, once the reply decides it.
# * The meaning of an unexpected reply. The client may have ended a line with a bare LF and the server accepted it, or
#   the server took a look-alike for the end of mail data. Then the server is followed, because only so can the next
#   bytes be understood; the rules decide whose fault it was.
# * The knowledge that remains after bytes were lost. Nothing is guessed: the state becomes unsure, client lines count
#   only from the next well-formed command on, and replies pair again when it is certain what they answer.

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dissectors.lines.commands import is_base64, parse_command
from ...dissectors.lines.replies import begins_reply
from ..lines.client_reader import Mode
from .command_marks import judged
from .conversation_content import STRONG
from .exchange import Exchange, Mark
from .interfaces import ContentTap, Judge
from .lifecycle import PAUSE_NS
from .reply_pairing import CHUNKS, ReplyPairing
from .state_table import ACTS, NO_KEYWORDS, Act, Hello, Phase

if TYPE_CHECKING:
    from .. import model

__all__ = ["ContentTap", "Conversation", "Judge"]

_HELD_BACK = frozenset({Act.DATA, Act.AUTH, Act.STARTTLS})
_WATCHED = frozenset({Act.MAIL, Act.RCPT, Act.AUTH, *CHUNKS})
SMTP_PORT = 25
_ODD_LINE = Mark.DEVIATION | Mark.BARE_LF | Mark.BARE_CR


class Conversation(ReplyPairing):
    """Takes bytes by ``client`` and ``server`` in causal order; ``finish`` returns the connection with its findings."""

    def client(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int = -1) -> None:
        """Take bytes of the client. ``seen``: bytes of the server that it had acknowledged, -1: unknown."""
        reader, course = self._reader, self.course
        if not self.client_seen:
            self.client_seen = True
            self._early = not (self.greeted or self.server_seen or self.server_syn_missing)
            course.begin(frame, time_ns)
        if self._sasl_layer_expected:
            self._sasl_layer_expected = False
            if data[0] == 0:  # RFC 4422 §3.7: a length of four octets comes first, and no buffer has 16 MB
                self._stop(f"decoding stopped: {self._login_name()} has started a security layer (RFC 4422 §3.7)")
        if time_ns - course.client_ns > PAUSE_NS:
            course.paused(reader, offset, frame, time_ns)
        course.client_ns = time_ns
        if not self.server_seen:
            # Only one direction is captured: a growing acknowledgement is the only sign that the server answered.
            if seen > self._peer_heard and reader.mode is Mode.COMMAND:
                reader.cut_bare()
            self._peer_heard = max(self._peer_heard, seen)
            seen = -1
        if self._lost_replies and seen >= self._lost_until:
            self._pass_lost_replies(data)
        reader.feed(data, offset, frame, time_ns, seen)

    def server(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int = -1) -> None:
        """Take bytes of the server. ``seen``: as for the client."""
        if not self.server_seen:
            self.server_seen = True
            self.course.begin(frame, time_ns)
        self.course.server_ns = time_ns
        if self._overtaken is not None:
            self._end_reply_that_hangs(data)
        elif self._unended and data[:1].isdigit() and begins_reply(data.partition(b"\n")[0] + b"\n"):
            self.session.doubt()  # two replies in one line: it is unknown what each of them answers
        self._unended = False
        self._answers_unseen = seen > self._reader.position
        self._server.feed(data, offset, frame, time_ns)

    def gap(self, side: model.Side, offset: int, length: int, frame: int, time_ns: int) -> None:
        """Record that ``length`` bytes of ``side`` are missing from the capture at ``offset``."""
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
        self._spoken = True  # whole segments are lost, so the next bytes mostly start a line
        self._replied = False
        self._passed = True

    def closed(self, side: model.Side, how: str, frame: int, time_ns: int, seen: int = -1) -> None:
        """Record that ``side`` ended its stream. ``how``: see ``stream.How``. ``seen``: bytes of the other side that
        it had acknowledged, -1: unknown."""
        course = self.course
        if course.client_ns and self._reader.partial:
            course.paused(self._reader, 0, frame, time_ns)
        other = self._reader.position if side == "server" else -2
        closing = course.close(side, how, frame, time_ns, self.session.due, seen, other)
        if closing is not None and side == "server" and how == "fin" and closing.waiting:
            self._left_unanswered(closing.waiting[0])
        if how == "rst" or self.record.closing == "open":
            self.record.closing = "rst" if how == "rst" else "fin"

    def conflict(self, side: model.Side, offset: int, frame: int, time_ns: int) -> None:
        """Record that bytes of ``side`` at ``offset`` were sent again with different content."""
        limit = self.limits.findings_per_rule
        if not limit or len(self.conflicts) <= limit:  # one more: the report then says that there are more
            self.conflicts.append((side, offset, frame, time_ns))

    def finish(self) -> model.Connection:
        """Finish everything that is open and return the report of this connection; no more bytes come."""
        reader, course = self._reader, self.course
        course.hanging = self._server.incomplete_reply
        course.opaque = reader.mode in {Mode.OPAQUE, Mode.TLS_EXPECTED} or self._server.opaque
        if reader.mode in {Mode.CONTENT, Mode.CHUNK}:
            course.inside = reader.content
        if reader.partial.strip().upper() == b"QUIT":
            course.quit_sent = True  # without its line end, which other rules report
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

    def command_line(
        self, raw: bytes, end: bytes, offset: int, length: int, frame: int, time_ns: int, seen: int
    ) -> None:
        """Handle a line in command position."""
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
            self.replies_unreliable = self.replies_unreliable or b"\n" in raw or b"\r" in raw
        if self._early or not (self.greeted or self.server_seen or self.server_syn_missing):
            x.marks |= Mark.EARLY
            self._early = False
        if self._text or self.session.causes.data is not None:
            self._follow_text(x, command)
        if act in _HELD_BACK:
            self._reader.mode = Mode.HOLD
            if self._presuming:
                self._presume()
        elif act in CHUNKS:
            self._begin_chunk(x, command, offset + length, frame, time_ns)
        elif act is Act.QUIT:
            self.course.quit_sent = True

    def answer_line(
        self, raw: bytes, end: bytes, offset: int, length: int, frame: int, time_ns: int, seen: int
    ) -> None:
        """Handle a line that answers a challenge (RFC 4954 §4)."""
        if self._presuming and parse_command(raw).verb in STRONG:
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

    def tls_begins(self, side: model.Side, offset: int, frame: int, time_ns: int) -> None:
        """Handle a TLS record in the place of a line: the rest of the stream is encrypted."""
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
        """Handle plain text of the client in the place of the expected TLS handshake."""
        self.watch.upgrading = False
        if self._presuming or self._skipping:
            return  # the 220, or the first bytes after it, are not in the capture
        self.watch.tls_missing = True
        line, end, _ = data.partition(b"\r\n")
        next_turn = len(self.record.dialogue)
        shown = end and not self._skipping and not 0 < self.limits.turns <= next_turn
        self._event(Mark.NO_TLS, next_turn if shown else -1, offset, frame, time_ns, line)

    def secured(self, offset: int, frame: int, time_ns: int) -> None:
        """Start a new session inside TLS (RFC 3207 §4.2): the handshake succeeded, and the next bytes are decrypted.

        For callers that can decrypt. Offsets continue from ``offset`` as the caller counts them.
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
