"""TLS in a conversation: where it starts, text where it should start, and the new session inside it (RFC 3207)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from ..lines.client_reader import Mode
from ..lines.marks import Mark
from .attack_marks import Injection
from .judging import judge_event
from .state_table import NO_KEYWORDS, Hello, Phase, State
from .turns import ReplySeen, TlsSeen

if TYPE_CHECKING:
    from ..model import Side
    from .conversation import Conversation
    from .exchange import Exchange

__all__ = ["expect_tls", "inside_tls", "restart_inside", "tls_begins", "tls_missing", "unwanted_tls"]

_TLS_HELLO = (0x16, 0x80)  # a TLS handshake record, or an SSLv2-style hello


def tls_begins(talk: Conversation, side: Side, offset: int, frame: int, time_ns: int) -> None:
    """Handle a TLS record in the place of a line: the rest of the stream is encrypted."""
    if talk.record.tls == "none":
        spoken = _spoken(talk)
        talk.record.tls = "starttls" if spoken or talk.midstream else "implicit"
        turn = talk.add_turn(TlsSeen(side, offset, frame, time_ns))
        if side == "client":
            talk.client_tls = (turn, offset, frame, time_ns)
            state = talk.session.state
            answered = talk.last is not None or not talk.midstream  # else STARTTLS may have come before the capture
            if spoken and answered and state.sure and not state.hello.secure:
                unwanted_tls(talk)
    if side == "server":
        talk.course.server_tls = True
        talk.watch.upgrading = False
        talk.reader.discard_held()
        talk.reader.mode = Mode.OPAQUE


def _spoken(talk: Conversation) -> bool:
    """Whether SMTP was spoken before: a reply came, or bytes of the client were lost."""
    if talk.course.lost["client"]:
        return True
    return any(type(turn) is ReplySeen for turn in talk.record.dialogue)


def unwanted_tls(talk: Conversation) -> None:
    """Mark that the client started TLS although the server speaks plain text."""
    assert talk.client_tls is not None
    talk.watch.foreign = "TLS"
    judge_event(talk, Mark.FOREIGN, *talk.client_tls)


def tls_missing(talk: Conversation) -> None:
    """Handle plain text of the client in the place of the expected TLS handshake: its first line is judged when the
    server answers it, or never will."""
    talk.reader.mode = Mode.COMMAND
    talk.watch.upgrading = False
    skipping = talk.loss is not None and talk.loss.skipping
    if not (talk.presuming or skipping):  # otherwise the 220, or the first bytes after it, are not in the capture
        talk.next_marks |= Mark.NO_TLS


def expect_tls(talk: Conversation, x: Exchange) -> None:
    """Continue after the 220 to the STARTTLS ``x``: the handshake comes next, and bytes sent before it are injected."""
    reader = talk.reader
    first, held = reader.first_held, reader.held
    if first is not None and held[0] not in _TLS_HELLO:
        line = held.partition(b"\r\n")[0]
        talk.watch.injection = Injection(line, reader.held_size, first.offset, first.frame, first.time_ns)
        reader.discard_held()
        talk.injected = x
        x.marks |= Mark.INJECTED
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
    session = talk.session
    if session.state.phase is not Phase.CONNECTED:
        session.restart(inside_tls(talk))
    else:
        session.restart(replace(session.state, hello=Hello(keywords=NO_KEYWORDS, secure=True)))
    talk.reader.discard_held()
    talk.reader.mode = Mode.COMMAND
    talk.server_reader.opaque = False
