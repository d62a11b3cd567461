"""Files of encoded chunks, which one process writes and others read in parts."""

# Theory
# ------
# A file is a row of chunks, then an index, then the length of the index. Each chunk has a kind, and the index says
# where the chunks of each kind are. So who reads one partition of the connections reads only that, one chunk at a time,
# also over a network.
#
# A chunk is MessagePack. Its integers have 64 bits, and a damaged pcapng file can have later times: such a chunk is
# JSON.

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from msgspec import Struct, convert, field, msgpack, to_builtins

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..files.storage import Storage

__all__ = ["ChunkFile", "ChunkWriter"]

_TRAILER = 8  # bytes: the length of the index

_Kind = TypeVar("_Kind")


class _Index(Struct):
    """Places and lengths of chunks by kind, and what belongs to the file as a whole."""

    chunks: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    about: bytes = b""


class ChunkWriter:
    """Writes a file of chunks into ``stream``."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._index = _Index()
        self.size = 0

    def add(self, kind: str, value: Any) -> None:
        """Write one chunk."""
        encoded = _encoded(value)
        self._index.chunks.setdefault(kind, []).append((self.size, len(encoded)))
        self._stream.write(encoded)
        self.size += len(encoded)

    def finish(self, about: Any) -> None:
        """Write the index. ``about``: a value about the whole file."""
        self._index.about = _encoded(about)
        encoded = msgpack.encode(self._index)
        self._stream.write(encoded + len(encoded).to_bytes(_TRAILER, "big"))
        self.size += len(encoded) + _TRAILER


class ChunkFile:
    """Reads the file ``name`` of ``storage``. Methods raise OSError."""

    def __init__(self, storage: Storage, name: str) -> None:
        self._storage = storage
        self._name = name
        end = storage.size(name) - _TRAILER
        length = int.from_bytes(storage.read(name, end, _TRAILER), "big")
        self._index = msgpack.decode(storage.read(name, end - length, length), type=_Index)

    def about(self, type_: type[_Kind]) -> _Kind:
        """Return the value about the whole file."""
        return _decoded(self._index.about, msgpack.Decoder(type_))

    def chunk(self, kind: str, number: int, type_: Any) -> Any:
        """Return one chunk of this kind."""
        start, length = self._index.chunks[kind][number]
        return _decoded(self._storage.read(self._name, start, length), msgpack.Decoder(type_))

    def chunks(self, kind: str, type_: Any) -> Iterator[Any]:
        """Yield the chunks of this kind in the order in which they were written, each of this type."""
        decoder = msgpack.Decoder(type_)
        for start, length in self._index.chunks.get(kind, ()):
            yield _decoded(self._storage.read(self._name, start, length), decoder)


_JSON = b"\xc1"  # a byte that MessagePack never uses


def _encoded(value: Any) -> bytes:
    try:
        return msgpack.encode(value)
    except OverflowError:
        return _JSON + json.dumps(to_builtins(value, str_keys=True)).encode()


def _decoded(data: bytes, decoder: msgpack.Decoder[_Kind]) -> _Kind:
    if data.startswith(_JSON):
        value: _Kind = convert(json.loads(data[1:]), decoder.type, str_keys=True)
        return value
    return decoder.decode(data)
