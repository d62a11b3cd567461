"""A capture from an interface as pcapng with findings in it, during the capture."""

# Theory
# ------
# Another program captures (dumpcap, which comes with Wireshark and which ordinary users may run; else tcpdump) and
# writes pcap into a pipe. Each frame goes to the audit and, as a block, into a queue. The server's reply usually proves
# a violation by the client a few milliseconds later, so blocks stay in the queue for half a second: a finding on a
# frame that is still there becomes a comment on that frame. A later finding goes on the frame that triggered it, and
# names its own frame.
#
# Findings are reported when they are made, with the redaction of every report: `live.live_audit`. A comment stays in
# the capture for everyone who gets the file, even if the packets are truncated later.

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import tempfile
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, BinaryIO

from msgspec import UNSET, UnsetType

from ..._version import __version__
from ..errors import UsageError
from ..frames.input_window import StreamWindow
from ..frames.pcap import FILE_HEADER
from ..live.live_audit import LiveAudit
from ..segments.decoder import SegmentDecoder
from .comments import MAX_ON_FRAME, comment
from .pcapng_blocks import commented, pcap_blocks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..audit import Options
    from ..live.live_audit import Update
    from ..model import Finding, TlsSession
    from .pcapng_blocks import OutputBlock

__all__ = ["HOLD_SECONDS", "HeldBlocks", "capture", "capture_command"]

HOLD_SECONDS = 0.5
"""How long a block waits for its comments. A reply takes a few milliseconds, across an ocean 200; people who watch
Wireshark do not notice half a second."""

HOLD_BYTES = 16 << 20
"""Bytes that wait at most: half a second at 250 Mbit/s. With more, blocks leave earlier."""

_STOPS = (
    signal.SIGTERM,
    signal.SIGINT,
)  # by Wireshark, or by Ctrl-C in tshark: frames already captured are still written

_PIECE = 1 << 16  # bytes read at a time: the size of a pipe
_BLOCK_FRAMES = 1000  # frames between two checks of all open connections


class _FrameByFrame(LiveAudit):
    """An audit without buffering: each finding is wanted with its frame."""


class HeldBlocks:
    """Blocks that are delayed on their way into ``stream``, to receive comments."""

    def __init__(self, stream: BinaryIO, seconds: float = HOLD_SECONDS) -> None:
        self._stream = stream
        self._seconds = seconds
        self._queue: deque[tuple[OutputBlock, list[str], float]] = deque()
        self._bytes = 0
        self.lost = 0  # findings that came when no frame was left in the queue

    def add(self, block: OutputBlock) -> None:
        """Add the next block of the capture. A block that is not a frame does not wait, and flushes the blocks before
        it."""
        if not block.number:
            self.close()
            self._stream.write(block.raw)
            return
        self._queue.append((block, [], monotonic()))
        self._bytes += len(block.raw)
        while self._bytes > HOLD_BYTES:
            self._write()

    def add_finding(self, finding: Finding, known: Sequence[Finding], session: TlsSession | UnsetType = UNSET) -> None:
        """Add ``finding`` to its frame, or to the last one if that has left the queue. ``known``: the findings among
        which its cause is; ``session``: of TLS in its connection."""
        if not self._queue:
            self.lost += 1
            return
        first, last = self._queue[0][0].number, self._queue[-1][0].number
        there = first <= finding.frame <= last
        _, texts, _ = self._queue[finding.frame - first if there else -1]
        if len(texts) < MAX_ON_FRAME:
            texts.append(comment(finding, known, session, late=not there))

    def seconds_left(self) -> float | None:
        """Return the seconds until the first block must leave; None if no block waits."""
        return max(0.0, self._queue[0][2] + self._seconds - monotonic()) if self._queue else None

    def write_expired(self) -> None:
        """Write the blocks that have waited long enough."""
        now = monotonic()
        wrote = False
        while self._queue and self._queue[0][2] + self._seconds <= now:
            self._write()
            wrote = True
        if wrote:
            self._stream.flush()

    def close(self) -> None:
        """Write all blocks."""
        while self._queue:
            self._write()
        self._stream.flush()

    def _write(self) -> None:
        block, texts, _ = self._queue.popleft()
        self._bytes -= len(block.raw)
        raw = block.raw
        if texts and block.wide is not None:
            raw = commented(block.wide, block.order, texts)
        self._stream.write(raw)


def _add_findings(updates: Iterable[Update], held: HeldBlocks) -> None:
    for one in updates:
        for finding in one.findings:
            held.add_finding(finding, one.known, one.connection.tls_session)


def capture_command(interface: str, capture_filter: str) -> list[str]:
    """Return the command that captures to its standard output, as pcap. Raises UsageError if there is none."""
    dumpcap = shutil.which("dumpcap")
    if dumpcap is not None:
        return [dumpcap, "-P", "-q", "-i", interface, "-w", "-", *(["-f", capture_filter] if capture_filter else [])]
    tcpdump = shutil.which("tcpdump")
    if tcpdump is not None:
        # After -- nothing is an option: -z of tcpdump runs a program.
        return [tcpdump, "-U", "-n", "-i", interface, "-w", "-", *(["--", capture_filter] if capture_filter else [])]
    raise UsageError("no capture program", interface, "install dumpcap (wireshark-common) or tcpdump")


def capture(command: Sequence[str], stream: BinaryIO, options: Options, *, hold_seconds: float = HOLD_SECONDS) -> None:
    """Run ``command`` and write its frames to ``stream``, until it ends, SIGTERM comes or the reader of ``stream`` has
    gone. ``hold_seconds``: how long a frame waits for its findings.

    Raises UsageError with the message of the program if it captured nothing.
    """
    held = HeldBlocks(stream, hold_seconds)
    audit = _FrameByFrame(options)
    decoder = SegmentDecoder(audit.tracker.segment, options.decoder)
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors) as child,
    ):
        assert child.stdout is not None
        fd = child.stdout.fileno()

        def read(count: int) -> bytes:
            while True:
                ready, _, _ = select.select([fd], [], [], held.seconds_left())
                held.write_expired()
                if ready:
                    return os.read(fd, min(count, _PIECE))

        problems: list[str] = []
        window = StreamWindow(read)
        before = [signal.signal(number, lambda *_: child.terminate()) for number in _STOPS]
        try:
            for block in pcap_blocks(window, problems, f"smtpwire {__version__}"):
                held.add(block)
                if block.frame is not None:
                    decoder.frame(*block.frame, block.number)
                    _add_findings(audit.updates(block=block.number % _BLOCK_FRAMES == 0), held)
            _add_findings(audit.last_updates(), held)
            held.close()
        except BrokenPipeError:
            pass
        finally:
            child.terminate()
            for number, handler in zip(_STOPS, before, strict=True):
                signal.signal(number, handler)
        child.wait()
        if not window.base and window.size < FILE_HEADER:
            errors.seek(0)
            reason = " ".join(errors.read(4096).decode(errors="replace").split())
            raise UsageError("nothing was captured", " ".join(command), reason or "it gave no reason")
