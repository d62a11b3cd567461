"""TLS in a conversation: where it starts, text where it should start, and the new session inside it (RFC 3207)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from ..lines.acts import Act
from ..lines.client_reader import Mode
from ..lines.marks import Mark
from ..tls.records import HANDSHAKE, SSL2
from .attack_marks import Injection
from .exchange import Exchange
from .judging import judge_event
from .state_table import NO_KEYWORDS, Hello, Phase, State
from .turns import ReplySeen, TlsSeen, is_servers

if TYPE_CHECKING:
    from ..model import Side
    from ..tls.facts import Alert, TlsFacts
    from .conversation import Conversation

__all__ = [
    "clear_text_first",
    "clear_text_refused",
    "expect_tls",
    "handshake_over",
    "inside_tls",
    "restart_inside",
    "tls_begins",
    "tls_missing",
    "unwanted_tls",
]

_TLS12 = 0x0303


def tls_begins(talk: Conversation, side: Side, kind: int, offset: int, frame: int, time_ns: int) -> None:
    """Handle a TLS record, of the type ``kind``, in the place of a line: the rest of the stream is encrypted."""
    if talk.record.tls == "none":
        spoken = _spoken(talk)
        talk.record.tls = "starttls" if spoken or talk.midstream else "implicit"
        turn = talk.add_turn(TlsSeen(side, offset, frame, time_ns))
        if side == "client":
            talk.client_tls = (turn, offset, frame, time_ns, kind)
            state = talk.session.state
            answered = talk.last is not None or not talk.midstream  # else STARTTLS may have come before the capture
            wanted = talk.watching is not None and talk.watching.upgrading
            if wanted or not (spoken or talk.midstream):
                _begin_session(talk)
            elif spoken and answered and state.sure and not state.hello.secure:
                unwanted_tls(talk)
        elif talk.watching is not None and talk.watching.upgrading:
            _begin_session(talk)  # the client's hello was lost
    if side == "server":
        talk.course.server_tls = True
        talk.watch.upgrading = False
        if talk.tls is None:
            talk.reader.discard_held()
            talk.reader.mode = Mode.OPAQUE


def _begin_session(talk: Conversation) -> None:
    """Pass the bytes of both sides to a TLS session from now on."""
    if talk.tls is not None or talk.owner is None:
        return
    from ..tls.receiver import TlsReceiver  # noqa: PLC0415  few captures have TLS
    from ..tls.session import TlsReader  # noqa: PLC0415

    session = TlsReader(talk.run.keys)
    talk.tls = talk.owner.receiver = TlsReceiver(talk.owner.receiver, session, _Listener(talk))
    record = talk.record
    record.places, record.facts, record.keyed = talk.tls.places, session.facts, bool(talk.run.keys)
    talk.reader.mode = Mode.TLS


class _Listener:
    """What a conversation does with what its TLS session shows (a ``TlsListener``)."""

    __slots__ = ("_talk",)

    def __init__(self, talk: Conversation) -> None:
        self._talk = talk

    def begun(self, side: Side) -> None:
        """See ``TlsListener``."""
        if side == "server":
            self._talk.server_reader.opaque = True

    def active(self, side: Side, time_ns: int) -> None:
        """See ``TlsListener``."""
        if side == "client":
            self._talk.client_ns = time_ns
        else:
            self._talk.server_ns = time_ns

    def chosen(self, facts: TlsFacts) -> None:
        """See ``TlsListener``."""
        place, version = facts.chosen_at, facts.version
        if place is not None and version is not None:
            marks = Mark.TLS_CHOSEN | Mark.OLD_TLS if version < _TLS12 else Mark.TLS_CHOSEN
            judge_event(self._talk, marks, self._turn, *place[:3])

    def alerted(self, facts: TlsFacts, alert: Alert) -> None:
        """See ``TlsListener``."""
        if alert is facts.failed and facts.saw_client_hello and not facts.why_unread:
            _judge_presented(self._talk, facts)
            judge_event(self._talk, Mark.TLS_BROKEN, self._turn, *alert.place[:3])

    def secured(self, offset: int, frame: int, time_ns: int) -> None:
        """See ``TlsListener``."""
        _judge_presented(self._talk, self._talk.record.facts)
        restart_inside(self._talk, offset, frame, time_ns)

    def opaque(self) -> None:
        """See ``TlsListener``."""
        talk = self._talk
        _judge_presented(talk, talk.record.facts)
        if talk.reader.mode is Mode.TLS:
            talk.reader.mode = Mode.OPAQUE
        if talk.owner is not None and talk.tls is not None:
            talk.owner.receiver = talk.tls.inner

    def broken(self, why: str) -> None:
        """See ``TlsListener``."""
        self._talk.stop(f"decoding stopped: {why}")

    @property
    def _turn(self) -> int:
        talk = self._talk
        return -1 if talk.client_tls is None else talk.client_tls[0]


def handshake_over(talk: Conversation, facts: TlsFacts) -> None:
    """Pass it to the rules that the handshake did not go on, and whether the server closed instead of an answer to the
    client's hello."""
    _judge_presented(talk, facts)
    closing = talk.course.closing
    if closing is None or closing.side != "server" or not closing.certain or facts.saw_server_hello or facts.answered:
        return
    if facts.saw_client_hello and not any(talk.course.lost.values()):
        turn = -1 if talk.client_tls is None else talk.client_tls[0]
        judge_event(talk, Mark.TLS_BROKEN, turn, talk.record.server_bytes, closing.frame, closing.time_ns)


def _judge_presented(talk: Conversation, facts: TlsFacts | None) -> None:
    """Pass it to the rules that no more of the handshake will be seen."""
    if facts is not None and facts.chosen_at is not None:
        turn = -1 if talk.client_tls is None else talk.client_tls[0]
        judge_event(talk, Mark.TLS_PRESENTED, turn, *facts.chosen_at[:3])


def clear_text_first(talk: Conversation) -> None:
    """Pass it to the rules if the client began in plain text where TLS comes first, and the server never did."""
    if talk.midstream or not talk.record.on_tls_port or any(talk.course.lost.values()):
        return
    turns = talk.record.dialogue
    if any(is_servers(turn) and type(turn) is not TlsSeen for turn in turns):
        return
    first = next((turn for turn in turns if not is_servers(turn)), None)
    if type(first) is Exchange:
        line, place = first.line.raw, (first.turn, first.offset, first.frame, first.time_ns)
    elif first is None and talk.reader.unfinished[0]:
        line, place = talk.reader.partial, (-1, *talk.reader.unfinished[1:])
    else:
        return
    judge_event(talk, Mark.CLEAR_TO_TLS, *place, line)
    for x in talk.session.due:
        x.marks &= ~Mark.UNANSWERED


def _spoken(talk: Conversation) -> bool:
    """Whether SMTP was spoken before: a reply or STARTTLS came, or bytes of the client were lost."""
    if talk.course.lost["client"]:
        return True
    turns = talk.record.dialogue
    return any(type(turn) is ReplySeen or (type(turn) is Exchange and turn.act is Act.STARTTLS) for turn in turns)


def unwanted_tls(talk: Conversation) -> None:
    """Mark that the client started TLS although the server speaks plain text."""
    assert talk.client_tls is not None
    if talk.reader.mode is Mode.TLS:
        talk.reader.mode = Mode.OPAQUE
    turn, offset, frame, time_ns, kind = talk.client_tls
    talk.watch.foreign = "TLS" if kind == HANDSHAKE else "TLS records"
    x = judge_event(talk, Mark.FOREIGN, turn, offset, frame, time_ns)
    talk.session.note_abuse(x)


def tls_missing(talk: Conversation) -> None:
    """Handle plain text of the client in the place of the expected TLS handshake: its first line is judged when the
    server answers it, or never will."""
    talk.reader.mode = Mode.COMMAND
    talk.watch.upgrading = False
    skipping = talk.loss is not None and talk.loss.skipping
    if not (talk.presuming or skipping):  # otherwise the 220, or the first bytes after it, are not in the capture
        talk.next_marks |= Mark.NO_TLS


def clear_text_refused(talk: Conversation, x: Exchange) -> None:
    """Judge ``x``, plain text in the place of the TLS handshake: the server sends no reply to it, but another line."""
    x.marks &= ~Mark.NO_TLS
    judge_event(talk, Mark.NO_TLS, x.turn, x.offset, x.frame, x.time_ns, x.line.raw)


def expect_tls(talk: Conversation, x: Exchange) -> None:
    """Continue after the 220 to the STARTTLS ``x``: the handshake comes next, and bytes sent before it are injected."""
    reader = talk.reader
    first, held = reader.first_held, reader.held_end()
    if first is not None and held[0] not in {HANDSHAKE, SSL2}:
        line = held.partition(b"\r\n")[0]
        talk.watch.injection = Injection(line, reader.held_size, first.offset, first.frame, first.time_ns)
        reader.discard_held()
        talk.injected = x
        x.marks |= Mark.INJECTED
    if talk.inside_from >= 0:  # TLS inside TLS: what is not its handshake is still not plain text
        reader.release(Mode.COMMAND)
        return
    talk.watch.upgrading = True
    talk.session.restart(inside_tls(talk))
    reader.release(Mode.TLS_EXPECTED)


def inside_tls(talk: Conversation) -> State:
    """Return the state after a TLS handshake: earlier knowledge is discarded (RFC 3207 §4.2), except the identity of
    the client if TLS itself established it."""
    login, known = talk.watch.login, talk.session.state.hello.authenticated
    external = known and login is not None and login.mechanism == "EXTERNAL"
    return State(Phase.GREETED, Hello(keywords=NO_KEYWORDS, authenticated=external, secure=True))


def restart_inside(talk: Conversation, offset: int, frame: int, time_ns: int) -> None:
    """Start a new session inside TLS (RFC 3207 §4.2): the handshake succeeded, and the next bytes are decrypted."""
    if talk.record.tls == "none":
        talk.record.tls = "starttls" if _spoken(talk) or talk.midstream else "implicit"
        talk.add_turn(TlsSeen("client", offset, frame, time_ns))
    talk.inside_from = len(talk.record.dialogue)
    talk.watch.upgrading = False
    talk.next_marks = 0  # the first bytes of the client were no line, but its hello
    session = talk.session
    if session.state.phase is not Phase.CONNECTED:
        session.restart(inside_tls(talk))
    else:
        session.restart(replace(session.state, hello=Hello(keywords=NO_KEYWORDS, secure=True)))
    talk.reader.discard_held()
    talk.reader.mode = Mode.COMMAND
    talk.server_reader.opaque = False
