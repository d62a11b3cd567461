"""Productions: one regular expression each, with named groups for what the line says there."""

# Reading takes the expression alone; whoever wants containers, or wants to write lines, makes a construct of it
# (grammar.py). To load construct takes a tenth of the time of a small audit, so nothing here does.

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Parts", "Production", "Repeated"]

Parts = dict[str, bytes | None]


class Production:
    """A production as one expression; ``fields`` maps its named groups to inner productions (None: bytes as they are).

    ``render`` writes the fields, already bytes, in their order; a field that is absent is None. Groups of the pattern
    that are not in ``fields`` are for readers of ``fullmatch`` only.
    """

    def __init__(
        self,
        pattern: bytes,
        render: Callable[[Parts], bytes],
        **fields: Production | Repeated | None,
    ) -> None:
        self.pattern = pattern
        self.render = render
        self.fields = fields

    @cached_property
    def fullmatch(self) -> Callable[..., re.Match[bytes] | None]:
        """``fullmatch`` of the compiled pattern. Compiled at first use: all of them together take 40 ms."""
        return re.compile(self.pattern, re.DOTALL).fullmatch

    def check(self, data: bytes) -> bool:
        """Whether ``data`` is this production."""
        return self.fullmatch(data) is not None


class Repeated(NamedTuple):
    """Items each with ``separator`` in front, as in ``*(SP esmtp-param)``."""

    item: Production
    separator: bytes
