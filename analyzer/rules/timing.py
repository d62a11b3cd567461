"""TIM: time-outs that are too short, and clients that keep a server waiting (RFC 5321 §4.5.3.2)."""

# Times are those of the capture. Below a second nothing is a time-out: whoever closes so soon has decided to, and the
# rules about closing (TCP901, TCP902) have that.

from __future__ import annotations

from typing import TYPE_CHECKING

from ..exchanges.lifecycle import SECOND
from ..exchanges.state_table import Act, Phase
from ..model import ReplyTurn
from .registry import Ended, Evidence, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__: list[str] = []

# RFC 5321 §4.5.3.2.1 to .6, seconds
_PATIENCE = {Act.DATA: 120, Act.END: 600, Act.LAST: 600}
_USUAL_PATIENCE = 300
_SERVER_PATIENCE = 300  # RFC 5321 §4.5.3.2.7
_TOO_MANY_REFUSALS = 10  # 5yz replies behind which a server may have had enough of a client
_OTHER_REASON = frozenset({"4.3.2", "4.7.0"})  # shutting down; policy
_SERVED = frozenset(
    (Phase.GREETED, Phase.READY, Phase.MAIL, Phase.RCPT, Phase.CONTENT, Phase.CHUNKS, Phase.BROKEN, Phase.CLOSING)
)


def _seconds(ns: int) -> str:
    return f"{ns / SECOND:.0f} s"


@rule(
    "TIM801",
    "client-gave-up-early",
    "warning",
    "client",
    "RFC 5321 §4.5.3.2.1-6",
    on=Ended(),
    severities={"lmtp": "info"},
)
def client_gave_up_early(x: Exchange | None, talk: Conversation) -> Iterator[Evidence]:
    """Client closed before the minimum timeout.

    A client waits five minutes for most replies, two for that to DATA and ten for that to the end of data, for servers
    check mail before they answer. A client that gives up earlier sends the message again, and it arrives twice.
    """
    course = talk.course
    closing = course.closing
    if closing is None or closing.side != "client" or course.quit_sent or course.close_notice is not None:
        return
    if not closing.waiting or not closing.certain or not talk.certain or any(course.lost.values()):
        return
    first = closing.waiting[0]
    patience = _PATIENCE.get(first.act, _USUAL_PATIENCE)
    if first.sure and SECOND <= closing.waited_ns < patience * SECOND:
        what = "the end of mail data" if first.act is Act.END else "an AUTH line" if not first.command else first.name
        yield Evidence(
            f"The client gave up after {_seconds(closing.waited_ns)} without a reply to {what}; "
            f"it has to wait {patience} s at least.",
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
    on=Ended(),
    severities={"lmtp": "info"},
)
def server_idle_timeout_short(x: Exchange | None, talk: Conversation) -> Iterator[Evidence]:
    """Server drops an idle client in under 5 minutes.

    A server waits five minutes at least for what comes next. One that is shutting down, or has had enough of a client
    that it refused ten times, is excused.
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
        idle, offset, frame, time_ns = farewell.idle_ns, said.reply_offset, said.reply_frame, said.reply_time_ns
        if closing is not None and closing.side == "server":
            idle = max(idle, closing.client_idle_ns)  # receive offload may show the 421 too early, the FIN it does not
    elif (
        closing is not None
        and closing.certain
        and closing.side == "server"
        and not closing.waiting
        and talk.session.state.sure
    ):
        idle, offset, frame, time_ns = closing.client_idle_ns, talk.record.server_bytes, closing.frame, closing.time_ns
    else:
        return
    where = "" if course.inside is None else " inside its mail data"
    if SECOND <= idle < _SERVER_PATIENCE * SECOND and not _fed_up(talk):
        yield Evidence(
            f"The server closed after the client had been silent for {_seconds(idle)}{where}; "
            f"it has to wait {_SERVER_PATIENCE} s at least.",
            offset=offset,
            length=0,
            frame=frame,
            time_ns=time_ns,
            evidence="",
        )


def _fed_up(talk: Conversation) -> bool:
    refusals = sum(isinstance(turn, ReplyTurn) and turn.code >= 500 for turn in talk.record.dialogue)
    return refusals >= _TOO_MANY_REFUSALS


@rule("TIM804", "slow-drip", "warning", "client", "RFC 5321 §4.5.3.2.5, §7.8", on=Ended())
def slow_drip(x: Exchange | None, talk: Conversation) -> Iterator[Evidence]:
    """Command or data sent at a trickle.

    A command line that takes five minutes, or three minutes between two blocks of mail data, ties up the server: the
    way of a client that wants to use up all its connections. For mail data a server that had closed its receive window
    would be to blame; the audit does not see windows.
    """
    drip = talk.course.slow_input
    if drip is None:
        return
    if drip.line:
        message = f"A command line was still incomplete after {_seconds(drip.ns)}."
    else:
        message = f"The client paused for {_seconds(drip.ns)} inside its mail data."
    yield Evidence(
        message,
        offset=drip.offset,
        length=0,
        frame=drip.frame,
        time_ns=drip.time_ns,
        evidence="",
        certain=talk.certain and drip.line,
    )
