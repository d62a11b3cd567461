"""Regular expressions that are compiled at their first use."""

# Compiling all of them takes a tenth of the time of a small audit, and most of them are rarely needed.

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, AnyStr, Generic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["LazyPattern"]


class LazyPattern(Generic[AnyStr]):
    """A compiled pattern as from ``re.compile``, with only the methods that are used here."""

    def __init__(self, pattern: AnyStr, flags: int = 0) -> None:
        self._pattern: AnyStr = pattern
        self._flags = flags

    @cached_property
    def _compiled(self) -> re.Pattern[AnyStr]:
        return re.compile(self._pattern, self._flags)

    @cached_property
    def search(self) -> Callable[..., re.Match[AnyStr] | None]:
        return self._compiled.search

    @cached_property
    def match(self) -> Callable[..., re.Match[AnyStr] | None]:
        return self._compiled.match

    @cached_property
    def fullmatch(self) -> Callable[..., re.Match[AnyStr] | None]:
        return self._compiled.fullmatch

    @cached_property
    def finditer(self) -> Callable[..., Iterator[re.Match[AnyStr]]]:
        return self._compiled.finditer

    @cached_property
    def findall(self) -> Callable[..., list[AnyStr]]:
        return self._compiled.findall

    @cached_property
    def sub(self) -> Callable[..., AnyStr]:
        return self._compiled.sub

    @cached_property
    def split(self) -> Callable[..., list[AnyStr]]:
        return self._compiled.split
