"""A PROXY header in front of the client's first command, as far as it has come, and the replies to it."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from ..lines.proxy_header import ProxyHeaderReader

if TYPE_CHECKING:
    from ..lines.client_reader import HeldPiece
    from ..lines.proxy_header import ProxyHeader
    from .exchange import Exchange

__all__ = ["ProxyHeaderTracking", "Verdict"]


class Verdict(Enum):
    """Whether a server that had header and command when it refused one of them meant the header."""

    OPEN = "no such reply came"
    WAITING = "the number of replies will show it"
    COMMAND = "it refused the command"
    HEADER = "it refused the header"


class ProxyHeaderTracking:
    """A PROXY header, or the start of one. ``frame``, ``time_ns``: of its first octet. ``answers``: an exchange for
    each reply of a server that took it for commands. ``verdict``: what is known of that."""

    __slots__ = ("answers", "frame", "held", "reader", "time_ns", "verdict")

    def __init__(self, frame: int, time_ns: int) -> None:
        self.frame = frame
        self.time_ns = time_ns
        self.reader = ProxyHeaderReader()
        self.held: list[HeldPiece] = []
        self.answers: list[Exchange] = []
        self.verdict = Verdict.OPEN

    @property
    def header(self) -> ProxyHeader | None:
        """What the header says, None until it is certain that it is one."""
        return self.reader.header
