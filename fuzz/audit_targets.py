"""Targets for whole audits: from the bytes of a capture to a report in every format, and with both decoders."""

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

__all__ = ["audit", "decoders"]

_DECODERS: tuple[Literal["raw", "scapy"], ...] = ("raw", "scapy")
_HEADS = (*sorted(MAGICS), b"\x0a\x0d\x0d\x0a", b"\x1f\x8b", b"")


def _audited(data: bytes, decoder: Literal["raw", "scapy"] = "raw") -> tuple[list[Capture | Connection], Summary]:
    """Return the items and the summary of an audit of these bytes."""
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
    """Every writer accepts each result of the audit, and writes no character that moves a cursor or is invisible."""
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


def decoders(data: bytes) -> None:
    """Scapy and the raw decoder give the same connections."""
    reports = [[item for item in _audited(data, decoder)[0] if isinstance(item, Connection)] for decoder in _DECODERS]
    raw, scapy = map(msgspec.json.encode, reports)
    assert raw == scapy
