"""Take the bytes of both sides of a connection in causal order, and follow the conversation."""

# Theory
# ------
# The feed knows nothing of frames, files or rules. It gets pieces of bytes with their places, has them cut into lines,
# replies and mail data by the two readers, and is the handler of both. Two decisions need both sides: the meaning of
# the client's bytes after DATA, AUTH, STARTTLS and BDAT, once the reply decides it, and the meaning of an unexpected
# reply.
#
# A command costs one exchange and few calls if nothing about it is unusual. Each unusual case is one test here, and its
# work is elsewhere.

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dissectors.lines.replies import parse_reply
from ..lines.acts import CHUNKS, STRONG_VERBS, Act
from ..lines.client_reader import ClientReader, HeldPiece, Mode
from ..lines.command_line import CommandLine, read_line, says_quit
from ..lines.marks import Mark
from ..lines.server_reader import ServerReader
from .chunk_sizes import take_stray
from .client_arrival import before_client, check_command, check_first_line, end_at_sasl_layer
from .command_marks import check_auth_line
from .connection_end import finish_open
from .connection_report import render
from .exchange import Exchange, ReplySeen
from .judging import (
    judge_event,
    send,
    settle,
)
from .lifecycle import PAUSE_NS, Closing, end_of
from .limit_notes import LimitNotes
from .loss_recovery import LossEvent
from .lost_bytes import lose_bytes, presume
from .mail_data import begin_chunk, end_chunk, end_content, release_as_presumed
from .proxy_header import end_header, take_header
from .reply_pairing import (
    OWN_CODES,
    left_unanswered,
)
from .reply_taking import end_waiting, take_named, take_reply
from .taking_back import take_back
from .text_as_commands import follow_text
from .tls_upgrade import (
    clear_text_refused,
    restart_inside,
    tls_begins,
    tls_missing,
)
from .turns import LineSeen, is_servers, said

if TYPE_CHECKING:
    from ...dissectors.lines.replies import Reply
    from .. import model
    from ..content.message import Content
    from ..streams.receiver import Side
    from .conversation import Conversation

__all__ = ["ConversationFeed", "detach"]

_UNREADABLE = frozenset({Mode.OPAQUE, Mode.TLS_EXPECTED, Mode.TLS})
_HELD_BACK = frozenset({Act.DATA, Act.AUTH, Act.STARTTLS})
# Bound once: reading a member of an enum takes longer than the test that uses it.
_QUIT, _NOTHING, _OTHER = Act.QUIT, Act.NOTHING, Act.OTHER


class ConversationFeed(LimitNotes):
    """Takes bytes by ``client`` and ``server`` in causal order; ``finish`` returns the report with its findings."""

    __slots__ = ()

    def __init__(self, talk: Conversation) -> None:
        self.talk = talk
        talk.reader = ClientReader(self, talk.run.limits)
        talk.server_reader = ServerReader(self, talk.run.limits)

    # -- what came from the network --------------------------------------------------------------------------------

    def client(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int = -1) -> None:
        """Take bytes of the client. ``seen``: bytes of the server that it had acknowledged, -1: unknown."""
        talk = self.talk
        if talk.waiting_replies is not None:
            end_waiting(talk)
        if not (talk.client_seen and talk.server_seen) or time_ns - talk.client_ns > PAUSE_NS or talk.loss is not None:
            seen = before_client(talk, data, offset, frame, time_ns, seen)
        if talk.sasl_layer_expected:
            end_at_sasl_layer(talk, data)
        talk.client_ns = time_ns
        unfinished = talk.server_reader.open_reply
        if unfinished is not None and unfinished.answerable < 0:
            at = data.find(b"\n")
            unfinished.answerable = offset + at if at >= 0 else -1
        talk.reader.feed(data, offset, frame, time_ns, seen)

    def server(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int = -1) -> None:
        """Take bytes of the server. ``seen``: as for the client."""
        talk = self.talk
        if not talk.server_seen:
            talk.server_seen = True
            if not talk.started[0]:
                talk.started = (frame, time_ns)
        talk.server_ns = time_ns
        talk.server_acked = seen
        talk.server_reader.feed(data, offset, frame, time_ns, seen)

    def gap(self, side: model.Side, offset: int, length: int, frame: int, time_ns: int) -> None:
        """Record that ``length`` bytes of ``side`` are missing from the capture at ``offset``."""
        end_waiting(self.talk)
        lose_bytes(self.talk, side, offset, length, frame, time_ns)

    def conflict(self, side: model.Side, offset: int, frame: int, time_ns: int) -> None:
        """Record that bytes of ``side`` at ``offset`` were sent again with different content."""
        limit, conflicts = self.talk.limits.findings_per_rule, self.talk.course.conflicts
        if not limit or len(conflicts) <= limit:  # one more: the report then says that there are more
            conflicts.append((side, offset, frame, time_ns))

    def revoke(self, side: model.Side, offset: int) -> bool:
        """Forget the bytes of ``side`` from ``offset`` on, or its FIN there, which never arrived. Return whether that
        is possible."""
        talk, course = self.talk, self.talk.course
        closing = course.closing
        if closing is not None and closing.side == side:  # so no bytes are in question
            return course.reopen(talk.record)
        if side == "server":
            revoked = talk.server_reader.revoke(offset)
        else:
            revoked = talk.tap is None and (talk.reader.revoke(offset) or take_back(talk, offset))
        if not revoked:
            return False
        course.replaced = {**course.replaced, side: offset}
        return True

    def closed(self, side: model.Side, how: str, frame: int, time_ns: int, seen: int = -1) -> None:
        """Record that ``side`` ended its stream. ``how``: see ``stream.How``. ``seen``: bytes of the other side that
        it had acknowledged, -1: unknown."""
        talk = self.talk
        course, client_ns, due = talk.course, talk.client_ns, talk.session.due
        if side == "server":
            course.server_ends = course.closing is None
            if talk.waiting_replies is not None:
                end_waiting(talk)
        if client_ns and talk.reader.partial_line is not None:
            course.paused(talk.reader, client_ns, 0, frame, time_ns)
            course.cut_off(talk.reader, time_ns)
        if course.closing is None:
            received = tuple([x for x in due if side == "client" or seen < 0 or end_of(x) <= seen]) if due else ()
            idle = time_ns - client_ns if client_ns else -1
            waited = time_ns - max(client_ns, talk.server_ns)
            first = side == "client" or talk.reader.position != course.lost_to
            course.closing = Closing(side, how, frame, time_ns, idle, waited, received, first)
            if received and ((side == "server" and how == "fin") or received[0].answer is not None):
                left_unanswered(talk, received[0])
        if how == "rst" or talk.record.closing == "open":
            talk.record.closing = "rst" if how == "rst" else "fin"

    def secured(self, offset: int, frame: int, time_ns: int) -> None:
        """Start a new session inside TLS (RFC 3207 §4.2): the handshake succeeded, and the next bytes are decrypted.

        For callers that can decrypt. Offsets continue from ``offset`` as the caller counts them.
        """
        restart_inside(self.talk, offset, frame, time_ns)

    def finish(self, *, captured: bool | None = None) -> model.Connection:
        """Finish everything that is open and return the report of this connection; no more bytes come.

        ``captured``: whether segments of both directions are in the capture, None: not known.
        """
        talk = self.talk
        course = talk.course
        course.started, course.captured = talk.started, captured
        if talk.waiting_replies is not None:
            end_waiting(talk)
        if talk.proxy is not None:
            end_header(talk)
        finish_open(talk)
        talk.run.judge.ended(talk)
        record = talk.record
        record.profile = talk.profile
        if talk.profile == "lmtp":
            record.protocol = "lmtp"
        return render(record, talk.run.clock, talk.run.detail)

    @property
    def weight(self) -> int:
        """Approximate number of bytes that the readers keep."""
        return self.talk.reader.weight + self.talk.server_reader.weight

    # -- what the client's reader read -----------------------------------------------------------------------------

    def command_line(self, line: CommandLine, offset: int, frame: int, time_ns: int, seen: int) -> None:
        """Handle a line in command position."""
        talk = self.talk
        loss, command, act = talk.loss, line.command, line.act
        assert command is not None
        if loss is not None and loss.skipping and not loss.resumes(command, line.raw):
            return
        mail, session, dialogue = talk.mail_tracking, talk.session, talk.record.dialogue
        if mail is not None and mail.chunk_end == offset:
            clean = take_stray(talk, mail, line, offset)
            if clean is not None:
                (line, offset), command, act = clean, clean[0].command, clean[0].act
                assert command is not None
        x = Exchange(act, offset, frame, time_ns, line, len(dialogue), line.marks)
        if x.turn < talk.run.most_turns:
            dialogue.append(x)
        else:
            x.turn = talk.next_turn()
        if session.due or loss is not None or mail is not None or talk.server_reader.partial_line is not None:
            send(talk, x, seen)
        else:
            session.sent(x, seen)
        state, watching = x.state, talk.watching
        assert state is not None
        if line.needs & state.hello.concerns or (watching is not None and watching.in_foreign_header):
            check_command(talk, x)
        if talk.next_marks or not talk.greeted:
            check_first_line(talk, x)
        if act is _OTHER or session.causes.data is not None or (mail is not None and mail.text is not None):
            follow_text(talk, x)
        if act in _HELD_BACK:
            talk.reader.mode = Mode.HOLD
            if talk.presuming:
                presume(talk)
        elif act in CHUNKS:
            begin_chunk(talk, x, command, offset + line.length, frame, time_ns)
        elif act is _QUIT:
            talk.course.quit_sent = True

    def answer_line(self, line: CommandLine, offset: int, frame: int, time_ns: int, seen: int) -> None:
        """Handle a line that answers a challenge (RFC 4954 §4)."""
        talk = self.talk
        last = talk.last
        if talk.presuming or (last is not None and last.line.raw == b"*"):  # a client that cancelled goes on
            command = read_line(line.raw, line.end, line.length)
            if command.command is not None and command.command.verb in STRONG_VERBS:
                talk.reader.mode = Mode.COMMAND
                self.command_line(command, offset, frame, time_ns, seen)
                return
        x = Exchange(Act.ANSWER, offset, frame, time_ns, line, marks=line.marks)
        x.turn = talk.add_turn(x)
        send(talk, x, seen)
        check_auth_line(x)
        if says_quit(line.raw):
            talk.course.quit_sent = True  # it is no answer to the challenge
        talk.watch.answer(x)
        talk.reader.mode = Mode.HOLD
        if talk.presuming:
            presume(talk)

    def content_end(self, content: Content, seen: int) -> None:
        """Handle the end of mail data: the end mark was read."""
        end_content(self.talk, content, seen)

    def chunk_end(self) -> None:
        """Handle the end of a BDAT chunk: its last octet was read."""
        end_chunk(self.talk)

    def tls_begins(self, side: model.Side, kind: int, offset: int, frame: int, time_ns: int) -> None:
        """Handle a TLS record in the place of a line."""
        tls_begins(self.talk, side, kind, offset, frame, time_ns)

    def tls_records(self, side: Side, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        """Handle TLS records: the first ones come with what was read before them."""
        if self.talk.tls is not None:
            self.talk.tls.begin(side, data, offset, frame, time_ns, seen)

    def before_session(self, piece: HeldPiece) -> int:
        """Handle octets before the first command of a session: of a PROXY header, or plain text instead of TLS."""
        if self.talk.reader.mode is Mode.PROXY_HEADER:
            return take_header(self.talk, piece)
        tls_missing(self.talk)
        return 0

    def undecided(self) -> None:
        """Presume the likely reply: too many bytes wait for one reply."""
        talk = self.talk
        limit = talk.limits.undecided_bytes
        talk.note(f"more than {limit} bytes waited for one reply: they were read as if it had come")
        talk.own_loss().note(LossEvent.SERVER_GAP)
        talk.session.doubt()
        release_as_presumed(talk)

    # -- what the server's reader read -----------------------------------------------------------------------------

    def reply(self, reply: Reply, offset: int, end: int, frame: int, time_ns: int) -> None:
        """Handle a complete reply: find the command that it answers, and update the state."""
        talk = self.talk
        if talk.loss is not None:
            talk.loss.note(LossEvent.REPLY)
        answer = ReplySeen(reply, offset, frame, time_ns)
        due = talk.session.due
        own = OWN_CODES[due[0].act] if due else None
        if talk.waiting_replies is None and (not talk.greeted or (own is not None and (not own or reply.code in own))):
            take_reply(talk, answer, end)
        else:
            take_named(talk, answer, end)

    def malformed(self, line: bytes, offset: int, frame: int, time_ns: int) -> None:
        """Handle a server line that is not a valid reply: it answers nothing."""
        talk = self.talk
        turn = talk.add_turn(LineSeen(line, offset, frame, time_ns))
        if not talk.greeted:
            talk.course.garbled_greeting = True
        if talk.session.due:
            first = talk.session.due[0]
            first.garbled = True
            if first.marks & Mark.NO_TLS:
                clear_text_refused(talk, first)
        if talk.watching is not None and talk.watching.upgrading:
            judge_event(talk, Mark.AFTER_220, turn, offset, frame, time_ns, line)
        elif talk.last is not None or not talk.midstream:
            x = Exchange(_NOTHING, offset, frame, time_ns, before=talk.session.state)
            x.marks = Mark.EXPLAINED
            x.take_reply(ReplySeen(parse_reply(line), offset, frame, time_ns, turn), offset + len(line))
            settle(talk, x)

    def last_said(self) -> bytes:
        """Return the last thing that the server said."""
        return next((said(turn) for turn in reversed(self.talk.record.dialogue) if is_servers(turn)), b"")

    def two_replies(self) -> None:
        """Handle two replies in one line: it is unknown what each of them answers."""
        self.talk.session.doubt()


def detach(talk: Conversation) -> None:
    """Cut what refers back to something that refers to it. The garbage collector, which would have to find these
    cycles, then has nothing to do."""
    del talk.reader, talk.server_reader
    talk.owner = None
    if talk.tls is not None:
        talk.tls.detach()
    for transaction in talk.session.transactions:
        for x in (transaction.mail, *transaction.recipients):
            x.transaction = x.opens = x.state = x.presumed = x.before = x.after = None
