"""Bytes of a line as text, without the parts that the report must not show."""

from __future__ import annotations

from bisect import bisect_right

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
    parts: list[str] = []
    at = start
    for place in range(bisect_right(spans, start, key=_end), len(spans)):
        first, last = spans[place]
        if first >= end:
            break
        parts += printable(raw[at : max(at, first)]), hidden(last - first)
        at = last
    if at < end:
        parts.append(printable(raw[at:end]))
    return "".join(parts)


def _end(span: Span) -> int:
    return span[1]


def joined(*some: tuple[Span, ...]) -> tuple[Span, ...]:
    """Return all spans in order; those that overlap or touch are one."""
    if not any(some):
        return ()
    found: list[Span] = []
    for first, last in sorted(span for spans in some for span in spans):
        if found and first <= found[-1][1]:
            found[-1] = found[-1][0], max(last, found[-1][1])
        else:
            found.append((first, last))
    return tuple(found)


def covered(spans: tuple[Span, ...], start: int, end: int) -> bool:
    """Whether one of ``spans``, which are in order, has a byte of ``start`` to ``end``."""
    place = bisect_right(spans, start, key=_end)
    return place < len(spans) and spans[place][0] < end
