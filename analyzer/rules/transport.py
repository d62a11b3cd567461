"""TCP: what the segments themselves say, and how far the capture allows a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .registry import Ended, Evidence, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..conversation import Conversation
    from ..exchange import Exchange

__all__: list[str] = []


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

    TCP repeats bytes as they were. Other bytes in the same place mean a broken middlebox, or somebody who wants the
    auditor and the receiver to read different things. The first copy is what this report shows.
    """
    for side, offset, frame, time_ns in talk.conflicts:
        yield Evidence(
            f"Bytes of the {side} were sent again with other content; the first copy counts here.",
            offset=offset,
            length=1,
            frame=frame,
            time_ns=time_ns,
            evidence="",
        )
