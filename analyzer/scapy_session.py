"""``SMTPSession``: the audit as a session of Scapy's ``sniff``."""

# Theory
# ------
# sniff() asks a Scapy session for the objects to pass to the user. The session's `recv(source)` may read the source in
# any way and yield any object. So for a capture file this session does not wait for Scapy to dissect packet by packet.
# It reads the file itself, with the same decoders as the command line, and yields connections as they end. Any other
# source (packets in a list, an open socket, a file object) gives packets; their original bytes go through the same
# pipeline.
#
# All sources feed one Audit, so a connection gets the same report whatever source its bytes came from.

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace
from scapy.config import conf
from scapy.error import log_runtime
from scapy.sessions import DefaultSession
from scapy.utils import RawPcapReader

from .audit import Audit, Options
from .console import say
from .model import Connection
from .segments.decoder import SegmentDecoder
from .tls.key_files import KeyFiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["AuditedConnection", "SMTPSession"]


BLOCK_PACKETS = 1000  # single packets between two checks of all open connections


class AuditedConnection:
    """The object that ``sniff`` returns: a finished connection. Scapy sets ``sniffed_on`` to its source."""

    __slots__ = ("connection", "sniffed_on")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.sniffed_on: object = None

    def summary(self) -> str:
        """Return one line: the two endpoints and the rules that were violated."""
        c = self.connection
        rules = ", ".join(sorted({f.rule for f in c.findings})) or "no findings"
        ends = f"{c.client.address}:{c.client.port} > {c.server.address}:{c.server.port}"
        return f"{c.protocol.upper()} {ends} {len(c.messages)} messages, {rules}"

    def show(self) -> None:
        """Print the line, and one for each finding."""
        findings = [f"  {one.rule} {one.side}: {one.message}" for one in self.connection.findings]
        say("\n".join([self.summary(), *findings]))

    def haslayer(self, cls: object) -> bool:
        """Return False, whatever ``cls`` is: it is not a packet. Scapy asks this when it prints a list."""
        return False

    def __repr__(self) -> str:
        return f"<{self.summary()}>"


class SMTPSession(DefaultSession):
    """``sniff(offline=…, session=SMTPSession())`` yields an ``AuditedConnection`` for each SMTP connection.

    ``options``: as for ``Audit``; ``keylog``: files with the secrets of TLS sessions. After live sniffing, or to end
    early, ``close()`` returns the connections still open.
    """

    def __init__(self, options: Options | None = None, *, keylog: str | PathLike[str] | Sequence[str] = ()) -> None:
        """``keylog``: key logs of TLS, which may still grow. Raises UsageError if one cannot be read."""
        super().__init__()
        options = options or Options()
        if keylog:
            files = KeyFiles()
            for path in (keylog,) if isinstance(keylog, str | PathLike) else keylog:
                files.add(fspath(path), growing=True)
            options = replace(options, keys=files.keys)
        self.audit = Audit(options)
        tracker = self.audit.tracker
        self._decoder = SegmentDecoder(tracker.segment, self.audit.options.decoder)
        self._frames: dict[int, int] = {}  # number of frames of each source so far

    def recv(self, sock: Any) -> Iterator[AuditedConnection]:  # type: ignore[override]  # sniff takes any object
        """Called by ``sniff`` when ``sock`` has data; raises EOFError at its end."""
        path = getattr(sock, "filename", None)
        if isinstance(sock, RawPcapReader) and isinstance(path, str) and Path(path).is_file():
            yield from self._file(path)
            raise EOFError
        if hasattr(sock, "decode_block"):  # a RingSocket: decodes whole blocks, without one Packet per frame
            number = self._frames.get(id(sock), 0)
            self._frames[id(sock)] = number + sock.decode_block(self._decoder, number).frames
            yield from map(AuditedConnection, self.audit.finished())
            return
        try:
            packet = sock.recv()
        except EOFError:
            yield from self.close()
            raise
        if packet is not None:
            yield from self._packet(sock, packet)

    def close(self) -> list[AuditedConnection]:
        """End of input: return the connections that are still open."""
        return [AuditedConnection(c) for c in self.audit.close()]

    def _file(self, path: str) -> Iterator[AuditedConnection]:
        already_logged = len(self.audit.unreadable)
        for item in self.audit.run([path]):
            if isinstance(item, Connection):
                yield AuditedConnection(item)
            else:
                for problem in item.problems:
                    log_runtime.warning("%s: %s", item.path, problem)
        for error in self.audit.unreadable[already_logged:]:
            log_runtime.warning("%s", error)

    def _packet(self, sock: Any, packet: Any) -> Iterator[AuditedConnection]:
        number = self._frames[id(sock)] = self._frames.get(id(sock), 0) + 1
        link = conf.l2types.layer2num.get(type(packet))
        if link is None:
            log_runtime.warning("SMTPSession: packet %d is a %s, which has no link type", number, type(packet).__name__)
            return
        data = packet.original or bytes(packet)
        length = max(getattr(packet, "wirelen", None) or 0, len(data))
        self._decoder.frame(link, int(packet.time * 1_000_000_000), data, length, number)
        for connection in self.audit.finished(block=number % BLOCK_PACKETS == 0):
            yield AuditedConnection(connection)
