"""TCP: how connections end, retransmissions, and what the capture does not contain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..exchanges.lifecycle import SECOND
from ..exchanges.state_table import Act, Phase
from .overlap_policies import Copy, described
from .registry import Ended, Evidence, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__: list[str] = []

_IMPLICIT_TLS_PORT = 465  # RFC 8314 §7.3: only TLS is expected there
_IDLE_TIMEOUT = 300 * SECOND  # a server may close after this time (RFC 5321 §4.5.3.2.7)
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


def _closed(talk: Conversation) -> str:
    """The verb for how the connection ended, for a message."""
    closing = talk.course.closing
    return "reset" if closing is not None and closing.how == "rst" else "closed"


@rule("TCP901", "client-closed-without-quit", "warning", "client", "RFC 5321 §4.1.1.10, §3.8", on=Ended())
def client_closed_without_quit(x: Exchange | None, talk: Conversation) -> Iterator[Evidence]:
    """Client ended the connection without QUIT.

    A session ends with QUIT and the reply 221, then both sides close. Scanners, and clients that give up, close without
    QUIT. If TLS cannot be set up after a 220 to STARTTLS, the client may close at once; this is not reported. Fix the
    client: send QUIT and wait for the reply.
    """
    course = talk.course
    closing = course.closing
    if closing is None or closing.side != "client" or course.quit_sent or course.close_notice is not None:
        return
    if _in_session(talk) and course.inside is None:
        yield Evidence(
            f"The client {_closed(talk)} the connection during an open session without QUIT.",
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
    on=Ended(),
)
def server_closed_without_reason(x: Exchange | None, talk: Conversation) -> Iterator[Evidence]:
    """Server ended the connection without 221 or 421.

    A server closes after its 221 to QUIT, or it sends 421 (or 521, RFC 7504) first. It must not close because of an
    unknown command or RSET. A client cannot distinguish a connection that closes without a reply from a crash. Fix the
    server: send 421 before it closes.
    """
    course = talk.course
    closing = course.closing
    if closing is None or closing.side != "server" or _announced_close(talk) or not _in_session(talk):
        return
    if closing.client_idle_ns >= _IDLE_TIMEOUT:
        return
    yield Evidence(
        f"The server {_closed(talk)} the connection during an open session without 221 or 421.",
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
    on=Ended(),
    hides=("TCP901",),
)
def content_truncated(x: Exchange | None, talk: Conversation) -> Iterator[Evidence]:
    """Connection ended inside message content.

    The client closed the connection before the end of its mail data. A server must not deliver such a message. Fix the
    client: send the whole message, ended by CRLF "." CRLF.
    """
    closing, content = talk.course.closing, talk.course.inside
    if closing is None or closing.side != "client" or content is None or content.missing or not talk.certain:
        return
    if content.lookalike is None:  # otherwise the client may have meant that as the end
        yield Evidence(
            f"The client {_closed(talk)} the connection after {content.size} bytes of mail data, "
            "before the end of data.",
            offset=content.offset,
            length=talk.record.client_bytes - content.offset,
            frame=closing.frame,
            time_ns=closing.time_ns,
            evidence="",
            certain=closing.certain and talk.session.state.sure,  # otherwise its DATA and more may have been lost
        )


@rule(
    "TCP905",
    "conflicting-retransmission",
    "warning",
    "path",
    "RFC 9293 §3.10.7.4",
    on=Ended(),
)
def conflicting_retransmission(x: Exchange | None, talk: Conversation) -> Iterator[Evidence]:
    """Same sequence range sent twice with different bytes.

    TCP retransmits the same bytes. Different bytes for the same sequence numbers come from a broken middlebox, or from
    an attacker who wants the auditor and the receiver to read different data. This report shows the first copy. If the
    copies arrived after a gap, the first finding of a side lists what each of five kinds of receivers reads. Fix the
    network: find the device or host that sends the second copy.
    """
    for side, offset, frame, time_ns in talk.course.conflicts:
        overlap = talk.course.overlaps.get(side)
        differ = ""
        if overlap is not None and overlap[0] == offset:
            differ = described([Copy(*one) for one in overlap[1]], offset)
        yield Evidence(
            f"Bytes of the {side} were sent again with different content; "
            f"this report shows the first copy. {differ}".rstrip(),
            offset=offset,
            length=1,
            frame=frame,
            time_ns=time_ns,
            evidence="",
        )


@rule("TCP906", "analysis-incomplete", "info", "path", "", on=Ended())
def analysis_incomplete(x: Exchange | None, talk: Conversation) -> Iterator[Evidence]:
    """Decoding was limited by the capture.

    Bytes are missing, the capture does not contain the start of the connection or one of its directions, or the rest
    cannot be decoded. Rules that need this data report nothing, which does not mean that the session was correct. TLS
    after a successful STARTTLS is not reported here; the summary counts it. To avoid this, capture the whole connection
    in both directions.
    """
    course, record = talk.course, talk.record
    limits = []
    if record.opening == "midstream":
        limits.append("the capture starts in the middle of the connection")
    one_way = not course.captured if course.captured is not None else not talk.certain
    if one_way and talk.client_seen is not talk.server_seen:
        limits.append(f"only the {'client' if talk.client_seen else 'server'}'s direction was captured")
    limits += [f"{count} bytes of the {side} are missing" for side, count in course.lost.items() if count]
    if course.stopped is not None:
        limits.append(course.stopped)
    elif record.tls == "implicit" and record.server.port != _IMPLICIT_TLS_PORT:
        limits.append("the connection is encrypted from its first byte")
    elif (
        record.tls == "starttls"
        and course.server_tls
        and not talk.session.state.hello.secure
        and talk.session.state.sure
    ):
        limits.append("encrypted data follows without STARTTLS")
    if limits:
        offset, frame, time_ns = course.first_gap or (0, *course.started)
        yield Evidence(
            f"Not all of this connection could be judged: {'; '.join(limits)}.",
            offset=offset,
            length=0,
            frame=frame,
            time_ns=time_ns,
            evidence="",
            certain=True,
        )
