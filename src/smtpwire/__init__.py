"""smtpwire: who broke which rule of SMTP, at which byte of which frame.

``from smtpwire import audit`` and iterate: ``for connection in audit("a.pcap"): ...``. docs/api.md documents every name
that is exported here, in ``smtpwire.plugin`` (rules of your own) and in ``smtpwire.dissectors`` (commands and replies).
Everything else may move. Scapy finds its extension here: ``scapy_ext``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._lazy import lazy_exports
from ._version import __version__

if TYPE_CHECKING:
    from .analyzer.audit import Audit, Options, audit
    from .analyzer.enums import Redact
    from .analyzer.errors import InputError, OutputError, UsageError
    from .analyzer.findings.baseline import Baseline, read_baseline
    from .analyzer.findings.suppress import Peer
    from .analyzer.limits import Limits
    from .analyzer.live.scapy_socket import RingSocket
    from .analyzer.model import (
        AuthTurn,
        Capture,
        CommandTurn,
        Connection,
        Endpoint,
        Finding,
        GapTurn,
        MalformedTurn,
        Message,
        MessageTurn,
        Recipient,
        ReplyTurn,
        Report,
        Summary,
        TlsTurn,
        Turn,
    )
    from .analyzer.rules import RULES, Rule
    from .analyzer.rules.plugins import load_plugins
    from .analyzer.scapy_session import AuditedConnection, SMTPSession

__all__ = [
    "RULES",
    "Audit",
    "AuditedConnection",
    "AuthTurn",
    "Baseline",
    "Capture",
    "CommandTurn",
    "Connection",
    "Endpoint",
    "Finding",
    "GapTurn",
    "InputError",
    "Limits",
    "MalformedTurn",
    "Message",
    "MessageTurn",
    "Options",
    "OutputError",
    "Peer",
    "Recipient",
    "Redact",
    "ReplyTurn",
    "Report",
    "RingSocket",
    "Rule",
    "SMTPSession",
    "Summary",
    "TlsTurn",
    "Turn",
    "UsageError",
    "__version__",
    "audit",
    "load_plugins",
    "read_baseline",
    "scapy_ext",
]

_MODEL = ".analyzer.model"
_getattr, __dir__ = lazy_exports(
    __name__,
    {
        "Audit": ".analyzer.audit",
        "Options": ".analyzer.audit",
        "audit": ".analyzer.audit",
        "Redact": ".analyzer.enums",
        "InputError": ".analyzer.errors",
        "OutputError": ".analyzer.errors",
        "UsageError": ".analyzer.errors",
        "Baseline": ".analyzer.findings.baseline",
        "read_baseline": ".analyzer.findings.baseline",
        "Peer": ".analyzer.findings.suppress",
        "Limits": ".analyzer.limits",
        "RingSocket": ".analyzer.live.scapy_socket",
        "AuthTurn": _MODEL,
        "Capture": _MODEL,
        "CommandTurn": _MODEL,
        "Connection": _MODEL,
        "Endpoint": _MODEL,
        "Finding": _MODEL,
        "GapTurn": _MODEL,
        "MalformedTurn": _MODEL,
        "Message": _MODEL,
        "MessageTurn": _MODEL,
        "Recipient": _MODEL,
        "ReplyTurn": _MODEL,
        "Report": _MODEL,
        "Summary": _MODEL,
        "TlsTurn": _MODEL,
        "Turn": _MODEL,
        "RULES": ".analyzer.rules",
        "Rule": ".analyzer.rules",
        "load_plugins": ".analyzer.rules.plugins",
        "AuditedConnection": ".analyzer.scapy_session",
        "SMTPSession": ".analyzer.scapy_session",
    },
)

if not TYPE_CHECKING:  # for type checkers the imports above are all: a misspelled name is an error
    __getattr__ = _getattr


def scapy_ext(ext: Any) -> None:
    """Called by Scapy's ``conf.exts.load("smtpwire")``: binds the layers, and makes them ``scapy.layers.smtp``."""
    from pathlib import Path  # noqa: PLC0415

    from .dissectors.scapy_layers.extension import register  # noqa: PLC0415

    register(ext, Path(__file__).with_name("scapy_smtp.py"), __version__)
