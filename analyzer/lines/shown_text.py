"""Bytes of a line as text, without the parts that the report must not show."""

from __future__ import annotations

from ...dissectors.printable import printable

__all__ = ["Span", "covered", "hidden", "joined", "shown_text"]

Span = tuple[int, int]
"""Start and end of a part of a line, in bytes."""


def hidden(count: int) -> str:
    """Return what the report shows in place of ``count`` bytes."""
    return f"[{count} {'byte' if count == 1 else 'bytes'} not shown]"


def shown_text(raw: bytes, spans: tuple[Span, ...], start: int = 0, end: int | None = None) -> str:
    """Return ``raw[start:end]`` as printable text, each of ``spans`` in it replaced by its length.

    ``spans``: in order, without overlap. One that reaches beyond the text counts with its whole length.
    """
    end = len(raw) if end is None else end
    if not spans:
        return printable(raw[start:end])
    text, at = "", start
    for first, last in spans:
        if last <= at or first >= end:
            continue
        text += printable(raw[at : max(at, first)]) + hidden(last - first)
        at = last
    return text + printable(raw[at:end]) if at < end else text


def joined(*some: tuple[Span, ...]) -> tuple[Span, ...]:
    """Return all spans in order; those that overlap or touch are one."""
    found: list[Span] = []
    for first, last in sorted(span for spans in some for span in spans):
        if found and first <= found[-1][1]:
            found[-1] = found[-1][0], max(last, found[-1][1])
        else:
            found.append((first, last))
    return tuple(found)


def covered(spans: tuple[Span, ...], start: int, end: int) -> bool:
    """Whether one of ``spans`` has a byte of ``start`` to ``end``."""
    return any(first < end and start < last for first, last in spans)
