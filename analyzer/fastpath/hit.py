"""A connection that went a beaten way: what is its own, beside the pattern of all that went there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..model import Part
from .report_template import write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .. import model
    from ..exchanges.starttls_history import StartTlsHistory
    from ..limits import Limits
    from .report_template import Pattern, Step
    from .trie import Place

__all__ = ["Guide", "Repeat"]


class Guide(Protocol):
    """What is asked of whoever runs the audit by those who walk the ways, and by what they bring back."""

    limits: Limits
    servers: StartTlsHistory
    digits: int

    def next_id(self, client: bytes, first_frame: int, *, handshake: bool = True) -> int:
        """The number of a new connection."""

    def record(self, client: bytes, number: int, started_ns: int, *, handshake: bool) -> model.Connection:
        """A report with nothing in it yet. ``client``: key of the client's stream."""

    def clocks(self, times_ns: Sequence[int]) -> list[str]:
        """Times as the report shows them."""


class Repeat:
    """One connection as its pattern and its steps. ``octets``: that the client and the server sent. ``capture``: number
    and path of the one that all of it lies in, where that is known."""

    __slots__ = (
        "capture",
        "client",
        "ended_ns",
        "guide",
        "number",
        "octets",
        "pattern",
        "place",
        "started_ns",
        "steps",
    )

    def __init__(
        self,
        guide: Guide,
        place: Place,
        pattern: Pattern,
        steps: list[Step],
        number: int,
        client: bytes,
        times_ns: tuple[int, int],
        octets: tuple[int, int],
    ) -> None:
        """``place``: where the way ends; ``client``: key of the client's stream; ``times_ns``: first and last."""
        self.guide = guide
        self.place = place
        self.pattern = pattern
        self.steps = steps
        self.number = number
        self.client = client
        self.started_ns, self.ended_ns = times_ns
        self.octets = octets
        self.capture: tuple[int, str] | None = None

    def connection(self) -> model.Connection:
        """The report."""
        record = self.guide.record(self.client, self.number, self.started_ns, handshake=True)
        record.client_bytes, record.server_bytes = self.octets
        (record.ended,) = self.guide.clocks([self.ended_ns])
        self.place_in_capture(record)
        write(self.pattern, self.steps, record, self.guide.clocks)
        return record

    def place_in_capture(self, record: model.Connection) -> None:
        """Say in ``record`` in which capture it lies."""
        if self.capture is not None:
            record.captures = [Part(*self.capture, record.ended)]
