"""How mail data ends: what the last octets and the last segments of it show."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from .glued_dot import find_glued_dot

if TYPE_CHECKING:
    from .message import Content

__all__ = ["ends_in_cr", "last_segment", "look_for_dot", "pause_after"]


def ends_in_cr(content: Content) -> bool:
    """Return whether the last octet is CR. The content is complete."""
    return content.last_octets[-1:] == b"\r"


def last_segment(content: Content) -> tuple[int, bytes]:
    """Return offset and octets of the last segment of the content; no octets if they are not kept."""
    if not content.segments:
        return content.end_offset, b""
    start = content.segments[-1][0]
    length = content.end_offset - start
    return start, content.last_octets[-length:] if 0 < length <= len(content.last_octets) else b""


def look_for_dot(content: Content) -> None:
    """Look for the dot that was meant as the end of the mail data, which never ended."""
    if content.lookalike is None and not content.missing:
        starts = [start for start, _, _ in content.segments]
        content.glued_dot = find_glued_dot(content.last_octets, content.end_offset, starts)


def pause_after(content: Content, offset: int, until_ns: int) -> int:
    """Return the longest time between segments after the one with the octet at ``offset``, and from the last one to
    ``until_ns``."""
    times = [content.where(offset)[1], *(one[2] for one in content.segments if one[0] > offset), until_ns]
    return max(after - before for before, after in pairwise(times))
