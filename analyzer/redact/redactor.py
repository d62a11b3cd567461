"""The filter between the audit and the writers: replaces in place what the report must not show, then makes the
sentences of the findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..enums import Redact
from ..findings.rendering import rendered
from .credentials import hide_secrets

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..exchanges.secret_context import SecretContext
    from ..model import Connection

__all__ = ["Redactor"]


class Redactor:
    """Replaces secrets, and people's names, as ``level`` says. ``key``: of the pseudonyms; random if None."""

    def __init__(self, level: Redact = Redact.SECRETS, key: bytes | None = None) -> None:
        self.level = level
        self._hide_people = _people(key) if level is Redact.PII else None

    def __call__(self, connection: Connection, context: SecretContext | None = None) -> Connection:
        """Redact ``connection`` in place, render its findings, and return it."""
        self.hide(connection, context)
        return self.finish(connection)

    def hide(self, connection: Connection, context: SecretContext | None) -> None:
        """Hide secrets in ``connection``, in place, unless the report shows them. ``context``: see
        ``exchanges.secret_context``."""
        if self.level is not Redact.NONE:
            hide_secrets(connection, context)

    def finish(self, connection: Connection) -> Connection:
        """Replace names in ``connection``, in place, and render its findings; return it."""
        if self._hide_people is not None:
            self._hide_people(connection)
        if connection.findings:
            connection.findings = list(map(rendered, connection.findings))
        return connection


def _people(key: bytes | None) -> Callable[[Connection], None]:
    """Return a function that replaces people's names, with its own pseudonyms."""
    from .people import hide_people  # noqa: PLC0415  loads the hash functions, which few audits need
    from .pseudonyms import Pseudonyms  # noqa: PLC0415

    pseudonyms = Pseudonyms(key)
    return lambda connection: hide_people(connection, pseudonyms)
