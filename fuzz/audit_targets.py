"""The whole road: the bytes of a capture in, a report of every form out; and both lanes beside one another."""

from __future__ import annotations

import io
import tempfile
from typing import Literal

import msgspec
from capture_targets import memory
from material import Material
from stream_targets import check

from smtpwire.analyzer.audit import Audit, Options
from smtpwire.analyzer.frames.pcap import MAGICS
from smtpwire.analyzer.model import Capture, Connection, Summary
from smtpwire.analyzer.reports.formats import FORMATS, Style
from smtpwire.analyzer.reports.output import Output

__all__ = ["audit", "lanes"]

_LANES: tuple[Literal["raw", "scapy"], ...] = ("raw", "scapy")
_HEADS = (*sorted(MAGICS), b"\x0a\x0d\x0d\x0a", b"\x1f\x8b", b"")


def _audited(data: bytes, decoder: Literal["raw", "scapy"] = "raw") -> tuple[list[Capture | Connection], Summary]:
    """What an audit of these bytes yields."""
    take = Material(data)
    content = take.choice(_HEADS) + take.rest()
    with tempfile.NamedTemporaryFile(dir=memory()) as file:
        file.write(content)
        file.flush()
        run = Audit(Options(decoder=decoder))
        items = list(run.run([file.name]))
    for item in items:
        for named in [item] if isinstance(item, Capture) else item.captures:
            named.path = "capture"
    return items, run.summary


_BIDI = "".join(map(chr, (*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x9B, 0x1B, 0x7F)))


def audit(data: bytes) -> None:
    """Every writer takes whatever the audit found, and writes nothing that moves a cursor or hides itself."""
    items, summary = _audited(data)
    for item in items:
        if isinstance(item, Connection):
            check(item)
    for form, chosen in FORMATS.items():
        if chosen.stream is None:
            continue
        stream = io.BytesIO()
        writer = chosen.stream(Output(stream), Style())
        for item in items:
            if isinstance(item, Capture):
                writer.capture(item)
            else:
                writer.connection(item)
        writer.finish(summary)
        written = stream.getvalue().decode("utf-8")
        assert written.isprintable() or not set(written) & {*map(chr, range(9)), *map(chr, range(14, 32)), *_BIDI}, form


def lanes(data: bytes) -> None:
    """Scapy's lane and the raw lane give one report, but for what could not be decoded."""
    reports = [[item for item in _audited(data, lane)[0] if isinstance(item, Connection)] for lane in _LANES]
    raw, scapy = map(msgspec.json.encode, reports)
    assert raw == scapy
