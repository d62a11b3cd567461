"""TCP 909: connections on which nobody says anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..exchanges.lifecycle import GREETING_WAITED_NS, SECOND
from .end_facts import EndFact
from .phrases import Phrase, Seconds, Term
from .registry import Ended, Evidence, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__: list[str] = []


@rule(
    "TCP909",
    "no-greeting",
    "info",
    "server",
    "RFC 5321 §3.1, §4.3.1, §4.5.3.2.1",
    on=Ended(facts=EndFact.CLIENT_CLOSED | EndFact.SERVER_CLOSED),
)
def no_greeting(x: Exchange | None, talk: Conversation) -> Iterator[Evidence]:
    """Server said nothing.

    The server accepted the connection and sent no greeting. It closed the connection at once, as some servers do with
    clients that they do not want or while they are overloaded, or it never spoke and the client gave up; a client waits
    up to five minutes. RFC 5321 calls the greeting normal, but does not demand it, so this is only an info. Fix the
    server: send a greeting, 421 or 554 if it gives no service. Fix the client: try again later, with fewer connections
    at a time.
    """
    closing, record = talk.course.closing, talk.record
    if closing is None or talk.client_seen or talk.server_seen or talk.midstream:
        return
    if talk.server_syn_missing or any(talk.course.lost.values()):
        return
    waited = closing.time_ns - record.started_ns
    if closing.side == "server":
        how = Term("reset" if closing.how == "rst" else "closed")
        phrase = Phrase("The server {how} the connection without a greeting.", how=how)
    elif waited >= GREETING_WAITED_NS:
        phrase = Phrase("No greeting came in {waited} s.", waited=Seconds(waited // SECOND))
    else:
        return
    yield Evidence(phrase, offset=0, length=0, frame=closing.frame, time_ns=closing.time_ns, evidence="", certain=True)
