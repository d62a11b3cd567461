"""How a connection ended, as bits that rules ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..exchanges.lifecycle import Lifecycle

__all__ = ["EndFact", "end_facts"]


class EndFact:
    """Facts about a connection that is over, as bits."""

    CLIENT_CLOSED = 1 << 0  # the client sent the first FIN or RST
    SERVER_CLOSED = 1 << 1
    CLOSE_NOTICE = 1 << 2  # the server sent 221, 421 or 521
    HANGING = 1 << 3  # a reply whose last line never came
    INSIDE_DATA = 1 << 4  # mail data without an end
    CONFLICT = 1 << 5  # bytes that were sent again with other content
    SLOW_INPUT = 1 << 6  # the client sent very slowly


def end_facts(course: Lifecycle) -> int:
    """Return the facts about a connection that ran as ``course`` says."""
    facts = 0
    if course.closing is not None:
        facts = EndFact.CLIENT_CLOSED if course.closing.side == "client" else EndFact.SERVER_CLOSED
    if course.close_notice is not None:
        facts |= EndFact.CLOSE_NOTICE
    if course.hanging is not None:
        facts |= EndFact.HANGING
    if course.inside is not None:
        facts |= EndFact.INSIDE_DATA
    if course.conflicts:
        facts |= EndFact.CONFLICT
    if course.slow_input is not None:
        facts |= EndFact.SLOW_INPUT
    return facts
