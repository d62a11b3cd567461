"""Choices from the bytes of a fuzzer, of which a target builds its input."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Material"]

_Item = TypeVar("_Item")


class Material:
    """Reads bytes from the start. After the end numbers are 0 and texts are empty, so a target needs no length."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def text(self, length: int) -> bytes:
        """Return the next ``length`` bytes, fewer at the end."""
        start = self._at
        self._at = min(start + length, len(self._data))
        return self._data[start : self._at]

    def rest(self) -> bytes:
        """Return all remaining bytes."""
        return self.text(len(self._data))

    def number(self, width: int = 1) -> int:
        """Return an unsigned big-endian number of ``width`` bytes."""
        return int.from_bytes(self.text(width), "big")

    def choice(self, items: Sequence[_Item]) -> _Item:
        """Return one of up to 256 items, selected by one byte."""
        return items[self.number() % len(items)]
