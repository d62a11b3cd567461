"""The filter between the audit and whatever takes its connections: what is not to be told is replaced in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..choices import Redact
from .credentials import hide_secrets
from .people import hide_people
from .pseudonyms import Pseudonyms

if TYPE_CHECKING:
    from ..model import Connection

__all__ = ["Redactor"]


class Redactor:
    """Replaces what ``level`` says, in place. ``key``: of the pseudonyms; drawn if not given."""

    def __init__(self, level: Redact = Redact.SECRETS, key: bytes | None = None) -> None:
        self.level = level
        self._pseudonyms = Pseudonyms(key)

    def __call__(self, connection: Connection) -> Connection:
        """``connection``, without what is not to be told."""
        if self.level is Redact.NONE:
            return connection
        hide_secrets(connection)
        if self.level is Redact.PII:
            hide_people(connection, self._pseudonyms)
        return connection
