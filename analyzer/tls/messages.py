"""Put the fragments of handshake messages together (RFC 8446 §4, §5.1; RFC 5246 §7.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..limits import TLS_MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MessageCutter"]

_HEADER = 4


class MessageCutter:
    """Takes the contents of handshake records. A message above the limit is passed over."""

    __slots__ = ("_data", "_skip")

    def __init__(self) -> None:
        self._data = bytearray()
        self._skip = 0  # octets of a message that is too long

    @property
    def weight(self) -> int:
        """About how many bytes are kept."""
        return len(self._data)

    def take(self, content: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield type and body of each message that ends in ``content``."""
        if self._skip:
            used = min(self._skip, len(content))
            self._skip -= used
            content = content[used:]
        data = self._data
        data += content
        at = 0
        while len(data) - at >= _HEADER:
            length = int.from_bytes(data[at + 1 : at + _HEADER], "big")
            if length > TLS_MESSAGE_BYTES:
                self._skip = max(0, at + _HEADER + length - len(data))
                at = min(len(data), at + _HEADER + length)
                continue
            if len(data) - at < _HEADER + length:
                break
            start = at + _HEADER
            at = start + length
            yield data[start - _HEADER], bytes(data[start:at])
        del data[:at]

    def clear(self) -> None:
        """Forget the message that is not complete: bytes of it are lost."""
        self._data.clear()
        self._skip = 0
