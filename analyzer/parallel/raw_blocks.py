"""The bytes of blocks that another process read, for the rare question whether a segment was intact."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from msgspec import Struct

from ..errors import InputError, UsageError
from ..frames.input_window import PAD, FileWindow
from ..frames.inputs import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["RawBlock", "RawBlocks"]


class RawBlock(Struct, frozen=True):
    """A block (a ``StoredBlock``): the ``size`` bytes from ``base`` on of the input ``name``, and padding."""

    blocks: RawBlocks
    name: str
    base: int
    size: int

    def __len__(self) -> int:
        return self.size

    def load(self) -> bytes:
        """See ``StoredBlock``."""
        return self.blocks.load(self.name, self.base, self.size)


class RawBlocks:
    """Reads blocks of captures again. It is asked mostly for the last two, so these are kept; a compressed capture is
    unpacked up to the block, once if the blocks come in order."""

    def __init__(self) -> None:
        self._kept: deque[tuple[tuple[str, int, int], bytes]] = deque(maxlen=4)
        self._name = ""
        self._pieces: Iterator[tuple[int, bytes]] = iter(())
        self._unpacked: deque[tuple[int, bytes]] = deque()
        self._from = 0  # the first byte that is in these, or comes after them

    def load(self, name: str, base: int, size: int) -> bytes:
        """Return ``size`` bytes from ``base`` on, with zeros after the end; none if the input cannot be read."""
        wanted = name, base, size
        data = next((data for one, data in self._kept if one == wanted), None)
        if data is None:
            data = self._read(*wanted)
            self._kept.append((wanted, data))
        return data

    def _read(self, name: str, base: int, size: int) -> bytes:
        try:
            with Source(name).open() as opened:
                window = opened.file_window
                if opened.gunzip is None and isinstance(window, FileWindow):
                    window.seek(base, size - PAD)
                    return window.data[:size]
            return self._unpack(name, base, size)
        except (InputError, UsageError):
            return b""

    def _unpack(self, name: str, base: int, size: int) -> bytes:
        unpacked = self._unpacked
        if name != self._name or base < self._from:
            self._name, self._pieces, self._from = name, _bytes_of(name), 0
            unpacked.clear()
        while not unpacked or _end(unpacked[-1]) < base + size - PAD:
            piece = next(self._pieces, None)
            if piece is None:
                break
            unpacked.append(piece)
            while unpacked and _end(unpacked[0]) <= base:
                self._from = _end(unpacked.popleft())
        if not unpacked:
            return b""
        first = base - unpacked[0][0]
        return b"".join(data for _, data in unpacked)[first : first + size - PAD].ljust(size, b"\0")


def _end(piece: tuple[int, bytes]) -> int:
    return piece[0] + len(piece[1])


def _bytes_of(name: str) -> Iterator[tuple[int, bytes]]:
    """Yield the unpacked bytes of an input in parts: where each starts, and its bytes. Raises ``InputError``."""
    with Source(name).open() as opened:
        window = opened.reader.window
        while True:
            base, data = window.base, window.take()
            if not data:
                return
            yield base, data
