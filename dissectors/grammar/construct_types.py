"""Construct classes for line grammars: they parse a line to fields and build a line from fields.

The ``construct`` package has no types; everything exported here is typed.
"""

# construct's own Struct of bytes and terminators is not used: it takes some 60 µs for a line where one regular
# expression takes 1 µs, its NullTerminated cannot find CRLF at an odd offset, and a failed Optional costs an exception.
# So a production is one expression with named groups; a group that has an inner grammar is parsed by that grammar.
#
# Building renders the fields and then matches the result against the same expression. Each field must come back from
# its own group. So it never builds an invalid value, or a value that runs into the next field.

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from construct import Construct, ConstructError, Container, ListContainer, SizeofError
from construct.core import stream_read_entire, stream_write

from .productions import Repeated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import BinaryIO

    from .productions import Parts, Production

__all__ = ["Grammar", "RegexStruct", "Separated", "SyntaxFault"]


class SyntaxFault(ConstructError):  # type: ignore[misc]  # construct carries no types
    """Bytes that the production does not match, or fields that it cannot write."""


class Grammar(Construct):  # type: ignore[misc]  # construct carries no types
    """A production over a bounded run of bytes.

    ``fromdata`` and ``todata`` work without streams; our own code calls these. ``parse`` and ``build`` of construct
    work as for any other construct and take the whole rest of the stream.
    """

    def fromdata(self, data: bytes) -> Any:
        """Return the fields of ``data``. Raises SyntaxFault if ``data`` does not match this production."""
        raise NotImplementedError

    def todata(self, obj: Any) -> bytes:
        """Return the bytes of ``obj``. Raises SyntaxFault if they would not parse back to it."""
        raise NotImplementedError

    def check(self, data: bytes) -> bool:
        """Whether ``data`` matches this production."""
        try:
            self.fromdata(data)
        except SyntaxFault:
            return False
        return True

    def _parse(self, stream: BinaryIO, context: Any, path: str) -> Any:
        return self.fromdata(stream_read_entire(stream, path))

    def _build(self, obj: Any, stream: BinaryIO, context: Any, path: str) -> Any:
        data = self.todata(obj)
        stream_write(stream, data, len(data), path)
        return obj

    def _sizeof(self, context: Any, path: str) -> int:
        raise SizeofError("length depends on the text", path=path)


class RegexStruct(Grammar):
    """A construct of a production, with constructs of its inner productions."""

    def __init__(self, production: Production) -> None:
        super().__init__()
        self.production = production
        self.fields = {name: _inner(one) for name, one in production.fields.items()}

    def fromdata(self, data: bytes) -> Container:
        match = self.production.fullmatch(data)
        if match is None:
            raise SyntaxFault(f"{self.name or 'the production'} does not match")
        fields = Container()
        for name, inner in self.fields.items():
            value = match[name]
            fields[name] = value if inner is None or value is None else inner.fromdata(value)
        return fields

    def todata(self, obj: Mapping[str, Any]) -> bytes:
        parts: Parts = {}
        for name, inner in self.fields.items():
            value = obj.get(name)
            parts[name] = value if inner is None or value is None else inner.todata(value)
        data = self.production.render(parts)
        match = self.production.fullmatch(data)
        if match is None or any(part is not None and match[name] != part for name, part in parts.items()):
            raise SyntaxFault(f"{self.name or 'the production'} cannot be written with these fields")
        return data

    def check(self, data: bytes) -> bool:
        return self.production.check(data)


class Separated(Grammar):
    """Items with ``separator`` before each, as in ``*(SP esmtp-param)``: a list, possibly empty."""

    def __init__(self, item: Grammar, separator: bytes) -> None:
        super().__init__()
        self.item = item
        self.separator = separator

    def fromdata(self, data: bytes) -> ListContainer:
        first, *items = data.split(self.separator)
        if first:
            raise SyntaxFault("an item without its separator")
        return ListContainer(self.item.fromdata(item) for item in items)

    def todata(self, obj: Sequence[Any]) -> bytes:
        return b"".join(self.separator + self.item.todata(item) for item in obj)


def _inner(production: Production | Repeated | None) -> Grammar | None:
    if isinstance(production, Repeated):
        return Separated(RegexStruct(production.item), production.separator)
    return None if production is None else RegexStruct(production)
