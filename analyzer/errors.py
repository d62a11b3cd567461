"""Errors of this program itself, not of the traffic: invalid input, invalid usage.

A protocol violation is never an exception: findings are data. The errors here are for problems that only the user can
fix, so each one says in one line what is wrong, where, and what to do.
"""

from __future__ import annotations

import os
from itertools import chain
from os.path import commonpath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["InputError", "OutputError", "UsageError", "display_path", "how_to_install", "is_visible", "nearest"]


def display_path(path: str | os.PathLike[str]) -> str:
    """Return the path as text that is safe for terminals and JSON.

    Characters that show nothing, or change what is shown (controls, line ends, bidirectional marks, fillers, variation
    selectors, marks that pile up or have no letter), and bytes that are not UTF-8 become ``\\xNN``; printable
    characters of any script are kept.
    """
    text = os.fspath(path)
    return text if text.isascii() and text.isprintable() else "".join(_visible_pieces(text))


def is_visible(text: str) -> bool:
    """Whether ``display_path`` changes nothing in ``text``."""
    return display_path(text) == text


def _visible_pieces(text: str) -> Iterator[str]:
    from unicodedata import category  # noqa: PLC0415  nearly all names are ASCII

    marks = _MOST_MARKS  # a mark needs a letter before it
    for c in text:
        if not c.isprintable() or ord(c) in _INVISIBLE:
            marks = _MOST_MARKS
            yield _escaped(ord(c))
            continue
        kind = "L" if c.isascii() else category(c)
        if kind in {"Mn", "Me"}:
            marks += 1
            yield c if marks <= _MOST_MARKS else _escaped(ord(c))
        else:
            marks = _MOST_MARKS if kind[0] in "SPZ" or c in _PUNCTUATION else 0
            yield c


def how_to_install(package: str) -> str:
    """Return the hint for a package that only some uses need."""
    return f"pip install {package}, or pipx inject smtpwire {package}"


# Printable for Python, and yet nothing is seen of them: Unicode's Default_Ignorable_Code_Point, and characters whose
# glyph is empty (U+2800, U+16FE4, U+1D159, U+13441 and 13442).
_INVISIBLE = frozenset(
    chain(
        *((0x00AD, 0x034F, 0x061C, 0x2800, 0x3164, 0xFEFF, 0xFFA0, 0x16FE4, 0x1D159, 0x13441, 0x13442),),
        *(range(0x115F, 0x1161), range(0x17B4, 0x17B6), range(0x180B, 0x1810), range(0x200B, 0x2010)),
        *(range(0x202A, 0x202F), range(0x2060, 0x2070), range(0xFE00, 0xFE10), range(0xFFF0, 0xFFFC)),
        *(range(0x1BCA0, 0x1BCA4), range(0x1D173, 0x1D17B), range(0xE0100, 0xE01F0)),
    )
)
# Marks on one letter: more than any script stacks. A pile of them covers the lines above and below.
_MOST_MARKS = 4
_PUNCTUATION = frozenset(" !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


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
