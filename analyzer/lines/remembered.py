"""A bounded table of results of a pure function of bytes: lines and replies repeat, even where dialogues do not."""

# What a line says by itself depends on nothing but its bytes, so the result for equal bytes can be shared. The table
# cannot grow without end: it has a bound for its entries and one for the octets of each key, which together bound the
# octets of all. When it is full, it starts again empty, which costs less than to keep the entries in the order of their
# use.

from __future__ import annotations

from typing import TypeVar

__all__ = ["Remembered"]

T = TypeVar("T")


class Remembered(dict[bytes, T]):
    """Results by the bytes that they were made of. ``add`` keeps the bounds; look-ups are those of a dict."""

    __slots__ = ("_entries", "_longest")

    def __init__(self, *, entries: int, longest: int) -> None:
        """``entries``: most entries. ``longest``: octets of the longest key that is kept."""
        super().__init__()
        self._entries = entries
        self._longest = longest

    def add(self, key: bytes, result: T) -> None:
        """Remember ``result`` for ``key``, unless the key is too long."""
        if len(key) <= self._longest:
            if len(self) >= self._entries:
                self.clear()
            self[key] = result
