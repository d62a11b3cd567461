"""TIM: timeouts that are too short, and clients that keep a server waiting (RFC 5321 §4.5.3.2)."""

# Times are those of the capture. Below one second nothing counts as a timeout: a side that closes so early closes on
# purpose, and TCP901 and TCP902 report that.

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dissectors.lazy_regex import LazyPattern
from ...dissectors.printable import printable
from ..exchanges.lifecycle import SECOND
from ..exchanges.state_table import Act, Phase
from ..exchanges.turns import ReplySeen
from .end_facts import EndFact
from .phrases import Phrase, Seconds, Secret, Term, Text
from .registry import Ended, Evidence, named, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__: list[str] = []

# RFC 5321 §4.5.3.2.1 to .6, seconds
_TIMEOUT = {Act.DATA: 120, Act.END: 600, Act.LAST: 600}
_USUAL_TIMEOUT = 300
_SERVER_TIMEOUT = 300  # RFC 5321 §4.5.3.2.7
_TOO_MANY_REFUSALS = 10  # 5yz replies after which a server may close the connection early
_OTHER_REASON = frozenset({"4.3.2", "4.7.0"})  # the server is shutting down; policy
_ENCODED = LazyPattern(rb"[A-Za-z0-9+/]{8,}={0,2}")
_SERVED = frozenset(
    (Phase.GREETED, Phase.READY, Phase.MAIL, Phase.RCPT, Phase.CONTENT, Phase.CHUNKS, Phase.BROKEN, Phase.CLOSING)
)


def _seconds(ns: int) -> Seconds:
    return Seconds(round(ns / SECOND))


@rule(
    "TIM801",
    "client-gave-up-early",
    "warning",
    "client",
    "RFC 5321 §4.5.3.2.1-6",
    on=Ended(facts=EndFact.CLIENT_CLOSED),
    severities={"lmtp": "info"},
)
def client_gave_up_early(x: Exchange | None, talk: Conversation) -> Iterator[Evidence]:
    """Client closed before the minimum timeout.

    A client should wait five minutes for most replies, two minutes for the reply to DATA and ten minutes for the reply
    to the end of data, because servers check the message before they answer. A client that gives up earlier sends the
    message again, and the recipient gets it twice. In the profile lmtp it is only an info, because RFC 2033 says
    nothing about times. Fix the client: use longer timeouts. Fix the server: answer sooner, and make long checks after
    the reply.
    """
    course = talk.course
    closing = course.closing
    if closing is None or closing.side != "client" or course.quit_sent or course.close_notice is not None:
        return
    if not closing.waiting or not closing.certain or not talk.certain or any(course.lost.values()):
        return
    first = closing.waiting[0]
    timeout = _TIMEOUT.get(first.act, _USUAL_TIMEOUT)
    if first.sure and SECOND <= closing.waited_ns < timeout * SECOND:
        what = named(first) if first.command else Term("an AUTH line")
        yield Evidence(
            Phrase(
                "The client gave up after {waited} s without a reply to {what}; it should wait at least {timeout} s.",
                waited=_seconds(closing.waited_ns),
                what=Term("the end of mail data") if first.act is Act.END else what,
                timeout=Seconds(timeout),
            ),
            offset=first.offset,
            length=first.length,
            frame=closing.frame,
            time_ns=closing.time_ns,
            evidence="",
        )


@rule(
    "TIM802",
    "server-idle-timeout-short",
    "warning",
    "server",
    "RFC 5321 §4.5.3.2.7, §3.8",
    on=Ended(facts=EndFact.SERVER_CLOSED | EndFact.CLOSE_NOTICE),
    severities={"lmtp": "info"},
)
def server_idle_timeout_short(x: Exchange | None, talk: Conversation) -> Iterator[Evidence]:
    """Server drops an idle client in under 5 minutes.

    A server should wait at least five minutes for the next command. A server that is shutting down, or that has refused
    ten commands of the client, is not reported. In the profile lmtp it is only an info, because RFC 2033 says nothing
    about times. Fix the server: use a longer timeout. Fix the client: send QUIT when it has no more mail, and open a
    new connection later.
    """
    course = talk.course
    closing, farewell = course.closing, course.close_notice
    if course.quit_sent or not talk.certain or talk.session.state.phase not in _SERVED:
        return
    if any(course.lost.values()) or course.opaque:
        return
    if farewell is not None:
        said = farewell.x
        status = None if said.reply is None else said.reply.enhanced
        if farewell.code != 421 or not said.sure or status in _OTHER_REASON:
            return
        if said.act is not Act.NOTHING:
            return  # a greeting, or a reply that the client waited for
        idle, offset, frame, time_ns = farewell.idle_ns, said.reply_offset, said.reply_frame, said.reply_time_ns
        if closing is not None and closing.side == "server":
            idle = max(idle, closing.client_idle_ns)  # receive offload may show the 421 too early, but not the FIN
    elif (
        closing is not None
        and closing.certain
        and closing.side == "server"
        and not closing.waiting
        and talk.session.state.sure
    ):
        idle, offset, frame, time_ns = closing.waited_ns, talk.record.server_bytes, closing.frame, closing.time_ns
    else:
        return
    if SECOND <= idle < _SERVER_TIMEOUT * SECOND and not _refused_often(talk):
        yield Evidence(
            Phrase(
                "The server closed the connection after the client had been silent for {idle} s{where}; it should wait "
                "at least {timeout} s.",
                idle=_seconds(idle),
                where=Phrase("" if course.inside is None else " inside its mail data"),
                timeout=Seconds(_SERVER_TIMEOUT),
            ),
            caused_by=(course.unasked,),
            offset=offset,
            length=0,
            frame=frame,
            time_ns=time_ns,
            evidence="",
        )


def _shown(line: bytes) -> Text | Secret:
    """The start of a line that never ended, without characters in place of its end. A single word in base64 may be a
    part of a login."""
    for characters in (b"\\r\\n", b"\\n"):
        line = line.rstrip(b" ").removesuffix(characters)
    text = printable(line)
    return Secret(text) if _ENCODED.fullmatch(line) else Text(text)


def _literal_end(line: bytes) -> Phrase:
    """What stands at the end of ``line`` in place of its end."""
    for characters, name in ((b"\\r\\n", "four characters \\r\\n"), (b"\\n", "two characters \\n")):
        if line.rstrip(b" ").endswith(characters):
            return Phrase("; the {characters} stand in place of CR and LF", characters=Term(name))
    return Phrase("")


def _refused_often(talk: Conversation) -> bool:
    """Whether the server refused so many commands that it may close the connection early."""
    refusals = sum(isinstance(turn, ReplySeen) and turn.reply.code >= 500 for turn in talk.record.dialogue)
    return refusals >= _TOO_MANY_REFUSALS


@rule(
    "TIM804",
    "slow-drip",
    "warning",
    "client",
    "RFC 5321 §4.5.3.2.5, §4.5.3.2.7",
    on=Ended(facts=EndFact.SLOW_INPUT),
)
def slow_drip(x: Exchange | None, talk: Conversation) -> Iterator[Evidence]:
    """Command or mail data sent very slowly.

    A command line that takes five minutes, or a pause of three minutes inside the mail data, keeps a connection of the
    server busy. Attackers do this to use up all its connections. A line that never ends may come from a program that
    sends backslashes and the letters r and n in place of the bytes CR and LF. For mail data the cause may also be a
    server that closed its receive window; the audit does not examine windows. Fix the client: send complete lines
    without long pauses. Fix the server: close with 421 when a line takes too long, and limit the connections of one
    client.
    """
    drip = talk.course.slow_input
    if drip is None:
        return
    if drip.line and not drip.text:
        phrase = Phrase("A line of the login was still incomplete after {duration} s.", duration=_seconds(drip.ns))
    elif drip.line:
        phrase = Phrase(
            "A command line was still incomplete after {duration} s: {line}{end}.",
            duration=_seconds(drip.ns),
            line=_shown(drip.text),
            end=_literal_end(drip.text),
        )
    else:
        phrase = Phrase("The client paused for {duration} s inside its mail data.", duration=_seconds(drip.ns))
    yield Evidence(
        phrase,
        offset=drip.offset,
        length=0,
        frame=drip.frame,
        time_ns=drip.time_ns,
        evidence="",
        certain=talk.certain and drip.line,
    )
