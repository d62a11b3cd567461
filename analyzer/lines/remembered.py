"""A bounded table of results of a pure function of bytes: lines and replies repeat, even where dialogues do not."""

# What a line says by itself depends on nothing but its bytes, so the result for equal bytes can be shared. The table
# cannot grow without end: it has a bound for its entries and one for the octets of their keys. When one is reached, the
# table starts again empty, which costs less than to keep the entries in the order of their use. Long keys are not kept.

from __future__ import annotations

from typing import TypeVar

__all__ = ["Remembered"]

T = TypeVar("T")


class Remembered(dict[bytes, T]):
    """Results by the bytes that they were made of. ``add`` keeps the bounds; look-ups are those of a dict."""

    __slots__ = ("_entries", "_left", "_longest", "_octets")

    def __init__(self, *, entries: int, octets: int, longest: int) -> None:
        """``entries``, ``octets``: most entries, and most octets of all keys together. ``longest``: octets of the
        longest key that is kept."""
        super().__init__()
        self._entries = entries
        self._octets = self._left = octets
        self._longest = longest

    def add(self, key: bytes, result: T) -> None:
        """Remember ``result`` for ``key``, unless the key is too long."""
        size = len(key)
        if size > self._longest:
            return
        if self._left < size or len(self) >= self._entries:
            self.clear()
            self._left = self._octets
        self._left -= size
        self[key] = result
