"""Errors of this program itself, not of the traffic: invalid input, invalid usage.

A protocol violation is never an exception: findings are data. The errors here are for problems that only the user can
fix, so each one says in one line what is wrong, where, and what to do.
"""

from __future__ import annotations

import os
from os.path import commonpath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["InputError", "OutputError", "UsageError", "display_path", "nearest"]


def display_path(path: str | os.PathLike[str]) -> str:
    """Return the path as text that is safe for terminals and JSON.

    Non-printable characters (controls, line ends, bidirectional marks) and bytes that are not UTF-8 become ``\\xNN``;
    printable characters of any script are kept.
    """
    return "".join(c if c.isprintable() else _escaped(ord(c)) for c in os.fspath(path))


def _escaped(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # how Python represents a byte that is not UTF-8 (PEP 383)
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def nearest(word: str, names: Sequence[str]) -> str | None:
    """Return the one of ``names`` that the user may have meant by ``word``; None if none is similar."""
    from difflib import SequenceMatcher, get_close_matches  # noqa: PLC0415 - loaded only after a mistake

    def distance(name: str) -> tuple[int, float, str]:
        # Typing errors are rarely at the start of a word. Among equally near ids the first is usually the right one.
        return -len(commonpath([word, name])), -SequenceMatcher(None, name, word).ratio(), name

    return min(get_close_matches(word, names, 12, 0.5), key=distance, default=None)


class _OneLine(Exception):
    """An error whose text is the line ``what: where: hint``."""

    def __init__(self, what: str, where: str, hint: str) -> None:
        super().__init__(what, where, hint)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what}: {self.where}: {self.hint}"


class InputError(_OneLine):
    """An input that cannot be read at all; ``where`` is its path, safe to display."""


class UsageError(_OneLine):
    """An invalid value on the command line or in the configuration, or a file that cannot be used."""


class OutputError(Exception):
    """The report could not be written; the text is one line with the place and the reason."""
