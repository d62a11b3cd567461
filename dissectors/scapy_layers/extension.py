"""The entry points for Scapy's extension loader: bind the layers to their ports, and register them in Scapy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .layers import PORTS, SMTP, SMTPAuth, SMTPCommand, SMTPMessage, SMTPReply

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["bind", "register"]


def bind() -> None:
    """Make Scapy dissect traffic on PORTS as SMTP, and give new packets port 25. Calling it twice is harmless."""
    from scapy.layers.inet import TCP  # noqa: PLC0415  loads Scapy's layers
    from scapy.packet import bind_bottom_up, bind_top_down  # noqa: PLC0415

    if any(upper is SMTP for _, upper in TCP.payload_guess):
        return
    for port in PORTS:
        bind_bottom_up(TCP, SMTP, sport=port)
        bind_bottom_up(TCP, SMTP, dport=port)
    for upper in (SMTPCommand, SMTPMessage, SMTPAuth):
        bind_top_down(TCP, upper, dport=PORTS[0])
    bind_top_down(TCP, SMTPReply, sport=PORTS[0])


def register(ext: Any, path: Path, version: str) -> None:
    """Bind the layers and register the file ``path`` as ``scapy.layers.smtp``. ``ext``: Scapy's ScapyExt."""
    ext.config(name="smtpwire", version=version)
    ext.register(name="smtp", mode=ext.MODE.LAYERS, path=path, default=False)
    bind()
