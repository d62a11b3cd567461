"""How completely the captures show the conversations: "no findings" means something only if everything was captured."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from msgspec import UNSET

from ..findings.counts import decrypted, is_complete
from .output import plural

if TYPE_CHECKING:
    from ..model import Capture, Connection

__all__ = ["CaptureQuality", "is_unread", "limitations", "read"]


MOST_REASONS = 5  # why something was not decrypted, that are told apart


class CaptureQuality:
    """Counts over the connections of a run."""

    def __init__(self) -> None:
        self.connections = self.whole = self.one_sided = self.gaps = self.lost = self.midstream = self.encrypted = 0
        self.decrypted = self.partly_decrypted = 0
        self._not_decrypted: Counter[str] = Counter()  # by the reason

    def count(self, connection: Connection) -> None:
        """Count one more connection."""
        one_sided = not connection.client_bytes or not connection.server_bytes
        midstream = connection.opening == "midstream"
        encrypted = connection.tls != "none"
        self.connections += 1
        self.one_sided += one_sided
        self.midstream += midstream
        self.encrypted += encrypted
        self.decrypted += encrypted and decrypted(connection) == "all"
        self.partly_decrypted += encrypted and decrypted(connection) == "part"
        session = connection.tls_session
        if session is not UNSET and session.why is not None:
            known = session.why in self._not_decrypted or len(self._not_decrypted) < MOST_REASONS
            self._not_decrypted[session.why if known else "other reasons"] += 1
        if connection.gaps:
            self.gaps += 1
            self.lost += sum(gap.length for gap in connection.gaps)
        self.whole += is_complete(connection)

    @property
    def is_whole(self) -> bool:
        """Whether all connections are complete and could be read."""
        return self.whole == self.connections

    @property
    def completeness(self) -> str:
        """What a complete connection is here."""
        return "complete, and in clear text or decrypted" if self.decrypted else "complete and in clear text"

    def limitations(self) -> list[tuple[int, str]]:
        """Return the limitations of the capture, each with its number of connections. A connection may have several;
        those with no connection are omitted."""
        found = [
            (self.one_sided, "with one side only"),
            (self.gaps, f"with gaps ({plural(self.lost, 'byte')} not captured)"),
            (self.midstream, "already open when the capture began"),
            (self.encrypted, f"encrypted (from the start, or after STARTTLS){self._decrypted()}"),
            *((count, f"not or not wholly decrypted: {why}") for why, count in self._not_decrypted.most_common()),
        ]
        return [(count, what) for count, what in found if count]

    def _decrypted(self) -> str:
        if self.decrypted:
            part = f", {self.partly_decrypted:,} in part" if self.partly_decrypted else ""
            return f", {self.decrypted:,} of them decrypted{part}"
        return f", {self.partly_decrypted:,} of them decrypted in part" if self.partly_decrypted else ""


def limitations(connection: Connection) -> list[str]:
    """Return the limitations of one connection, in a few words each."""
    words = []
    if not connection.client_bytes or not connection.server_bytes:
        words.append("one side only")
    if connection.gaps:
        words.append(f"{plural(sum(gap.length for gap in connection.gaps), 'byte')} not captured")
    if connection.opening == "midstream":
        words.append("already open when the capture began")
    return words


def is_unread(capture: Capture) -> bool:
    """Whether nothing of ``capture`` could be read."""
    return bool(capture.problems) and not capture.frames


def read(capture: Capture) -> str:
    """Return what was read of a capture: ``pcap EN10MB, 135 frames, 15,913 bytes``."""
    if not capture.format:
        return "not read"
    kind = " ".join([capture.format, "+".join(capture.link_types)]).rstrip()
    return f"{kind}, {plural(capture.frames, 'frame')}, {plural(capture.bytes, 'byte')}"
