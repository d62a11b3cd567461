"""What is known of one direction of a TLS session: its records, messages and keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from .messages import MessageCutter
from .records import RecordCutter

if TYPE_CHECKING:
    from .ciphers import Keys
    from .facts import Side
    from .hellos import ServerHello
    from .records import Place
    from .suites import Suite

__all__ = ["Direction", "OlderParameters", "Stage"]

Stage = Literal["clear", "early", "handshake", "application", "older"]
"""Which keys protect the records: none; those of TLS 1.3 for early data, for the handshake, for what follows it; those
of the older versions."""


class OlderParameters:
    """What the keys before TLS 1.3 are made of."""

    __slots__ = ("client_random", "encrypt_then_mac", "server_random", "suite", "version")

    def __init__(self, suite: Suite | None, client_random: bytes, hello: ServerHello) -> None:
        self.suite = suite
        self.version = hello.version
        self.client_random = client_random
        self.server_random = hello.random
        self.encrypt_then_mac = hello.encrypt_then_mac


class Direction:
    """What one side sends. ``over``: nothing more of it is read; ``hidden``: although there may be more to read."""

    __slots__ = (
        "candidates",
        "cutter",
        "held",
        "hidden",
        "keys",
        "lost",
        "lost_at",
        "messages",
        "next",
        "over",
        "pending",
        "rejected",
        "reported",
        "side",
        "skipping",
        "stage",
    )

    def __init__(self, side: Side) -> None:
        self.side: Side = side
        self.cutter = RecordCutter()
        self.messages = MessageCutter()
        self.stage: Stage = "clear"
        self.next: OlderParameters | None = None  # what ChangeCipherSpec starts
        self.keys: Keys | None = None  # that opened the last record
        self.candidates: list[tuple[Stage, Keys]] = []  # of which one opens the next record
        self.pending: list[tuple[bytes, Place]] | None = None  # records of early data that wait for the decision
        self.held = 0  # their octets
        self.skipping = False  # records that cannot be opened are early data that was refused, or a hidden handshake
        self.lost_at: Place | None = None  # the first loss after the last record that could be opened
        self.lost = 0  # bytes that the records lost since then had together, at most
        self.reported = 0  # missing octets inside that were reported since then
        self.rejected = False  # bytes of the last segment are no record that can be opened
        self.over = self.hidden = False
