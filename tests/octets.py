"""Gives the conversation each octet by itself, with the frame, the time and the ACK of its segment."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from smtpwire.analyzer.connections import conversations
from smtpwire.analyzer.connections.receivers import Candidate
from smtpwire.analyzer.exchanges.conversation_feed import ConversationFeed

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["octet_by_octet"]


class _Feed(ConversationFeed):
    """A conversation that gets single octets."""

    __slots__ = ()

    def client(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int = -1) -> None:
        for at in range(len(data)):
            super().client(data[at : at + 1], offset + at, frame, time_ns, seen)

    def server(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int = -1) -> None:
        for at in range(len(data)):
            super().server(data[at : at + 1], offset + at, frame, time_ns, seen)


class _Candidate(Candidate):
    """A connection that may be SMTP, and that gets single octets until this is decided."""

    __slots__ = ("_first_key",)

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._first_key = self._flow.key

    def client(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        for at in range(len(data)):
            if self._flow.receiver is not self:
                self._pass_on(data[at:], offset + at, frame, time_ns, seen, client=True)
                return
            super().client(data[at : at + 1], offset + at, frame, time_ns, seen)

    def server(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int) -> None:
        for at in range(len(data)):
            if self._flow.receiver is not self:
                self._pass_on(data[at:], offset + at, frame, time_ns, seen, client=False)
                return
            super().server(data[at : at + 1], offset + at, frame, time_ns, seen)

    def _pass_on(self, data: bytes, offset: int, frame: int, time_ns: int, seen: int, *, client: bool) -> None:
        """Pass on what follows the octet that decided. It may have shown that the client is the other side."""
        receiver = self._flow.receiver
        take = receiver.client if client is (self._flow.key == self._first_key) else receiver.server
        take(data, offset, frame, time_ns, seen)


@contextmanager
def octet_by_octet() -> Generator[None]:
    """Each connection that starts in this block gets single octets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversations, "ConversationFeed", _Feed)
        patch.setattr(conversations, "Candidate", _Candidate)
        yield
