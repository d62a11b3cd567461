"""What can go wrong on our side of the wire: bad input, bad usage.

A breach of a protocol is never an exception: findings are data. These two are for what only the user can mend, so each
says what is wrong, where, and what to do about it, in one line.
"""

from __future__ import annotations

import os
from os.path import commonpath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["InputError", "OutputError", "UsageError", "display_path", "nearest"]


def display_path(path: str | os.PathLike[str]) -> str:
    """The path as text that no terminal and no JSON writer stumbles over.

    Characters without a glyph (controls, line ends, reordering marks) and bytes that are not UTF-8 become ``\\xNN``;
    letters of any script stay.
    """
    return "".join(c if c.isprintable() else _escaped(ord(c)) for c in os.fspath(path))


def _escaped(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # how Python carries a byte that is not UTF-8 (PEP 383)
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def nearest(word: str, names: Sequence[str]) -> str | None:
    """The one of ``names`` that somebody who typed ``word`` may have meant; None if none is near."""
    from difflib import SequenceMatcher, get_close_matches  # noqa: PLC0415 - only mistakes pay for it

    def distance(name: str) -> tuple[int, float, str]:
        # Slips are rarely at the beginning of a word, and of equally near ids the first is the usual one.
        return -len(commonpath([word, name])), -SequenceMatcher(None, name, word).ratio(), name

    return min(get_close_matches(word, names, 12, 0.5), key=distance, default=None)


class _OneLine(Exception):
    """``what: where: hint``."""

    def __init__(self, what: str, where: str, hint: str) -> None:
        super().__init__(what, where, hint)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what}: {self.where}: {self.hint}"


class InputError(_OneLine):
    """An input that cannot be read at all; ``where`` is its path, fit for display."""


class UsageError(_OneLine):
    """A word on the command line or in the configuration that means nothing to us."""


class OutputError(Exception):
    """The report could not be written; the text is one line that says where and why."""
