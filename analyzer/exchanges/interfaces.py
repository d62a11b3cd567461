"""Interfaces that a conversation calls: the judge, and taps that receive the messages themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ..content.message import Content
    from ..content.octet_checks import ContentSink
    from ..streams.stream import Deliver
    from .exchange import Exchange
    from .starttls_history import OfferMemory

__all__ = ["ContentTap", "Judge"]


class Judge(Protocol):
    """Checks the rules. ``servers``: offers of STARTTLS seen in other connections. ``talk`` is the ``Conversation``, a
    higher layer that this module must not import."""

    servers: OfferMemory

    def exchange(self, x: Exchange, talk: Any) -> None:
        """Judge ``x``, which is answered or will never be answered."""

    def content(self, x: Exchange, talk: Any) -> None:
        """Judge the content that ``x`` ended."""

    def ended(self, talk: Any) -> None:
        """Judge the connection, which is over."""


class ContentTap(Protocol):
    """Receives the messages of one connection, not only the findings about them."""

    def begin(self, content: Content, transaction: object) -> ContentSink | None:
        """Mail data starts; its octets go to the returned sink. ``transaction``: the open one, None if none is known.
        For BDAT chunks without a LAST, ``over`` is never called."""

    def over(self, content: Content, x: Exchange) -> None:
        """``content`` is answered, or never will be. ``x``: the command that ended it, or an event if no end was
        seen."""

    def wrap_client(self, deliver: Deliver) -> Deliver:
        """Return a replacement for ``deliver``; it must pass the whole client stream on to ``deliver``."""
