"""Productions: each is one regular expression with named groups for its parts."""

# Parsing captures uses only the expression. Code that wants containers, or builds lines, makes a construct from it
# (constructs.py). Loading construct takes a tenth of the time of a small audit, so this module does not load it.

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Parts", "Production", "Repeated"]

Parts = dict[str, bytes | None]


class Production:
    """A production as one expression; ``fields`` maps its named groups to inner productions (None: bytes as they are).

    ``render`` writes the fields, already bytes, in their order; an absent field is None. Groups of the pattern that are
    not in ``fields`` are only for users of ``fullmatch``. ``common``: a pattern for nearly all lines, without the rare
    forms. It compiles in a third of the time, and mostly the full pattern is then not needed. It has all groups in
    ``fields``; others may be missing.
    """

    def __init__(
        self,
        pattern: bytes,
        render: Callable[[Parts], bytes],
        common: bytes | None = None,
        **fields: Production | Repeated | None,
    ) -> None:
        self.pattern = pattern
        self.render = render
        self.common = common
        self.fields = fields

    @cached_property
    def usual(self) -> Callable[..., re.Match[bytes] | None]:
        """``fullmatch`` of the pattern for nearly all lines. What it does not match, ``fullmatch`` may."""
        return self._whole if self.common is None else re.compile(self.common, re.DOTALL).fullmatch

    @cached_property
    def fullmatch(self) -> Callable[..., re.Match[bytes] | None]:
        """``fullmatch`` of the compiled pattern."""
        if self.common is None:
            return self._whole
        common = self.usual

        def either(data: bytes, start: int = 0) -> re.Match[bytes] | None:
            found = common(data, start)
            return found if found is not None else self._whole(data, start)

        return either

    @cached_property
    def _whole(self) -> Callable[..., re.Match[bytes] | None]:
        # Compiled at first use: all of them together take 40 ms.
        return re.compile(self.pattern, re.DOTALL).fullmatch

    def check(self, data: bytes) -> bool:
        """Whether ``data`` is this production."""
        return self.fullmatch(data) is not None


class Repeated(Struct, frozen=True):
    """Items with ``separator`` before each, as in ``*(SP esmtp-param)``."""

    item: Production
    separator: bytes
