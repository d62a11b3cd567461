"""Each stream has the bytes that tshark finds in it (`-z follow,tcp,raw`), for any order of segments.

The two programs have different authors and the same RFC. Where they differ, the test gives the reason."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from captures import ACK, FIN, PSH, pcap
from readback import read
from scripts import (
    MESSAGE,
    Script,
    Segment,
    at_random,
    by,
    by_byte,
    connections,
    envelope,
    hello,
    lines,
    records,
    segments,
)

from smtpwire.analyzer.rules.overlap_policies import Copy
from smtpwire.analyzer.rules.overlap_policies import read as receive
from smtpwire.analyzer.streams.endpoints import endpoints
from smtpwire.analyzer.streams.reassembler import Reassembler

if TYPE_CHECKING:
    from collections.abc import Iterable

    from readback import Seen

    from smtpwire.analyzer.streams.flow import Flow
    from smtpwire.analyzer.streams.receiver import Side

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.pcap*"))
TSHARK = shutil.which("tshark")

pytestmark = [pytest.mark.slow, pytest.mark.tree, pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")]

Dialogues = dict[str, tuple[bytes, bytes]]
"""By the end that opened the connection: the bytes it sent, and the bytes it received."""

LOST = re.compile(rb"\[(\d+) bytes missing in capture file\]\.?\0?")


class Said:
    """The receiver of a flow: joins its bytes; a gap is a number in brackets. Adjacent pieces of a gap are joined."""

    def __init__(self, flow: Flow) -> None:
        self._lost: dict[Side, int] = {"client": 0, "server": 0}
        self.bytes: dict[Side, bytes] = {"client": b"", "server": b""}
        flow.receiver = self

    @property
    def weight(self) -> int:
        return 0

    def client(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        self._add("client", data)

    def server(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        self._add("server", data)

    def _add(self, side: Side, data: bytes) -> None:
        self.bytes[side] += data
        self._lost[side] = 0

    def gap(self, side: Side, offset: int, length: int, frame: int, time_ns: int) -> None:
        before = self._lost[side]
        said = self.bytes[side].removesuffix(b"[%d]" % before) if before else self.bytes[side]
        self.bytes[side] = said + b"[%d]" % (before + length)
        self._lost[side] = before + length

    def closed(self, side: Side, how: str, frame: int, time_ns: int, acked: int) -> None: ...

    def revoke(self, sender: Side, offset: int) -> bool:
        return False

    def conflict(self, side: Side, offset: int, frame: int, time_ns: int) -> None: ...


class Host:
    """Gives each flow its receiver."""

    def __init__(self) -> None:
        self.flows: list[tuple[Flow, Said]] = []

    def accept(self, flow: Flow) -> None:
        self.flows.append((flow, Said(flow)))

    def giving_up(self, flow: Flow) -> None:
        pass

    def finished(self, flow: Flow, why: str) -> None: ...


def ours(seen: Iterable[Seen]) -> Dialogues:
    host = Host()
    reassembler = Reassembler(host)
    for one in seen:
        reassembler.feed(*one)
    reassembler.close()
    found = {}
    for flow, said in host.flows:
        end = endpoints(flow.key)[0]
        address = f"[{end.address}]" if ":" in end.address else end.address
        found[f"{address}:{end.port}"] = said.bytes["client"], said.bytes["server"]
    return found


def theirs(path: Path, count: int) -> Dialogues:
    """``count``: connections in the capture."""
    asked = [word for number in range(count) for word in ("-z", f"follow,tcp,raw,{number}")]
    assert TSHARK is not None
    command = [TSHARK, "-n", "-q", "-r", str(path), *asked]
    text = subprocess.run(command, capture_output=True, check=True).stdout
    found = {}
    for part in text.split(b"Follow: tcp,raw\n")[1:]:
        first, _, rest = part.partition(b"Node 0: ")[2].partition(b"\n")
        said = {True: b"", False: b""}
        for line in rest.splitlines()[1:]:
            if line.startswith(b"="):
                break
            said[line.startswith(b"\t")] += bytes.fromhex(line.strip().decode())
        if said[True] or said[False]:
            found[first.decode()] = LOST.sub(rb"[\1]", said[False]), LOST.sub(rb"[\1]", said[True])
    return found


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_samples(path: Path) -> None:
    seen = read(path).segments
    count = len({min(one.flow, one.flow[4:8] + one.flow[:4] + one.flow[10:] + one.flow[8:10]) for one in seen})
    assert ours(seen) == theirs(path, count)


# -- streams sent in every way that TCP allows ------------------------------------------------------------------------

SCRIPT: Script = [
    *hello("PIPELINING"),
    *envelope(),
    *lines("C DATA", "S 354 go"),
    ("C", MESSAGE + "".join(f"{n} lines of text\r\n" for n in range(70)) + ".\r\nQUIT\r\n"),
    *lines("S 250 queued", "S 221 bye"),
    ("FC", ""),
    ("FS", ""),
]
M32 = 0xFFFFFFFF
Way = Callable[[list[Segment], random.Random], list[Segment]]


def plain(sent: list[Segment], choice: random.Random) -> list[Segment]:
    return sent


def reordered(sent: list[Segment], choice: random.Random) -> list[Segment]:
    """Swap neighbouring data segments of one side."""
    found = list(sent)
    for at in range(4, len(found) - 1):
        one, two = found[at : at + 2]
        if one.key == two.key and one.payload and two.payload and not two.flags & FIN and choice.random() < 0.5:
            found[at : at + 2] = two, one
    return found


def repeated(sent: list[Segment], choice: random.Random) -> list[Segment]:
    """Repeat segments, at once or later; some with the end of the previous one in front."""
    found: list[Segment] = []
    before: dict[bytes, Segment] = {}
    for one in sent:
        last = before.get(one.key)
        if one.payload and last is not None and last.seq + len(last.payload) == one.seq and choice.random() < 0.4:
            back = choice.randint(1, len(last.payload))
            found.append(one._replace(seq=one.seq - back, payload=last.payload[-back:] + one.payload))
        else:
            found.append(one)
        if one.payload:
            before[one.key] = one
            if choice.random() < 0.3:
                found.append(one)
    return found


def overlapping(sent: list[Segment], choice: random.Random) -> list[Segment]:
    """After a gap come overlapping segments, all with the same bytes, and then the bytes that fill the gap."""
    found: list[Segment] = []
    at = 0
    while at < len(sent):
        run = [sent[at]]
        while at + len(run) < len(sent) and run[0].payload and _goes_on(run[-1], sent[at + len(run)]):
            run.append(sent[at + len(run)])
        at += len(run)
        if len(run) > 2:
            text = b"".join(one.payload for one in run)
            for _ in range(12):
                low = choice.randint(1, len(text) - 1)
                piece = text[low : low + choice.randint(1, 1400)]
                found.append(run[0]._replace(seq=run[0].seq + low & M32, payload=piece))
        found += run
    return found


def _goes_on(one: Segment, two: Segment) -> bool:
    return two.key == one.key and bool(two.payload) and two.seq == one.seq + len(one.payload) and two.ack == one.ack


def kept_alive(sent: list[Segment], choice: random.Random) -> list[Segment]:
    """Add keep-alives after some segments (RFC 9293 §3.8.4)."""
    found: list[Segment] = []
    for at, one in enumerate(sent):
        found.append(one)
        if at > 4 and not one.payload and not one.flags & FIN and choice.random() < 0.3:
            found.append(one._replace(seq=one.seq - 1 & M32, payload=choice.choice([b"", b"\0"])))
    return found


def lossy(sent: list[Segment], choice: random.Random) -> list[Segment]:
    """Some segments were not captured; later segments prove it."""
    places = [at for at, one in enumerate(sent) if at > 8 and one.payload and not one.flags & FIN]
    lost = set(choice.sample(places[:-3], 3))
    return [one for at, one in enumerate(sent) if at not in lost]


def fin_with_data(sent: list[Segment], choice: random.Random) -> list[Segment]:
    """The last data of a side carries its FIN."""
    found = []
    fins = {one.key: one for one in sent if one.flags & FIN}
    for at, one in enumerate(sent):
        last = one.payload and not any(later.key == one.key and later.payload for later in sent[at + 1 :])
        if one.flags & FIN:
            continue
        found.append(one._replace(flags=PSH | ACK | FIN) if last and one.key in fins else one)
    return found


WAYS: dict[str, Way] = {
    "plain": plain,
    "reordered": reordered,
    "repeated": repeated,
    "overlapping": overlapping,
    "kept alive": kept_alive,
    "lossy": lossy,
    "FIN with data": fin_with_data,
}
FIRST = [{"C": 1000, "S": 5000}, {"C": 0, "S": M32}, {"C": M32 - 900, "S": M32 - 90}, {"C": 0x7FFFFF00, "S": 0}]
CUTS = [None, by_byte, by(100), at_random(1)]


@pytest.mark.parametrize("way", WAYS)
def test_segments_sent_in_every_way(way: str, tmp_path: Path) -> None:
    """Each variant, with numbers that wrap and segments of all sizes, all in one capture."""
    choice = random.Random(way)
    frames: list[Segment] = []
    ports = iter(range(20_000, 21_000))
    wrapped = changed = 0
    for first in FIRST:
        for cut in CUTS:
            sent = segments(SCRIPT, cut=cut, first=first, client_port=next(ports))
            made = WAYS[way](sent, choice)
            changed += made != sent
            frames += made
            wrapped += any(one.seq < sent[0].seq for one in sent if one.key == sent[0].key)
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(records(frames)))
    found = ours(read(path).segments)
    assert len(found) == len(FIRST) * len(CUTS)
    assert wrapped
    assert (changed > len(found) // 2) == (way != "plain")
    assert found == theirs(path, len(found))


# -- where they differ ------------------------------------------------------------------------------------------------

TEXT = b"0123456789abcdefghij\r\n"
COPIES: dict[str, list[tuple[int, bytes]]] = {
    "again, in order": [(0, TEXT), (4, b"XXXX")],
    "after a gap, starting earlier": [(8, b"89ab"), (6, b"XXXXXXXX"), (0, b"012345"), (14, b"efghij\r\n")],
    "after a gap, starting later": [(6, b"6789ab"), (8, b"XXXXXX"), (0, b"012345"), (14, b"efghij\r\n")],
    "after a gap, at the same offset": [(6, b"6789abcdef"), (6, b"XXXXXXXXXX"), (0, b"012345"), (16, b"ghij\r\n")],
    "what fills the hole": [(6, b"6789abcd"), (0, b"012345XXXX"), (14, b"efghij\r\n")],
}


@pytest.mark.parametrize("name", COPIES)
def test_if_copies_differ_we_use_the_first_and_tshark_the_one_that_starts_first(name: str, tmp_path: Path) -> None:
    """Both are right: receivers differ in the same way (``overlap_policies``), and TCP905 names what each kind reads.
    The first copy is the one that came first; tshark keeps segments sorted by their numbers, as BSD does."""
    sent = segments([*hello(), ("C", TEXT), *lines("S 500 what")])
    at = next(at for at, one in enumerate(sent) if one.payload == TEXT)
    whole = sent[at]
    copies = [Copy(*one) for one in COPIES[name]]
    sent[at : at + 1] = [whole._replace(seq=whole.seq + one.start, payload=one.payload) for one in copies]
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(records(sent)))
    (client, _), (client_there, _) = *ours(read(path).segments).values(), *theirs(path, 1).values()
    assert client.endswith(receive("first", copies, 0, len(TEXT)))
    assert client_there.endswith(receive("BSD", copies, 0, len(TEXT)))
    (report,) = connections(sent)
    assert [one.rule for one in report.findings if one.rule == "TCP905"] == ["TCP905"]
