"""A judge that tells of each finding when it is made, for reports that cannot wait for the end of a connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange
    from ..findings.rulebook import RuleBook
    from ..model import Connection, Finding

__all__ = ["Heard", "NotifyingJudge"]

Heard = Callable[["Finding", "Connection"], None]
"""Takes a finding and the connection that it is in, whose record is not complete yet."""


class NotifyingJudge:
    """Stands between the conversations and ``book``, which may be changed for another while they go on."""

    def __init__(self, book: RuleBook, heard: Heard) -> None:
        self.servers = book.servers
        self._book = book
        self._heard = heard

    def change(self, book: RuleBook) -> None:
        """Judge by ``book`` from now on. What is remembered of servers stays."""
        book.servers = self.servers
        self._book = book

    def exchange(self, x: Exchange, talk: Conversation) -> None:
        """See ``conversation.Judge``."""
        before = len(talk.findings)
        self._book.exchange(x, talk)
        if len(talk.findings) != before:
            self._tell(talk, before)

    def content(self, x: Exchange, talk: Conversation) -> None:
        """See ``conversation.Judge``."""
        before = len(talk.findings)
        self._book.content(x, talk)
        self._tell(talk, before)

    def ended(self, talk: Conversation) -> None:
        """See ``conversation.Judge``."""
        before = len(talk.findings)
        self._book.ended(talk)
        self._tell(talk, before)

    def _tell(self, talk: Conversation, before: int) -> None:
        for finding in talk.findings[before:]:
            self._heard(finding, talk.record)
