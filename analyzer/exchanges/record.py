"""The record of a connection while it runs: its dialogue, messages and findings, as numbers and shared values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct, field

from ..limits import NOTES
from ..model import Gap
from ..streams.endpoints import endpoints
from .turns import GapSeen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..model import Finding, Message, Side
    from ..tls.facts import TlsFacts
    from ..tls.places import RecordPlaces
    from .secret_context import SecretContext
    from .turns import SeenTurn

__all__ = ["IMPLICIT_TLS_PORT", "ConnectionRecord", "FindingCounts"]

IMPLICIT_TLS_PORT = 465  # RFC 8314 §7.3: TLS comes first there, so the client speaks first


class FindingCounts(Struct):
    """What was found in one connection, for the rule book. ``by_rule``: number of findings by rule, including unlisted
    ones. ``series``: by rule, side and series, the place of the finding that further breaches are counted in."""

    by_rule: dict[str, int] = field(default_factory=dict)
    series: dict[tuple[str, str, str | int], int] = field(default_factory=dict)


class ConnectionRecord:
    """What is known of one connection so far. Lists that nearly always stay empty are made when they are needed.

    ``client_key``: addresses and ports of the client's segments, as they stand in the headers; ``client`` and
    ``server``: the same in words. Times are nanoseconds since 1970.
    """

    __slots__ = (
        "_gaps",
        "_messages",
        "_notes",
        "client",
        "client_bytes",
        "client_key",
        "closing",
        "dialogue",
        "ended_ns",
        "facts",
        "findings",
        "id",
        "keyed",
        "opening",
        "places",
        "profile",
        "protocol",
        "secrets",
        "server",
        "server_bytes",
        "started_ns",
        "tls",
    )

    def __init__(
        self,
        number: int,
        client_key: bytes,
        *,
        profile: str,
        opening: Literal["handshake", "midstream"],
        started_ns: int,
    ) -> None:
        self.id = number
        self.client_key = client_key
        self.client, self.server = endpoints(client_key)
        self.profile = profile
        self.opening = opening
        self.started_ns = self.ended_ns = started_ns
        self.protocol: Literal["smtp", "lmtp"] = "smtp"
        self.tls: Literal["none", "starttls", "implicit"] = "none"
        self.closing: Literal["fin", "rst", "open"] = "open"
        self.client_bytes = 0
        self.server_bytes = 0
        self.dialogue: list[SeenTurn] = []
        self.findings: list[Finding] = []
        self.places: Mapping[Literal["client", "server"], RecordPlaces] | None = None  # of what is inside TLS
        self.facts: TlsFacts | None = None
        self.keyed = False  # there are keys of TLS sessions
        self.secrets: SecretContext | None = None  # of the dialogue; made when the report needs it
        self._gaps: list[Gap] | None = None
        self._messages: list[Message] | None = None
        self._notes: list[str] | None = None

    @property
    def on_tls_port(self) -> bool:
        """Whether TLS comes first on the server's port."""
        return int.from_bytes(self.client_key[-2:], "big") == IMPLICIT_TLS_PORT

    @property
    def on_loopback(self) -> bool:
        """Whether both sides are on one machine, so that nothing is between them."""
        address = self.server.address
        return address.startswith(("127.", "::ffff:127.")) or address == "::1"

    @property
    def on_one_host(self) -> bool:
        """Whether both sides have the same address, or loopback addresses."""
        client, server = self.client.address, self.server.address
        return client == server or (self.on_loopback and client.startswith(("127.", "::1", "::ffff:127.")))

    @property
    def gaps(self) -> Sequence[Gap]:
        """Missing bytes, in order."""
        return self._gaps or ()

    @property
    def messages(self) -> Sequence[Message]:
        """Messages that are complete and answered, in order."""
        return self._messages or ()

    @property
    def notes(self) -> Sequence[str]:
        """Remarks about the connection as a whole."""
        return self._notes or ()

    def note(self, text: str) -> None:
        """Add a remark about the connection as a whole, once. One more than the limit says that there are more."""
        notes = self._notes = [] if self._notes is None else self._notes
        if len(notes) <= NOTES and text not in notes:
            notes.append(text if len(notes) < NOTES else "there are further remarks, which are not shown")

    def deliver(self, message: Message) -> None:
        """Add a message."""
        if self._messages is None:
            self._messages = []
        self._messages.append(message)

    def lose(self, side: Side, offset: int, length: int, frame: int, time_ns: int) -> GapSeen | None:
        """Add missing bytes. Return the turn to add; None if they extend the gap of the last turn."""
        gaps = self._gaps = [] if self._gaps is None else self._gaps
        last = next((gap for gap in reversed(gaps) if gap.side == side), None)
        if last is not None and last.offset + last.length == offset:
            last.length += length
            turn = self.dialogue[-1] if self.dialogue else None
            if isinstance(turn, GapSeen) and turn.side == side:
                turn.length += length
                return None
            if last.frame == frame:
                return None  # of a gap inside TLS, more became known
        else:
            gaps.append(Gap(side, offset, length, frame))
        return GapSeen(side, length, offset, frame, time_ns)
