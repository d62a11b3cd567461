"""What a TLS session showed of itself: version, suite, names, certificates, alerts, and what could be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from .certificates import Certificate
    from .hellos import ClientHello, ServerHello
    from .records import Place

__all__ = ["CLOSE_NOTIFY", "FATAL", "Alert", "Side", "TlsFacts"]

Side = Literal["client", "server"]
FATAL = 2
CLOSE_NOTIFY = 0


class Alert(NamedTuple):
    """An alert that could be read: who sent it, its level and description (RFC 8446 §6), and where its record
    begins."""

    side: Side
    level: int
    description: int
    place: Place


class TlsFacts:
    """``client_hello``: the first one of the client; ``saw_client_hello`` is also set by a hello in the form of SSL 2,
    which is not read. ``answered``: the server sent an alert. ``server_hello``: the server's choice, not a
    HelloRetryRequest. ``retried``: there was one. ``chosen_at``: where the server's choice is. ``group``: of the key
    exchange; ``dh_bits``: of the prime, with DHE. ``early_data``: whether the server accepted it, None if the client
    sent none. ``failed``: the alert that ended the handshake. ``certificates``, ``client_certificates``: the chain that
    each side sent, as far as it could be read. ``renegotiations``: handshakes after the first. ``finished``: sides
    whose Finished could be read, or that sent ChangeCipherSpec. ``text``: octets inside TLS that could be read, by
    side; ``unread``: octets of records that could not. ``why_unread``: the reason, "" if there is none."""

    __slots__ = (
        "alpn",
        "answered",
        "certificates",
        "chosen_at",
        "client_certificates",
        "client_hello",
        "dh_bits",
        "early_data",
        "failed",
        "finished",
        "group",
        "key_updates",
        "renegotiations",
        "resumed",
        "retried",
        "saw_client_hello",
        "saw_server_hello",
        "server_hello",
        "text",
        "unread",
        "why_unread",
    )

    def __init__(self) -> None:
        self.client_hello: ClientHello | None = None
        self.server_hello: ServerHello | None = None
        self.saw_client_hello = self.saw_server_hello = self.answered = False
        self.chosen_at: Place | None = None
        self.group: int | None = None
        self.dh_bits: int | None = None
        self.alpn: bytes | None = None
        self.resumed = False
        self.retried = False
        self.early_data: bool | None = None
        self.key_updates = 0
        self.renegotiations = 0
        self.failed: Alert | None = None
        self.finished: set[Side] = set()
        self.certificates: tuple[Certificate, ...] = ()
        self.client_certificates: tuple[Certificate, ...] = ()
        self.text: dict[Side, int] = {"client": 0, "server": 0}
        self.unread: dict[Side, int] = {"client": 0, "server": 0}
        self.why_unread = ""

    def note_unread(self, why: str) -> None:
        """Note why bytes cannot be read; the first reason counts."""
        self.why_unread = self.why_unread or why

    def add_chain(self, side: Side, chain: tuple[Certificate, ...]) -> None:
        """Note the certificates of a side; the first chain counts."""
        if side == "server":
            self.certificates = self.certificates or chain
        else:
            self.client_certificates = self.client_certificates or chain

    @property
    def version(self) -> int | None:
        """The version that the server chose, None until that is known."""
        return None if self.server_hello is None else self.server_hello.version
