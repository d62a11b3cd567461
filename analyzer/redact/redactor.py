"""The filter between the audit and whatever takes its connections: what is not to be told is replaced in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..enums import Redact
from .credentials import hide_secrets, is_plain_octets

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..model import Connection

__all__ = ["Redactor"]


class Redactor:
    """Replaces what ``level`` says, in place. ``key``: of the pseudonyms; drawn if not given."""

    def __init__(self, level: Redact = Redact.SECRETS, key: bytes | None = None) -> None:
        self.level = level
        self._hide_people = _people(key) if level is Redact.PII else None

    @property
    def leaves(self) -> Callable[[bytes], object]:
        """Tells of an argument of a command whether it certainly stays as it is."""
        if self.level is Redact.SECRETS:
            return is_plain_octets
        return (lambda _: True) if self.level is Redact.NONE else (lambda _: False)

    def __call__(self, connection: Connection) -> Connection:
        """``connection``, without what is not to be told."""
        if self.level is Redact.NONE:
            return connection
        hide_secrets(connection)
        if self._hide_people is not None:
            self._hide_people(connection)
        return connection


def _people(key: bytes | None) -> Callable[[Connection], None]:
    """What takes people's names out, with pseudonyms of its own."""
    from .people import hide_people  # noqa: PLC0415  with the cryptography, which few audits need
    from .pseudonyms import Pseudonyms  # noqa: PLC0415

    pseudonyms = Pseudonyms(key)
    return lambda connection: hide_people(connection, pseudonyms)
