"""What receives what a TLS session shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .facts import Alert, Side
    from .records import Place

__all__ = ["TlsHandler"]


class TlsHandler(Protocol):
    """Receives what a session shows."""

    def chosen(self) -> None:
        """The ServerHello came: version and suite are known."""

    def alerted(self, alert: Alert) -> None:
        """An alert came that could be read."""

    def text(self, side: Side, data: bytes, place: Place, end: int) -> None:
        """Octets inside TLS. ``place``: of their record, ``end``: the offset after it."""

    def lost(self, side: Side, length: int, place: Place, missing: int) -> None:
        """Octets inside TLS are missing: at least ``length``. ``missing``: bytes of the stream that they stand for."""

    def opaque(self) -> None:
        """Nothing more can be read."""

    def broken(self, why: str) -> None:
        """What was read inside TLS ends here: a fatal alert came, or what is no TLS."""
