"""Messages that an audit extracts: each partition stores them in its file, and the combine step passes them on."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from typing import TYPE_CHECKING

from msgspec import Struct, msgpack

from ..extract.envelope import Envelope
from ..extract.message_tap import MessageTap
from ..extract.spooled_message import Spool
from ..files.folders import folder_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..connections.places import Place, Places
    from ..exchanges.connection_report import TimeFormat
    from ..exchanges.record import ConnectionRecord
    from ..extract.spooled_message import SpooledMessage
    from .chunks import ChunkFile, ChunkWriter

__all__ = ["MessageStore", "StoredMessage"]


class StoredMessage(Struct):
    """An envelope, and which chunks of kind "content" hold the octets."""

    envelope: Envelope
    first: int
    count: int

    @classmethod
    def of(cls, encoded: bytes, number: int) -> StoredMessage:
        """Return what ``MessageStore`` encoded. ``number``: that of the connection."""
        stored = msgpack.decode(encoded, type=cls)
        stored.envelope.connection = number
        return stored

    def octets(self, file: ChunkFile) -> Iterator[bytes]:
        """Yield the octets in parts."""
        for at in range(self.first, self.first + self.count):
            yield file.chunk("content", at, bytes)


class MessageStore:
    """Takes the messages of the connections of a partition, at most ``limit`` octets of each, and writes them into
    ``chunks``. ``found``: called with each: where it ended, where its connection got its number, and the encoded
    message."""

    def __init__(
        self, places: Places, chunks: ChunkWriter, limit: int, found: Callable[[Place, Place, bytes], None]
    ) -> None:
        self._places = places
        self._chunks = chunks
        self._limit = limit
        self._found = found
        self._stack = ExitStack()
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="smtpwire-"))
        self._spool = Spool(self._stack.enter_context(folder_of(folder)))
        self._taps: dict[int, MessageTap] = {}
        self._count = 0

    def tap(self, record: ConnectionRecord, clock: TimeFormat) -> MessageTap:
        """See ``Options.tap``."""
        tap = self._taps[record.id] = MessageTap(record, clock, self._spool, self._keep, self._limit)
        return tap

    def end(self, number: int) -> None:
        """The connection with this number is over."""
        tap = self._taps.pop(number, None)
        if tap is not None:
            tap.finish()

    def close(self) -> None:
        """Remove what waits on disk."""
        self._stack.close()

    def _keep(self, envelope: Envelope, spooled: SpooledMessage) -> None:
        places, first = self._places, self._count
        for part in spooled.chunks():
            self._chunks.add("content", part)
            self._count += 1
        spooled.discard()
        ended = places.ended.get(envelope.connection)
        number_place, place = ended or (places.numbers[envelope.connection], places.here)
        self._found(place, number_place, msgpack.encode(StoredMessage(envelope, first, self._count - first)))
