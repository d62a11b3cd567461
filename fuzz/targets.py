"""The targets by name."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TARGETS", "target"]

TARGETS = {
    "pcap": "capture_targets",
    "pcapng": "capture_targets",
    "gunzip": "capture_targets",
    "frame": "capture_targets",
    "command": "grammar_targets",
    "reply": "grammar_targets",
    "parts": "grammar_targets",
    "reassembler": "stream_targets",
    "client": "stream_targets",
    "conversation": "stream_targets",
    "tracker": "stream_targets",
    "audit": "audit_targets",
    "decoders": "audit_targets",
    "files": "file_targets",
    "secrets": "secret_targets",
    "keylog": "tls_targets",
    "tls": "tls_targets",
}
"""For each target the module that has the function of that name."""


def target(name: str) -> Callable[[bytes], None]:
    """Return the function of a target. Only its module is imported, so that the others do not dilute its coverage."""
    found: Callable[[bytes], None] = getattr(import_module(TARGETS[name]), name)
    return found
