"""A PROXY header in front of the client's first command, as far as it has come, and the replies to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lines.proxy_header import ProxyHeaderReader

if TYPE_CHECKING:
    from ..lines.client_reader import HeldPiece
    from ..lines.proxy_header import ProxyHeader
    from .exchange import Exchange

__all__ = ["ProxyHeaderTracking"]


class ProxyHeaderTracking:
    """A PROXY header, or the start of one. ``frame``, ``time_ns``: of its first octet. ``answers``: an exchange for
    each reply of a server that took it for commands."""

    __slots__ = ("answers", "frame", "held", "reader", "time_ns")

    def __init__(self, frame: int, time_ns: int) -> None:
        self.frame = frame
        self.time_ns = time_ns
        self.reader = ProxyHeaderReader()
        self.held: list[HeldPiece] = []
        self.answers: list[Exchange] = []

    @property
    def header(self) -> ProxyHeader | None:
        """What the header says, None until it is certain that it is one."""
        return self.reader.header
