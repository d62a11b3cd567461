"""Mutations that know the form of an input: whole records come, go, move and change, where libFuzzer changes bytes."""

# A byte that is put into a dialogue shifts all that follows, and what was a connection is noise. So an input is taken
# apart into a head and records (segments, turns of a talk, frames of a file, lines), some of these are changed, and it
# is put together again. `engine.py` mixes this with the mutations of libFuzzer, which no form holds back.

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
    "learning": ("stream_forms", "SEGMENTS"),
    "conversation": ("stream_forms", "TURNS"),
    "client": ("stream_forms", "CLIENT"),
    "frame": ("file_forms", "FRAME"),
    "pcap": ("file_forms", "PCAP"),
    "pcapng": ("file_forms", "PCAPNG"),
    "audit": ("file_forms", "CAPTURE"),
    "lanes": ("file_forms", "CAPTURE"),
}
"""Targets whose input has a form, and where it is described."""

_MOST = 24  # records of a stretch
_FILLED = 300  # bytes to which a record that is cut short may be filled up


class Form(NamedTuple):
    """How the inputs of a target are built. ``head``: length of what stands in front of the records. ``size``: how many
    bytes the record has that begins at a place. ``change``: a record with one field changed. ``fresh``: records that
    make sense. ``elsewhere``: the record in another connection or from the other side, as a number says."""

    head: Callable[[bytes], int]
    size: Callable[[bytes, int], int]
    change: Callable[[bytes, Random], bytes]
    fresh: Callable[[Random], list[bytes]]
    elsewhere: Callable[[bytes, int], bytes]


def form(name: str) -> Form | None:
    """That of a target, if it has one."""
    if name not in FORMS:
        return None
    module, attribute = FORMS[name]
    found: Form = getattr(import_module(module), attribute)
    return found


def split(data: bytes, form: Form) -> tuple[bytes, list[bytes]]:
    """Head and records. The last one is filled up with the zeros that a target finds behind the end, within reason."""
    records = []
    at = form.head(data)
    head = data[:at]
    while at < len(data):
        size = max(form.size(data, at), 1)
        records.append(data[at : at + size].ljust(size if size <= _FILLED else 0, b"\0"))
        at += size
    return head, records


def join(head: bytes, records: list[bytes], max_size: int) -> bytes:
    """As many of the records as there is room for."""
    whole = bytearray(head[:max_size])
    for record in records:
        if len(whole) + len(record) > max_size:
            break
        whole += record
    return bytes(whole)


def mutate(data: bytes, max_size: int, seed: int, form: Form) -> bytes:
    """A few changes of ``data``, the same ones for the same ``seed``."""
    rng = Random(seed)
    head, records = split(data, form)
    if head and not rng.randrange(20):
        at = rng.randrange(len(head))
        head = head[:at] + bytes((rng.randrange(256),)) + head[at + 1 :]
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5))):
        rng.choice(_OPERATIONS)(records, rng, form)
    return join(head, records, max_size)


def cross(data: bytes, other: bytes, max_size: int, seed: int, form: Form) -> bytes:
    """``data`` with a stretch of ``other`` in it, or in the place of some of its own."""
    rng = Random(seed)
    head, records = split(data, form)
    _, others = split(other, form)
    start, end = _stretch(records, rng)
    low, high = _stretch(others, rng)
    records[start : rng.choice((start, end))] = others[low:high]
    return join(head, records, max_size)


def _stretch(records: list[bytes], rng: Random) -> tuple[int, int]:
    start = rng.randrange(len(records) + 1)
    return start, min(start + rng.choice((1, 1, 2, 3, rng.randint(1, _MOST))), len(records))


def _insert(records: list[bytes], rng: Random, form: Form) -> None:
    at = rng.choice((len(records), rng.randrange(len(records) + 1)))
    records[at:at] = form.fresh(rng)


def _delete(records: list[bytes], rng: Random, _: Form) -> None:
    start, end = _stretch(records, rng)
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
    """A stretch comes again, perhaps elsewhere."""
    start, end = _stretch(records, rng)
    where = rng.choice((0, 0, rng.randrange(256)))
    again = [form.elsewhere(record, where) for record in records[start:end]]
    at = rng.choice((end, len(records), rng.randrange(len(records) + 1)))
    records[at:at] = again


def _move(records: list[bytes], rng: Random, form: Form) -> None:
    """A stretch belongs elsewhere."""
    start, end = _stretch(records, rng)
    where = rng.randrange(256)
    records[start:end] = [form.elsewhere(record, where) for record in records[start:end]]


def _mingle(records: list[bytes], rng: Random, form: Form) -> None:
    """All of it happens elsewhere too, at the same time."""
    where = rng.randrange(256) & ~1
    records[:] = [one for record in records for one in (record, form.elsewhere(record, where))]


_OPERATIONS = (_insert, _insert, _delete, _swap, *[_change] * 4, _repeat, _move, _mingle)
