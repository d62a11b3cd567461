"""What is unusual about bytes and lines of the client, noted before and while they are read."""

# The feed calls these only if one of its tests says that there may be something: the first bytes, bytes after a pause
# or a loss, a line before the greeting is complete, and a line that uses offers or limits of the server.

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from ..lines.acts import Act
from ..lines.client_reader import Mode
from ..lines.command_line import SIZES_LIMITED, STARTTLS_OFFERED, says_quit
from ..lines.marks import Mark
from ..lines.proxy_header import FIRST_OCTETS
from .chunk_sizes import check_wait
from .command_marks import LimitCounts, check_offers
from .judging import talk_early
from .lifecycle import PAUSE_NS
from .lost_bytes import pass_lost_replies
from .proxy_header import begin_header
from .state_table import Phase

if TYPE_CHECKING:
    from .conversation import Conversation
    from .exchange import Exchange

__all__ = ["before_client", "check_command", "check_first_line", "end_at_sasl_layer"]

# Bound once: reading a member of an enum takes longer than the test that uses it.
_BARE = Mark.BARE_LF | Mark.BARE_CR
_EXPOSED, _EARLY, _FOREIGN = Mark.EXPOSED.value, Mark.EARLY.value, Mark.FOREIGN.value


def before_client(talk: Conversation, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> int:
    """Note what is unusual about the next bytes of the client. Return what the client had seen."""
    reader, loss = talk.reader, talk.loss
    if not talk.client_seen:
        talk.client_seen = True
        if talk.awaits_greeting:
            talk.next_marks |= _EARLY
        if offset == 0 and data[0] in FIRST_OCTETS:
            begin_header(talk, data, frame, time_ns)
        if not talk.started[0]:
            talk.started = (frame, time_ns)
    if talk.client_ns and time_ns - talk.client_ns > PAUSE_NS and (reader.content is not None or reader.unfinished[0]):
        talk.course.paused(reader, talk.client_ns, offset, frame, time_ns)
        if reader.mode is Mode.CHUNK:
            check_wait(talk, talk.mail, time_ns)
    if not talk.server_seen:
        # Only one direction is captured: a growing acknowledgement is the only sign that the server answered.
        if seen > talk.one_sided and reader.mode is Mode.COMMAND:
            reader.cut_bare()
        talk.one_sided = max(talk.one_sided, seen)
        seen = -1 if seen else 0  # these bytes may be read only when the server's first ones have come
    if loss is not None and loss.replies_lost and seen >= loss.lost_until:
        pass_lost_replies(talk, data)
    return seen


def check_first_line(talk: Conversation, x: Exchange) -> None:
    """Mark a line of the client that is the first one, or that comes before the greeting is complete."""
    x.marks |= talk.next_marks
    talk.next_marks = 0
    if x.marks & _EARLY or talk.awaits_greeting:
        talk_early(talk, x)
    elif talk.garbled_greeting:
        talk.greeted = True  # the client took that line for the greeting
        talk.session.restart(replace(talk.session.state, phase=Phase.GREETED))


def end_at_sasl_layer(talk: Conversation, data: bytes) -> None:
    """Stop if the client's bytes after its login are no SMTP any more."""
    talk.sasl_layer_expected = False
    if data[0] == 0:  # RFC 4422 §3.7: a length of four octets comes first, and no buffer has 16 MB
        login = talk.watch.login
        name = "" if login is None else login.mechanism
        talk.stop(f"decoding stopped: {name} has started a security layer (RFC 4422 §3.7)")


def check_command(talk: Conversation, x: Exchange) -> None:
    """Mark a command that uses offers or limits of the server, or may be part of an attack."""
    line, command, state = x.line, x.line.command, x.state
    assert command is not None
    assert state is not None
    concerns = line.needs & state.hello.concerns
    if concerns & STARTTLS_OFFERED:
        x.marks |= _EXPOSED
    if concerns & SIZES_LIMITED:
        if talk.usage is None:
            talk.usage = LimitCounts()
        talk.usage.count(x, talk.record.dialogue)
    if concerns & ~(STARTTLS_OFFERED | SIZES_LIMITED):
        check_offers(x, command, one_sided=not talk.server_seen)
    watching = talk.watching
    if line.act is Act.AUTH or command.spec is None or (watching is not None and watching.in_foreign_header):
        talk.watch.command(x)
        if x.act is Act.ANSWER:
            talk.session.note_own_code(x)
        if x.marks & _FOREIGN:
            talk.session.note_abuse(x)
    if command.spec is None and says_quit(line.raw):
        talk.course.quit_sent = True  # with a line end in front of it, which other rules report
    if line.marks & _BARE and (b"\n" in line.raw or b"\r" in line.raw):
        talk.replies_unreliable = True
