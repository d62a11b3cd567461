"""The forms of the inputs of stream targets: segments, turns of a dialogue, and lines of a client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mutators import Form
from seeds import DIALOGUES, TALK
from spoken import LINES, NUMBERS, line

if TYPE_CHECKING:
    from random import Random

__all__ = ["CLIENT", "SEGMENTS", "TURNS"]

_OWN = 200  # a size above this means that a text of (size - 200) bytes follows
_MISSING, _STEP = 64, 128  # bits of a segment's first byte; each adds a byte at the end
_WIDTH = 5
_PLACES = (0, 0, 12, 13, 14, 15, 16, 17, 242, 243, 246, 247, 250, 251)  # near the expected number; see `segments`
_CONNECTION = 0b111111
_GAP = 30


def _one_byte(_: bytes) -> int:
    return 1


def _text(rng: Random) -> tuple[int, bytes]:
    """Return the size field and the text after it: the number of a line, part of some lines, or nothing."""
    kind = rng.randrange(8)
    if kind:
        return (rng.choice(NUMBERS) if kind > 1 else 0), b""
    text = b"".join(line(rng.choice(NUMBERS))[:40] for _ in range(rng.randint(1, 3)))
    start = rng.randrange(len(text))
    text = text[start : start + rng.randint(1, 255 - _OWN)]
    return _OWN + len(text), text


# -- segments ----------------------------------------------------------------------------------------------------------


def _segment_size(data: bytes, at: int) -> int:
    who, size = data[at], data[at + 4] if at + 4 < len(data) else 0
    return _WIDTH + max(size - _OWN, 0) + bool(who & _MISSING) + bool(who & _STEP)


def _segment(who: int, fields: bytes | bytearray, text: tuple[int, bytes], rng: Random) -> bytes:
    """Return the bytes of a segment; ``fields``: flags and both numbers."""
    extra = rng.randbytes(bool(who & _MISSING) + bool(who & _STEP))
    return bytes((who,)) + fields + bytes((text[0],)) + text[1] + extra


def _changed_segment(record: bytes, rng: Random) -> bytes:
    record = record.ljust(_WIDTH, b"\0")
    who, fields, size = record[0], bytearray(record[1:4]), record[4]
    field = rng.randrange(8)
    if field == 0:
        who ^= 1 << rng.randrange(8)
    elif field == 1:
        fields[0] = rng.randrange(18)
    elif field <= 3:
        fields[1] = rng.choice(_PLACES)
    elif field == 4:
        fields[2] = rng.choice(_PLACES[:8])
    else:
        return _segment(who, fields, _text(rng), rng)
    return _segment(who, fields, (size, record[_WIDTH : _WIDTH + max(size - _OWN, 0)]), rng)


def _fresh_segments(rng: Random) -> list[bytes]:
    """Return the segments of a dialogue, or one segment with the expected numbers."""
    number = rng.choice((0, rng.randrange(64) & ~1))
    if not rng.randrange(4):
        data = rng.choice(DIALOGUES)
        records, at = [], 1
        while at < len(data):
            size = _segment_size(data, at)
            records.append(_segment_elsewhere(data[at : at + size], number))
            at += size
        return records
    who = number | rng.randrange(2) | (rng.choice((0, 0, 0, _MISSING, _STEP)))
    return [_segment(who, bytes((rng.choice((0, 0, 0, rng.randrange(18))), 0, 0)), _text(rng), rng)]


def _segment_elsewhere(record: bytes, number: int) -> bytes:
    return bytes((record[0] ^ number & _CONNECTION,)) + record[1:]


SEGMENTS = Form(_one_byte, _segment_size, _changed_segment, _fresh_segments, _segment_elsewhere)
"""See ``stream_targets.segments``."""


# -- turns -------------------------------------------------------------------------------------------------------------


def _turn_size(data: bytes, at: int) -> int:
    gap = data[at] >> 1 & 15 == 15
    return 2 + (max(data[at + 1] - _OWN, 0) if at + 1 < len(data) and not gap else 0)


def _turn(kind: int, text: tuple[int, bytes]) -> bytes:
    return bytes((kind, text[0])) + text[1]


def _changed_turn(record: bytes, rng: Random) -> bytes:
    kind, field = record[0], rng.randrange(6)
    if field == 0:
        return bytes((kind ^ rng.choice((1, 64)),)) + record[1:]
    if field == 1:
        return bytes((kind & 1 | _GAP, rng.choice((0, 1, 5, rng.randrange(256)))))
    return _turn(kind & ~_GAP, _text(rng))


def _fresh_turns(rng: Random) -> list[bytes]:
    if rng.randrange(4):
        return [_turn(rng.choice((0, 1, 64, 65)), _text(rng))]
    start = rng.randrange(len(TALK) // 2)
    end = rng.choice((len(TALK) // 2, start + 3))
    return [TALK[2 * n : 2 * n + 2] for n in range(start, min(end, len(TALK) // 2))]


def _other_turn(record: bytes, number: int) -> bytes:
    return bytes((record[0] ^ number & 65,)) + record[1:]


TURNS = Form(_one_byte, _turn_size, _changed_turn, _fresh_turns, _other_turn)
"""See ``stream_targets.conversation``."""


# -- lines -------------------------------------------------------------------------------------------------------------


def _line_size(data: bytes, at: int) -> int:
    end = data.find(b"\n", at)
    return (len(data) if end < 0 else end + 1) - at


def _changed_line(record: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(record) + 1)
    what = rng.choice((b"\r", b"\n", b"\r\n", b".", b"", b"\0", rng.randbytes(1), b"A" * 30))
    return record[:at] + what + record[at + rng.choice((0, 0, 1, 2)) :]


def _fresh_lines(rng: Random) -> list[bytes]:
    return [rng.choice(LINES)]


CLIENT = Form(lambda _: 6, _line_size, _changed_line, _fresh_lines, lambda record, _: record)
"""See ``stream_targets.client``."""
