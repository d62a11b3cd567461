"""A capture from an interface as pcapng with findings in it, while it goes on."""

# Theory
# ------
# Another program captures (dumpcap, which comes with Wireshark and may do so for ordinary users; else tcpdump) and
# writes pcap into a pipe. Each frame goes to the audit and, as a block, into a queue. A breach by the client is mostly
# proven by the server's reply some milliseconds later, so blocks stay in the queue for half a second: a finding on a
# frame that is still there becomes that frame's comment. One that comes later is put on the frame that brought it, and
# names the frame that it means.
#
# Findings are heard of when they are made, and pass the redaction that every report passes: `live.early`. A comment
# stays in the capture for whoever gets it, also where the packets are cut short later.

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
    from ..live.live_audit import News
    from ..model import Finding
    from .pcapng_blocks import Block

__all__ = ["HOLD_SECONDS", "Held", "capture", "capture_command"]

HOLD_SECONDS = 0.5
"""How long a block waits for its comments. A reply takes some milliseconds, over the ocean 200; who looks at Wireshark
does not notice half a second."""

HOLD_BYTES = 16 << 20
"""Bytes that wait at most: half a second at 250 Mbit/s. Beyond, blocks leave earlier."""

_STOPS = (signal.SIGTERM, signal.SIGINT)  # by Wireshark, or by Ctrl-C in tshark: what was captured is still written

_PIECE = 1 << 16  # bytes read at a time: what a pipe holds
_BLOCK_FRAMES = 1000  # after which all that is open is looked at


class _FrameByFrame(LiveAudit):
    """Each finding is wanted with its frame, so nothing is gathered."""

    learns = False


class Held:
    """Blocks on their way into ``stream``, a while behind the capture."""

    def __init__(self, stream: BinaryIO, seconds: float = HOLD_SECONDS) -> None:
        self._stream = stream
        self._seconds = seconds
        self._queue: deque[tuple[Block, list[str], float]] = deque()
        self._bytes = 0
        self.lost = 0  # findings that came when no frame was left to carry them

    def add(self, block: Block) -> None:
        """The next block of the capture. One that is no frame waits for nothing, and pushes out what is before it."""
        if not block.number:
            self.close()
            self._stream.write(block.raw)
            return
        self._queue.append((block, [], monotonic()))
        self._bytes += len(block.raw)
        while self._bytes > HOLD_BYTES:
            self._write()

    def heard(self, finding: Finding, known: Sequence[Finding]) -> None:
        """Put ``finding`` on its frame, or on the last one if that has gone. ``known``: what its cause is one of."""
        if not self._queue:
            self.lost += 1
            return
        first, last = self._queue[0][0].number, self._queue[-1][0].number
        there = first <= finding.frame <= last
        _, texts, _ = self._queue[finding.frame - first if there else -1]
        if len(texts) < MAX_ON_FRAME:
            texts.append(comment(finding, known, late=not there))

    def patience(self) -> float | None:
        """Seconds until the first block has to go; None where none waits."""
        return max(0.0, self._queue[0][2] + self._seconds - monotonic()) if self._queue else None

    def let_go(self) -> None:
        """Write what has waited long enough."""
        now = monotonic()
        wrote = False
        while self._queue and self._queue[0][2] + self._seconds <= now:
            self._write()
            wrote = True
        if wrote:
            self._stream.flush()

    def close(self) -> None:
        """Write everything."""
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


def _tell(news: Iterable[News], held: Held) -> None:
    for one in news:
        for finding in one.findings:
            held.heard(finding, one.known)


def capture_command(interface: str, capture_filter: str) -> list[str]:
    """The program that captures into its standard output, as pcap. Raises UsageError where there is none."""
    dumpcap = shutil.which("dumpcap")
    if dumpcap is not None:
        return [dumpcap, "-P", "-q", "-i", interface, "-w", "-", *(["-f", capture_filter] if capture_filter else [])]
    tcpdump = shutil.which("tcpdump")
    if tcpdump is not None:
        return [tcpdump, "-U", "-n", "-i", interface, "-w", "-", *([capture_filter] if capture_filter else [])]
    raise UsageError("no program to capture with", interface, "install dumpcap (wireshark-common) or tcpdump")


def capture(command: Sequence[str], stream: BinaryIO, options: Options, *, hold_seconds: float = HOLD_SECONDS) -> None:
    """Run ``command`` and write what it captures to ``stream``, until it ends, SIGTERM comes or nobody reads any more.

    Raises UsageError with the program's own words where it captured nothing.
    """
    held = Held(stream, hold_seconds)
    audit = _FrameByFrame(options)
    decoder = SegmentDecoder(audit.tracker.segment, options.decoder)
    with (
        tempfile.TemporaryFile() as words,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=words) as child,
    ):
        assert child.stdout is not None
        fd = child.stdout.fileno()

        def read(count: int) -> bytes:
            while True:
                ready, _, _ = select.select([fd], [], [], held.patience())
                held.let_go()
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
                    _tell(audit.news(block=block.number % _BLOCK_FRAMES == 0), held)
            _tell(audit.last_news(), held)
            held.close()
        except BrokenPipeError:
            pass
        finally:
            child.terminate()
            for number, handler in zip(_STOPS, before, strict=True):
                signal.signal(number, handler)
        child.wait()
        if not window.base and window.size < FILE_HEADER:
            words.seek(0)
            said = " ".join(words.read(4096).decode(errors="replace").split())
            raise UsageError("nothing was captured", " ".join(command), said or "it gave no reason")
