"""Mutations that know the form of an input: they add, remove, move and change whole records, not single bytes."""

# If a byte is inserted into a dialogue, everything after it moves, and the input is no longer a connection. So an input
# is split into a head and records (segments, turns of a dialogue, frames of a file, lines), some of these are changed,
# and they are joined again. `engine.py` uses this together with the mutations of libFuzzer, which follow no form.

from __future__ import annotations

from importlib import import_module
from random import Random
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FORMS", "Form", "cross", "form", "join", "mutate", "split"]

FORMS = {
    "reassembler": ("stream_forms", "SEGMENTS"),
    "tracker": ("stream_forms", "SEGMENTS"),
    "conversation": ("stream_forms", "TURNS"),
    "client": ("stream_forms", "CLIENT"),
    "frame": ("file_forms", "FRAME"),
    "pcap": ("file_forms", "PCAP"),
    "pcapng": ("file_forms", "PCAPNG"),
    "audit": ("file_forms", "CAPTURE"),
    "decoders": ("file_forms", "CAPTURE"),
}
"""Targets whose input has a form: module and attribute of the form."""

_MOST = 24  # records in a range
_FILLED = 300  # a truncated record is filled up to at most this many bytes


class Form(NamedTuple):
    """How the inputs of a target are built. ``head``: the number of bytes before the records. ``size``: the size of the
    record that starts at a place. ``change``: a record with one field changed. ``fresh``: new valid records.
    ``elsewhere``: the record in another connection or from the other side, selected by a number."""

    head: Callable[[bytes], int]
    size: Callable[[bytes, int], int]
    change: Callable[[bytes, Random], bytes]
    fresh: Callable[[Random], list[bytes]]
    elsewhere: Callable[[bytes, int], bytes]


def form(name: str) -> Form | None:
    """Return the form of a target; None if it has none."""
    if name not in FORMS:
        return None
    module, attribute = FORMS[name]
    found: Form = getattr(import_module(module), attribute)
    return found


def split(data: bytes, form: Form) -> tuple[bytes, list[bytes]]:
    """Return head and records. Up to _FILLED bytes, the last record is filled with the zeros that a target reads after
    the end."""
    records = []
    at = form.head(data)
    head = data[:at]
    while at < len(data):
        size = max(form.size(data, at), 1)
        records.append(data[at : at + size].ljust(size if size <= _FILLED else 0, b"\0"))
        at += size
    return head, records


def join(head: bytes, records: list[bytes], max_size: int) -> bytes:
    """Return the head and as many whole records as fit into ``max_size``."""
    whole = bytearray(head[:max_size])
    for record in records:
        if len(whole) + len(record) > max_size:
            break
        whole += record
    return bytes(whole)


def mutate(data: bytes, max_size: int, seed: int, form: Form) -> bytes:
    """Return ``data`` with a few changes; the same ``seed`` gives the same changes."""
    rng = Random(seed)
    head, records = split(data, form)
    if head and not rng.randrange(20):
        at = rng.randrange(len(head))
        head = head[:at] + bytes((rng.randrange(256),)) + head[at + 1 :]
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5))):
        rng.choice(_OPERATIONS)(records, rng, form)
    return join(head, records, max_size)


def cross(data: bytes, other: bytes, max_size: int, seed: int, form: Form) -> bytes:
    """Return ``data`` with a range of records of ``other`` inserted, or in place of some of its own."""
    rng = Random(seed)
    head, records = split(data, form)
    _, others = split(other, form)
    start, end = _range(records, rng)
    low, high = _range(others, rng)
    records[start : rng.choice((start, end))] = others[low:high]
    return join(head, records, max_size)


def _range(records: list[bytes], rng: Random) -> tuple[int, int]:
    start = rng.randrange(len(records) + 1)
    return start, min(start + rng.choice((1, 1, 2, 3, rng.randint(1, _MOST))), len(records))


def _insert(records: list[bytes], rng: Random, form: Form) -> None:
    at = rng.choice((len(records), rng.randrange(len(records) + 1)))
    records[at:at] = form.fresh(rng)


def _delete(records: list[bytes], rng: Random, _: Form) -> None:
    start, end = _range(records, rng)
    del records[start:end]


def _swap(records: list[bytes], rng: Random, _: Form) -> None:
    if len(records) > 1:
        at = rng.randrange(len(records) - 1)
        other = rng.choice((at + 1, at + 1, rng.randrange(len(records))))
        records[at], records[other] = records[other], records[at]


def _change(records: list[bytes], rng: Random, form: Form) -> None:
    if records:
        at = rng.randrange(len(records))
        records[at] = form.change(records[at], rng)


def _repeat(records: list[bytes], rng: Random, form: Form) -> None:
    """Repeat a range, perhaps in another connection."""
    start, end = _range(records, rng)
    number = rng.choice((0, 0, rng.randrange(256)))
    copies = [form.elsewhere(record, number) for record in records[start:end]]
    at = rng.choice((end, len(records), rng.randrange(len(records) + 1)))
    records[at:at] = copies


def _move(records: list[bytes], rng: Random, form: Form) -> None:
    """Move a range to another connection, or to the other side."""
    start, end = _range(records, rng)
    number = rng.randrange(256)
    records[start:end] = [form.elsewhere(record, number) for record in records[start:end]]


def _duplicate_all(records: list[bytes], rng: Random, form: Form) -> None:
    """Repeat every record in another connection, directly after the record."""
    number = rng.randrange(256) & ~1
    records[:] = [one for record in records for one in (record, form.elsewhere(record, number))]


_OPERATIONS = (_insert, _insert, _delete, _swap, *[_change] * 4, _repeat, _move, _duplicate_all)
