"""TCP: how connections end, retransmissions, and what the capture does not contain."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal

from ...dissectors.lines.commands import parse_command
from ...dissectors.printable import printable
from ..exchanges.exchange import Exchange, ReplySeen
from ..exchanges.lifecycle import SECOND
from ..exchanges.state_table import Act, Phase
from ..exchanges.turns import SeenTurn, is_servers
from ..lines.announced_secrets import announced_secrets
from ..lines.secret_spans import hidden_parts
from .end_facts import EndFact
from .overlap_policies import AFTER, BEFORE, Copy, described, readings
from .phrases import Code, Octets, Phrase, Term, Text
from .registry import Ended, Evidence, rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...dissectors.lines.replies import Reply
    from ..exchanges.conversation import Conversation

__all__: list[str] = []

_IDLE_TIMEOUT = 300 * SECOND  # a server may close after this time (RFC 5321 §4.5.3.2.7)
_UNKNOWN_IN_A_ROW = 3  # refused commands after which it is no surprise that the server closes
_QUOTED = 60  # octets of a reply
_CLOSING_CODES = frozenset({b"221", b"421", b"521"})
_OPEN = frozenset({Phase.GREETED, Phase.READY, Phase.MAIL, Phase.RCPT, Phase.CONTENT, Phase.CHUNKS, Phase.BROKEN})


def _in_session(talk: Conversation) -> bool:
    """Whether the connection ended, with certainty, in an open session in plain text."""
    state, course = talk.session.state, talk.course
    if talk.last is not None and talk.last.act is Act.STARTTLS and talk.last.accepted:
        return False  # TLS or the close follows (RFC 3207 §4)
    both = talk.certain if course.captured is None else course.captured  # a captured side may have sent nothing
    return both and state.sure and state.phase in _OPEN and not course.opaque and talk.server_seen


def _announced_close(talk: Conversation) -> bool:
    """Whether the server had announced that it closes, also in a reply that never ended."""
    hanging = talk.course.hanging
    return talk.course.close_notice is not None or (hanging is not None and hanging[0][:3] in _CLOSING_CODES)


def _turned_away(talk: Conversation) -> bool:
    """Whether the connection ended, with certainty, after a greeting of 554. The client has to send QUIT then, and the
    server has to wait for it (RFC 5321 §3.1)."""
    greeting, state = talk.greeting, talk.session.state
    both = talk.certain if talk.course.captured is None else talk.course.captured
    away = greeting is not None and greeting.reply.code == 554 and state.phase is Phase.TURNED_AWAY
    return away and both and state.sure


def _last_refusal(talk: Conversation) -> Reply | None:
    """The last reply of the server, if it is a refusal."""
    for turn in reversed(talk.record.dialogue):
        if isinstance(turn, ReplySeen):
            return turn.reply if turn.reply.code >= 400 else None
    return None


def _is_for_unknown(talk: Conversation) -> bool:
    """Whether the last reply refuses an unknown command, and fewer than three refusals of unknown or malformed commands
    stand in a row there."""
    row = 0
    for x in reversed(talk.record.dialogue):
        if not isinstance(x, Exchange) or x.answer is None:
            continue
        unknown = x.act is Act.OTHER and x.command is not None and x.command.spec is None
        if x.code < 400 or not (unknown or x.deviations) or not (row or unknown):
            break
        row += 1
    return 0 < row < _UNKNOWN_IN_A_ROW


def _closed(talk: Conversation) -> Term:
    """The verb for how the connection ended, for a phrase."""
    closing = talk.course.closing
    return Term("reset" if closing is not None and closing.how == "rst" else "closed")


@rule(
    "TCP901",
    "client-closed-without-quit",
    "warning",
    "client",
    "RFC 5321 §4.1.1.10, §3.8",
    on=Ended(facts=EndFact.CLIENT_CLOSED),
)
def client_closed_without_quit(x: Exchange | None, talk: Conversation) -> Iterator[Evidence]:
    """Client ended the connection without QUIT.

    A session ends with QUIT and the reply 221, then both sides close. That also holds after a greeting of 554.
    Scanners, and clients that give up, close without QUIT. If TLS cannot be set up after a 220 to STARTTLS, the client
    may close at once; SEC647 reports that. It is a warning although RFC 5321 says MUST NOT: that is about an intended
    close, and a crash or a fault of the network looks the same. Fix the client: send QUIT and wait for the reply.
    """
    course = talk.course
    closing = course.closing
    if closing is None or closing.side != "client" or course.quit_sent or course.close_notice is not None:
        return
    if (_in_session(talk) or _turned_away(talk)) and course.inside is None:
        yield Evidence(
            Phrase("The client {closed} the connection during an open session without QUIT.", closed=_closed(talk)),
            offset=talk.record.client_bytes,
            length=0,
            frame=closing.frame,
            time_ns=closing.time_ns,
            evidence="",
            certain=closing.certain,
        )


@rule(
    "TCP902",
    "server-closed-without-reason",
    "error",
    "server",
    "RFC 5321 §3.8, §4.1.1.10, §4.1.1.5",
    on=Ended(facts=EndFact.SERVER_CLOSED),
)
def server_closed_without_reason(x: Exchange | None, talk: Conversation) -> Iterator[Evidence]:
    """Server ended the connection without 221 or 421.

    A server closes after its 221 to QUIT, or it sends 421 (or 521, RFC 7504) first. It must not close because of an
    unknown command or RSET, and after a greeting of 554 it must wait for QUIT. A client cannot distinguish a connection
    that closes without a reply from a crash. Although that is forbidden too, the finding is a warning if the last reply
    is a refusal, which says why, but not if it only refuses one or two unknown commands. Fix the server: send 421
    before it closes. Fix the client: if no reply came, try again later, with fewer connections at a time.
    """
    course = talk.course
    closing = course.closing
    if closing is None or closing.side != "server" or _announced_close(talk):
        return
    if not _in_session(talk) and (course.quit_sent or not _turned_away(talk)):
        return
    if closing.client_idle_ns >= _IDLE_TIMEOUT:
        return
    refusal = _last_refusal(talk)
    phrase = Phrase(
        "The server {closed} the connection during an open session without 221 or 421.", closed=_closed(talk)
    )
    if refusal is not None:
        phrase = Phrase(
            "The server {closed} the connection after its {code} ({text}), without waiting for QUIT.",
            closed=_closed(talk),
            code=Code(refusal.code),
            text=Text(printable(refusal.texts[-1][:_QUOTED]) or "no text"),
        )
    yield Evidence(
        phrase,
        severity=None if refusal is None or _is_for_unknown(talk) else "warning",
        caused_by=(course.unasked,),
        offset=talk.record.server_bytes,
        length=0,
        frame=closing.frame,
        time_ns=closing.time_ns,
        evidence="",
        certain=closing.certain,
    )


@rule(
    "TCP903",
    "content-truncated",
    "warning",
    "client",
    "RFC 5321 §4.1.1.10, §4.1.1.4; RFC 3030 §2",
    on=Ended(facts=EndFact.INSIDE_DATA),
    hides=("TCP901",),
)
def content_truncated(x: Exchange | None, talk: Conversation) -> Iterator[Evidence]:
    """Connection ended inside message content.

    The client closed the connection before the end of its mail data. A server must not deliver such a message. It is a
    warning although RFC 5321 forbids an intended close, because a crash or a fault of the network looks the same. Fix
    the client: send the whole message, ended by CRLF "." CRLF. Fix the server: discard the part that came, and do not
    deliver it.
    """
    closing, content = talk.course.closing, talk.course.inside
    if closing is None or closing.side != "client" or content is None or content.missing or not talk.certain:
        return
    if content.lookalike is None:  # otherwise the client may have meant that as the end
        begun = content.has_started
        yield Evidence(
            Phrase(
                "The client {closed} the connection after {size} bytes of mail data, before the end of data.",
                closed=_closed(talk),
                size=Octets(content.size),
            ),
            offset=content.offset,
            length=talk.record.client_bytes - content.offset,
            frame=content.frame if begun else closing.frame,
            time_ns=content.time_ns if begun else closing.time_ns,
            evidence="",
            certain=closing.certain and talk.session.state.sure,  # otherwise its DATA and more may have been lost
        )


@rule(
    "TCP905",
    "conflicting-retransmission",
    "warning",
    "path",
    "RFC 9293 §3.4",
    on=Ended(facts=EndFact.CONFLICT),
)
def conflicting_retransmission(x: Exchange | None, talk: Conversation) -> Iterator[Evidence]:
    """Same sequence range sent twice with different bytes.

    TCP retransmits the same bytes. Different bytes for the same sequence numbers come from a broken middlebox, or from
    an attacker who wants the auditor and the receiver to read different data. This report shows the first copy, but a
    later one if the receiver acknowledged that and never the first. If the copies arrived after a gap, the first
    finding of a side lists what each of five kinds of receivers reads. Fix the network: find the device or host that
    sends the copy that is not genuine.
    """
    for side, offset, frame, time_ns in talk.course.conflicts:
        overlap = talk.course.overlaps.get(side)
        differ = None
        if overlap is not None and overlap[0] == offset:
            copies = [Copy(*one) for one in overlap[1]]
            secret = _inside_login(talk.record.dialogue, side, offset) or _may_be_secret(copies, side, offset)
            differ = described(copies, offset, secret=secret)
        first = talk.course.replaced.get(side) != offset
        shown = Phrase("first copy" if first else "later copy: the receiver did not accept the first one")
        yield Evidence(
            Phrase(
                "Bytes of the {side} were sent again with different content; this report shows the {shown}.{differ}",
                side=Term(side),
                shown=shown,
                differ=Phrase("") if differ is None else Phrase(" {differ}", differ=differ),
            ),
            offset=offset,
            length=1,
            frame=frame,
            time_ns=time_ns,
            evidence="",
        )


_LOGIN = frozenset({Act.AUTH, Act.ANSWER})


def _inside_login(dialogue: Sequence[SeenTurn], side: str, offset: int) -> bool:
    """Whether the bytes around ``offset`` that are compared may belong to an AUTH exchange. A line ends where the next
    turn of its side starts."""
    turns = [turn for turn in dialogue if is_servers(turn) == (side == "server")]
    ends = [turn.offset for turn in turns[1:]] + [sys.maxsize]
    return any(
        turn.offset < offset + AFTER and end > offset - BEFORE
        for turn, end in zip(turns, ends, strict=False)
        if (isinstance(turn, Exchange) and turn.act in _LOGIN)
        or (isinstance(turn, ReplySeen) and turn.reply.code == 334)
    )


def _may_be_secret(copies: Sequence[Copy], side: str, offset: int) -> bool:
    """Whether one of the readings around ``offset`` holds something that the report would not show of a line."""
    if side == "server":
        return any(announced_secrets(text) for text in readings(copies, offset))
    return any(hidden_parts(parse_command(text)) for text in readings(copies, offset))


@rule("TCP906", "analysis-incomplete", "info", "path", "", on=Ended())
def analysis_incomplete(x: Exchange | None, talk: Conversation) -> Iterator[Evidence]:
    """Decoding was limited by the capture.

    Bytes are missing, the capture does not contain the start of the connection or one of its directions, the rest
    cannot be decoded, or a message header is too long to be kept. Rules that need this data report nothing, which does
    not mean that the session was correct. TLS after a successful STARTTLS is not reported here; the summary counts it.
    Fix the capture: record whole frames of the whole connection, in both directions, from its first packet on.
    """
    course, record = talk.course, talk.record
    limits: list[Phrase] = []
    if record.opening == "midstream":
        limits.append(Phrase("the capture starts in the middle of the connection"))
    one_way = not course.captured if course.captured is not None else not talk.certain
    if one_way and talk.client_seen is not talk.server_seen:
        seen = Term("client" if talk.client_seen else "server")
        limits.append(Phrase("only the {side}'s direction was captured", side=seen))
    if lost := _missing(talk, "client"):
        limits.append(Phrase("{missing_client} bytes of the client are missing", missing_client=Octets(lost)))
    if lost := _missing(talk, "server"):
        limits.append(Phrase("{missing_server} bytes of the server are missing", missing_server=Octets(lost)))
    if talk.tls is not None and talk.inside_from >= 0 and talk.tls.session.facts.why_unread:
        limits.append(Phrase("{unread}", unread=Term(talk.tls.session.facts.why_unread)))
    if course.long_header:
        kept = Octets(talk.limits.header_bytes)
        limits.append(Phrase("a message header is longer than {kept} bytes, so its fields were not judged", kept=kept))
    if course.stopped is not None and (talk.reader.position, talk.server_ns) != course.stopped_at:
        limits.append(Phrase("{stopped}", stopped=Text(course.stopped)))
    elif record.tls == "implicit" and not record.on_tls_port:
        limits.append(Phrase("the connection is encrypted from its first byte"))
    elif (
        record.tls == "starttls"
        and course.server_tls
        and not talk.session.state.hello.secure
        and talk.session.state.sure
    ):
        limits.append(Phrase("encrypted data follows without STARTTLS"))
    if limits:
        offset, frame, time_ns = course.first_gap or (0, *course.started)
        yield Evidence(
            Phrase("Not all of this connection could be judged: {limits}.", limits=Phrase.joined("; ", limits)),
            offset=offset,
            length=0,
            frame=frame,
            time_ns=time_ns,
            evidence="",
            certain=True,
        )


def _missing(talk: Conversation, side: Literal["client", "server"]) -> int:
    """Return how many bytes of a side are missing that would have been read."""
    lost, places = talk.course.lost[side], talk.record.places
    return lost if places is None else lost - places[side].lost + places[side].missing
