"""Random traffic of mail servers, for tests that compare two ways to audit the same captures."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

from captures import START, Record, pcap, pcapng
from scripts import END, MAIL, WHOLE, WRONG, hello, lines, records, segments

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from scripts import Script, Segment

__all__ = ["SCRIPTS", "cut", "fragmented", "mixture", "traffic"]

SCRIPTS: list[Script] = [
    *[WHOLE] * 3,
    WRONG,
    [*hello(), *MAIL, ("RC", "")],
    [*hello(), *MAIL, ("RS", "")],
    [*hello(), *MAIL, ("FC", "")],
    WHOLE[:-4],
    [("FC", ""), ("FS", "")],
    [*lines("C GET / HTTP/1.1", "S HTTP/1.1 200 OK", "FC", "FS")],
    lines("S 220 ftp", "C USER x", "S 331 password", "C PASS x", "S 230 ok", "C LIST", "S 150 here", "FC", "FS"),
    [*hello("STARTTLS"), *END],
    [*hello("PIPELINING"), *END],
]


def mixture(draw: random.Random) -> Iterator[Segment]:
    """Dialogues of all kinds at the same time, some between the same ports, with losses, copies, and pauses."""
    ports = draw.choice((3, 6, 40))
    waiting: list[list[Segment]] = []
    for _ in range(draw.randrange(4, 24)):
        more = 7 * draw.randrange(1 << 20)
        port = draw.choice((25, 25, 25, 587, 2121))
        sent = segments(draw.choice(SCRIPTS), client_port=40_000 + draw.randrange(ports), port=port)
        sent = [one._replace(seq=one.seq + more, ack=one.ack + more if one.flags & 16 else one.ack) for one in sent]
        start = draw.choice((0, 0, 0, 0, 0, 1, 2, 3))
        waiting.append(sent[start : draw.choice((len(sent), len(sent), len(sent), start + 4))])
    going: list[list[Segment]] = []
    now = START
    while waiting or going:
        width = draw.choice((1, 3, 8))
        while waiting and len(going) < width:
            if any({*_ports(one[0])} == {*_ports(waiting[-1][0])} for one in going) and draw.random() < 0.95:
                break
            going.append(waiting.pop())
        talk = draw.choice(going)
        one = talk.pop(0)
        if not talk:
            going.remove(talk)
        now += draw.choice((1000, 1_000_000, 50_000_000, 2_000_000_000))
        if draw.random() < 0.002:
            now += 8_000_000_000_000
        if draw.random() > 0.02:
            yield from [one._replace(time_ns=now)] * (2 if draw.random() < 0.02 else 1)


def _ports(one: Segment) -> tuple[bytes, bytes]:
    return one.key[-4:-2], one.key[-2:]


def fragmented(sent: Sequence[Record], draw: random.Random) -> list[Record]:
    """Return frames with some IPv4 packets in fragments, which may be late, out of order, or incomplete."""
    found: list[Record] = []
    late: list[list[Record]] = []
    for one in sent:
        if len(one.data) > 80 and one.data[12:14] == b"\x08\x00" and draw.random() < 0.1:
            parts = _fragments(one, draw.randrange(1 << 16), draw.choice((24, 32, 48)))
            if draw.random() < 0.3:
                draw.shuffle(parts)
            if draw.random() < 0.1:
                parts.pop()
            found.append(parts[0])
            late.append(parts[1:])
        else:
            found.append(one)
        if late and draw.random() < 0.5:
            found += [part._replace(time_ns=one.time_ns) for part in late.pop(0)]
    return [*found, *(part for parts in late for part in parts)]


def _fragments(one: Record, identification: int, step: int) -> list[Record]:
    packet = one.data[14:]
    head, body = packet[:20], packet[20 : int.from_bytes(packet[2:4], "big")]
    parts = []
    for at in range(0, len(body), step):
        piece, more = body[at : at + step], 0x2000 if at + step < len(body) else 0
        fields = (
            (20 + len(piece)).to_bytes(2, "big"),
            identification.to_bytes(2, "big"),
            (more | at // 8).to_bytes(2, "big"),
        )
        parts.append(one._replace(data=one.data[:14] + head[:2] + b"".join(fields) + head[8:] + piece))
    return parts


def cut(sent: Sequence[Record], count: int, draw: random.Random) -> list[Sequence[Record]]:
    """Return frames in ``count`` parts of any lengths."""
    at = sorted(draw.randrange(len(sent) + 1) for _ in range(count - 1))
    return [sent[first:end] for first, end in zip([0, *at], [*at, len(sent)], strict=True)]


def traffic(folder: Path, draw: random.Random, files: int) -> list[str]:
    """Write random traffic into capture files of all kinds, which are cut anywhere; return their names in order."""
    names = []
    for number, part in enumerate(cut(fragmented(list(records(mixture(draw))), draw), files, draw)):
        data = (pcapng if draw.random() < 0.4 else pcap)(part)
        packed = draw.random() < 0.2
        path = folder / f"{number:02}.pcap{'.gz' if packed else ''}"
        path.write_bytes(gzip.compress(data) if packed else data)
        names.append(str(path))
    return names
