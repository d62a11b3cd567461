"""Join fragmented datagrams, whose fragments may be in different pieces and captures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..segments.decode_tally import DecodeTally
from ..segments.decoder import SegmentDecoder
from .chunks import ChunkFile, ChunkWriter
from .mapping import AsideFragment, Mapped
from .sieve import Row, partition_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..audit import Options
    from ..files.storage import Storage

__all__ = ["JoinTask", "Joined", "join_fragments"]

Joined = list[tuple[int, int, int, Row]]
"""A chunk of segments from datagrams: batch, piece, block, segment."""


class JoinTask(NamedTuple):
    """Join the fragments in the files ``mapped``, in order, and write their segments into ``name``."""

    name: str
    mapped: Sequence[str]
    spool: Storage
    options: Options
    partitions: int


def join_fragments(task: JoinTask) -> dict[int, dict[str, Any]]:
    """Run the task, or return the result of an earlier run: ``vars`` of a tally for each capture with fragments, by its
    number."""
    if task.spool.has(task.name):
        return ChunkFile(task.spool, task.name).about(dict[int, dict[str, Any]])
    tallies: dict[int, dict[str, Any]] = {}
    rows: list[Joined] = [[] for _ in range(task.partitions)]
    at = 0, 0, 0

    def sink(
        key: bytes, seq: int, ack: int, flags: int, payload: bytes, missing: int, frame: int, time_ns: int
    ) -> None:
        row = key, seq, ack, flags, payload, missing, frame, time_ns
        rows[partition_of(key, task.partitions)].append((*at, row))

    decoder = SegmentDecoder(sink, task.options.decoder, limits=task.options.limits)
    capture = 0

    def settle() -> None:
        decoder.settle()
        if any(vars(decoder.tally).values()):
            tallies[capture] = vars(decoder.tally)

    with task.spool.write(task.name) as stream:
        chunks = ChunkWriter(stream)
        for batch, name in enumerate(task.mapped):
            file = ChunkFile(task.spool, name)
            pieces = file.about(Mapped).pieces
            for chunk in file.chunks("fragments", list[AsideFragment]):
                for piece, block, link_type, time_ns, frame, found in chunk:
                    if pieces[piece].capture != capture:
                        settle()
                        capture, decoder.tally = pieces[piece].capture, DecodeTally()
                    at = batch, piece, block
                    decoder.fragment(found, link_type, time_ns, frame)
                for number, joined in enumerate(rows):
                    if joined:
                        chunks.add(str(number), joined)
                        joined.clear()
        settle()
        chunks.finish(tallies)
    return tallies
