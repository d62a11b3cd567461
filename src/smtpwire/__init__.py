"""smtpwire: who broke which rule of SMTP, at which byte of which frame.

``from smtpwire import audit`` and iterate: ``for connection in audit("a.pcap"): ...``. Names are imported when they are
first used, so that ``import smtpwire`` costs next to nothing. Scapy finds its extension here: ``scapy_ext``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .analyzer.audit import Audit, Options, audit
    from .analyzer.errors import InputError, UsageError
    from .analyzer.model import Capture, Connection, Finding, Message, Report, Summary, Turn
    from .analyzer.scapy_session import SMTPSession

__all__ = [
    "Audit",
    "Capture",
    "Connection",
    "Finding",
    "InputError",
    "Message",
    "Options",
    "Report",
    "SMTPSession",
    "Summary",
    "Turn",
    "UsageError",
    "__version__",
    "audit",
    "scapy_ext",
]

_HOMES = {
    "Audit": "audit",
    "Options": "audit",
    "audit": "audit",
    "InputError": "errors",
    "UsageError": "errors",
    "Capture": "model",
    "Connection": "model",
    "Finding": "model",
    "Message": "model",
    "Report": "model",
    "Summary": "model",
    "Turn": "model",
    "SMTPSession": "scapy_session",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'smtpwire' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    value: object = getattr(import_module(f".analyzer.{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


def scapy_ext(ext: Any) -> None:
    """Called by Scapy's ``conf.exts.load("smtpwire")``: binds the layers, and makes them ``scapy.layers.smtp``."""
    from pathlib import Path  # noqa: PLC0415

    from .dissectors.scapy_layers.extension import register  # noqa: PLC0415

    register(ext, Path(__file__).with_name("scapy_smtp.py"), __version__)
