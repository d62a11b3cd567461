"""Targets for whole audits: from the bytes of a capture to a report in every format, and with both decoders."""

from __future__ import annotations

import io
import re
import tempfile
from typing import TYPE_CHECKING, Literal

import msgspec
from capture_targets import memory
from markup import check_markup
from material import Material
from stream_targets import check

from smtpwire.analyzer.audit import Audit, Options
from smtpwire.analyzer.errors import display_path, is_visible
from smtpwire.analyzer.frames.pcap import MAGICS
from smtpwire.analyzer.model import Capture, Connection, Summary
from smtpwire.analyzer.reports.formats import FORMATS, Style
from smtpwire.analyzer.reports.output import Output

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["HEADS", "audit", "decoders"]

_DECODERS: tuple[Literal["raw", "scapy"], ...] = ("raw", "scapy")
NAME_BYTES = 60  # at the end of the input, which are also the name of the capture
_OURS = dict.fromkeys(map(ord, "→←│└─…§·–×"))  # of the writers themselves; without them nearly all text is ASCII
HEADS = (*sorted(MAGICS), b"\x0a\x0d\x0d\x0a", b"\x1f\x8b", b"")
"""What a file may begin with."""


def _audited(data: bytes, decoder: Literal["raw", "scapy"] = "raw") -> tuple[list[Capture | Connection], Summary]:
    """Return the items and the summary of an audit of these bytes."""
    take = Material(data)
    content = take.choice(HEADS) + take.rest()
    with tempfile.NamedTemporaryFile(dir=memory()) as file:
        file.write(content)
        file.flush()
        run = Audit(Options(decoder=decoder))
        items = list(run.run([file.name]))
    _name(items, "capture")
    return items, run.summary


def _name(items: Sequence[Capture | Connection], name: str) -> None:
    """Give all captures this name."""
    for item in items:
        for named in [item] if isinstance(item, Capture) else item.captures:
            named.path = name


def audit(data: bytes) -> None:
    """Every writer accepts each result of the audit, with any name of its capture. It writes no character that moves a
    cursor or is invisible, and nothing that its readers would do more with than show it."""
    items, summary = _audited(data)
    for item in items:
        if isinstance(item, Connection):
            check(item)
    _name(items, display_path(data[-NAME_BYTES:].decode("utf-8", "surrogateescape")))
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
        assert all(map(is_visible, re.split("[\t\r\n]", written.translate(_OURS)))), form
        check_markup(form, written)


def decoders(data: bytes) -> None:
    """Scapy and the raw decoder give the same connections."""
    reports = [[item for item in _audited(data, decoder)[0] if isinstance(item, Connection)] for decoder in _DECODERS]
    raw, scapy = map(msgspec.json.encode, reports)
    assert raw == scapy
