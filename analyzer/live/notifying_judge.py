"""A judge that reports each finding when it is made, for reports that cannot wait for the end of a connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange
    from ..exchanges.record import ConnectionRecord
    from ..findings.rulebook import RuleBook
    from ..model import Finding

__all__ = ["FindingHandler", "NotifyingJudge"]

FindingHandler = Callable[["Finding", "ConnectionRecord"], None]
"""Takes a finding and the record of its connection, which is not complete yet."""


class NotifyingJudge:
    """Connects the conversations with ``book``, which can be replaced during a conversation."""

    def __init__(self, book: RuleBook, handle: FindingHandler) -> None:
        self.servers = book.servers
        self._book = book
        self._handle = handle

    def change(self, book: RuleBook) -> None:
        """Judge by ``book`` from now on. The memory about servers stays."""
        book.servers = self.servers
        self._book = book

    def exchange(self, x: Exchange, talk: Conversation) -> None:
        """See ``conversation.Judge``."""
        before = len(talk.findings)
        self._book.exchange(x, talk)
        if len(talk.findings) != before:
            self._report(talk, before)

    def content(self, x: Exchange, talk: Conversation) -> None:
        """See ``conversation.Judge``."""
        before = len(talk.findings)
        self._book.content(x, talk)
        self._report(talk, before)

    def ended(self, talk: Conversation) -> None:
        """See ``conversation.Judge``."""
        before = len(talk.findings)
        self._book.ended(talk)
        self._report(talk, before)

    def _report(self, talk: Conversation, before: int) -> None:
        for finding in talk.findings[before:]:
            self._handle(finding, talk.record)
