"""Which faults a message has, as bits that rules ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .octet_checks import Flaw

if TYPE_CHECKING:
    from .message import Content

__all__ = ["flaws_of", "unended_flaws"]


def flaws_of(content: Content) -> int:
    """Possible faults of the message's form, as ``Flaw`` bits; 0 if the message is not complete."""
    if content.missing or not content.complete:
        return 0
    if not content.size:
        return Flaw.EMPTY
    flaws = content.declared if content.report is None else content.report.flaws | content.declared
    if content.long_line is not None and not content.long_line_judged:
        flaws |= Flaw.LONG_LINE
    if content.lone_dot is not None:
        flaws |= Flaw.LONE_DOT
    if content.encoding_fault is not None:
        flaws |= Flaw.BAD_ENCODING
    if content.lookalike is not None:
        flaws |= Flaw.LOOKALIKE
    if content.bare_lf is not None or content.bare_cr is not None:
        flaws |= Flaw.BARE_NEWLINE
    if content.nul is not None:
        flaws |= Flaw.NUL
    if content.header_8bit is not None:
        flaws |= Flaw.EIGHT_BIT_HEADER
    if content.body_8bit is not None:
        flaws |= Flaw.EIGHT_BIT_BODY
    if content.untrue_label is not None:
        flaws |= Flaw.UNTRUE_LABEL
    if content.stuffed_dots is not None:
        flaws |= Flaw.STUFFED_CHUNKS
    return flaws


def unended_flaws(content: Content) -> int:
    """Faults that are certain although the end of the message has not come, as ``Flaw`` bits."""
    flaws = 0
    if content.lookalike is not None:
        flaws = Flaw.LOOKALIKE | Flaw.BARE_NEWLINE
    if content.long_line is not None and not content.long_line_judged and not content.missing:
        flaws |= Flaw.LONG_LINE
    if content.glued_dot is not None:
        flaws |= Flaw.GLUED_DOT
    return flaws
