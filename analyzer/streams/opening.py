"""Open a connection at its first payload, with what the handshake says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .flow import Flow, reversed_key
from .handshakes import first_of
from .stream import M32

if TYPE_CHECKING:
    from ..limits import Limits
    from .handshakes import Handshakes
    from .stream import Shared

__all__ = ["open_flow"]


def open_flow(
    handshakes: Handshakes,
    key: bytes,
    seq: int,
    ack: int,
    frame: int,
    time_ns: int,
    capture: int,
    limits: Limits,
    shared: Shared,
) -> Flow:
    """Return the connection whose first payload comes from ``key`` at ``seq``. ``ack``: -1 if it has none. Its
    SYNs are no longer remembered.

    If one SYN is missing, what the other one acknowledged is the start of its side.
    """
    back = reversed_key(key)
    mine, theirs = handshakes.take(key, back, seq, ack)
    server_first = (mine is not None and mine.answers) or (theirs is not None and not theirs.answers)
    if server_first:
        flow, client, server = Flow(back, frame, time_ns, capture), theirs, mine
    else:
        flow, client, server = Flow(key, frame, time_ns, capture), mine, theirs
    first = first_of(mine, theirs)
    if first is not None:
        flow.first_frame, flow.started_ns = first.frame, first.time_ns
    if client is not None:
        flow.note_syn(client=True, answers=client.answers)
        flow.client_next = (client.isn + 1) & M32
    if server is not None:
        flow.note_syn(client=False, answers=server.answers)
        flow.server_next = (server.isn + 1) & M32
    if client is None or server is None:
        disorder = flow.disordered(limits, shared)
        if client is not None:
            disorder.server.base = client.acked
        if server is not None:
            disorder.client.base = server.acked
    return flow
