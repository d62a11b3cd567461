"""The field types of the Scapy packets: bytes that may be absent, and lists of bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scapy.fields import Field, StrField

if TYPE_CHECKING:
    from collections.abc import Callable

    from scapy.packet import Packet

__all__ = ["BytesField", "BytesListField", "is_set"]

MAX_SHOWN = 2048
"""Bytes of one field that repr() and show() print: mail data may be long. The field itself has all bytes."""


class BytesField(StrField):
    """Bytes or None; text is encoded as UTF-8."""

    def any2i(self, pkt: Packet | None, x: Any) -> Any:
        """Return the internal value of a value that the user sets."""
        return x.encode() if isinstance(x, str) else x

    def i2repr(self, pkt: Packet | None, x: Any) -> str:
        """Return the text to print."""
        if isinstance(x, bytes) and len(x) > MAX_SHOWN:
            return f"{x[:MAX_SHOWN]!r}... ({len(x)} bytes)"
        return repr(x)


class BytesListField(Field[list[bytes | None], bytes]):
    """A list of bytes; a single value is split at ``separator``."""

    __slots__ = ("separator",)
    islist = 1

    def __init__(self, name: str, separator: bytes) -> None:
        super().__init__(name, [], fmt="s")
        self.separator = separator

    def any2i(self, pkt: Packet | None, x: Any) -> Any:
        """Return the internal value of a value that the user sets."""
        if isinstance(x, str):
            x = x.encode()
        if isinstance(x, bytes):
            return x.split(self.separator) if x else []
        return [part.encode() if isinstance(part, str) else part for part in x or ()]


def is_set(field: str) -> Callable[[Packet], bool]:
    """Return a condition: the field is not None. It reads the stored value; the attribute would evaluate conditions."""
    return lambda pkt: pkt.getfieldval(field) is not None
