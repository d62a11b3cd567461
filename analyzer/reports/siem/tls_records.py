"""What network monitors log of a TLS session besides what the report holds: where it starts, whether it was
established, names as they stand in a certificate."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...model import TlsTurn

if TYPE_CHECKING:
    from ...model import Connection, TlsSession

__all__ = ["established", "in_wire_order", "start_of_tls", "with_colons"]

# The parts of a distinguished name (RFC 4514 §3). A comma inside a value has a backslash.
_PART = re.compile(r"(?:[^,\\]|\\.)+")


def start_of_tls(connection: Connection) -> tuple[str, int]:
    """Return time and frame of the start of TLS; those of the first turn if there is no turn about it."""
    turns = connection.dialogue
    first = next((turn for turn in turns if isinstance(turn, TlsTurn)), turns[0] if turns else None)
    return (connection.started, 1) if first is None else (first.time, first.frame)


def established(session: TlsSession) -> bool | None:
    """Whether the handshake succeeded; None if nothing shows it: what was inside is not known, and no alert came."""
    if session.decrypted != "none":
        return True
    return None if session.alert is None else False


def in_wire_order(name: str) -> str:
    """Return a distinguished name with the most general part first, as it stands in the certificate."""
    return ", ".join(reversed(_PART.findall(name)))


def with_colons(number: str) -> str:
    """Return hexadecimal digits with a colon after each octet; any other text unchanged."""
    digits = number.upper()
    if not digits or not set(digits) <= set("0123456789ABCDEF"):
        return number
    digits = digits.zfill(len(digits) + len(digits) % 2)
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))
