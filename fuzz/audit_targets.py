"""The whole road: the bytes of a capture in, a report of every form out; and both lanes beside one another."""

from __future__ import annotations

import io
import tempfile
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from capture_targets import memory
from material import Material
from stream_targets import check

from smtpwire.analyzer.audit import Audit, Options
from smtpwire.analyzer.model import Capture, Connection
from smtpwire.analyzer.pcap import MAGICS
from smtpwire.analyzer.reports.formats import FORMATS, Style
from smtpwire.analyzer.reports.output import Output

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["audit", "lanes"]

_HEADS = (*sorted(MAGICS), b"\x0a\x0d\x0d\x0a", b"\x1f\x8b", b"")


def _items(data: bytes, decoder: Literal["raw", "scapy"] = "raw") -> Iterator[Capture | Connection | Any]:
    """What an audit of these bytes yields, and its summary at last."""
    take = Material(data)
    content = take.choice(_HEADS) + take.rest()
    with tempfile.NamedTemporaryFile(dir=memory()) as file:
        file.write(content)
        file.flush()
        run = Audit(Options(decoder=decoder))
        for item in run.run([file.name]):
            if isinstance(item, Capture):
                item.path = "capture"
            yield item
        yield run.summary


_BIDI = "".join(map(chr, (*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x9B, 0x1B, 0x7F)))


def audit(data: bytes) -> None:
    """Every writer takes whatever the audit found, and writes nothing that moves a cursor or hides itself."""
    items = list(_items(data))
    summary = items.pop()
    for item in items:
        if isinstance(item, Connection):
            check(item)
    for form, chosen in FORMATS.items():
        if chosen.stream is None:
            continue
        stream = io.BytesIO()
        writer = chosen.stream(Output(stream), Style())
        for item in items:
            (writer.capture if isinstance(item, Capture) else writer.connection)(item)  # type: ignore[arg-type]
        writer.finish(summary)
        written = stream.getvalue().decode("utf-8")
        assert written.isprintable() or not set(written) & {*map(chr, range(9)), *map(chr, range(14, 32)), *_BIDI}, form


def lanes(data: bytes) -> None:
    """Scapy's lane and the raw lane give one report, but for what could not be decoded."""
    raw, scapy = ([item for item in _items(data, lane) if isinstance(item, Connection)] for lane in ("raw", "scapy"))
    assert msgspec.json.encode(raw) == msgspec.json.encode(scapy)
