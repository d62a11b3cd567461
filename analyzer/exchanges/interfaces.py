"""Who else takes part in a conversation: the judge of what happened, and whoever wants the messages themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ..content.mail_data import Content
    from ..content.octet_checks import ContentSink
    from ..streams.stream import Deliver
    from .exchange import Exchange
    from .starttls_history import StartTlsHistory

__all__ = ["ContentTap", "Judge", "JudgedRule"]


class JudgedRule(Protocol):
    """A rule, as far as conversations remember it. ``formal``: it does not look at text that varies freely; ``own``:
    it is one of ours; ``individual``: what it finds in one dialogue stands for no other."""

    @property
    def id(self) -> str: ...
    @property
    def formal(self) -> bool: ...
    @property
    def own(self) -> bool: ...
    @property
    def individual(self) -> bool: ...


class Judge(Protocol):
    """Who holds the rules against what happened. ``servers``: what was seen of them in other connections. ``talk`` is
    the ``Conversation``, which stands above this floor."""

    servers: StartTlsHistory

    def exchange(self, x: Exchange, talk: Any) -> None:
        """``x`` is answered, or never will be."""

    def content(self, x: Exchange, talk: Any) -> None:
        """The content of ``x`` is over; ``x`` is what ended it."""

    def ended(self, talk: Any) -> None:
        """Nothing more comes."""


class ContentTap(Protocol):
    """Who wants the messages of one connection themselves, not only what is wrong with them."""

    def begin(self, content: Content, transaction: object) -> ContentSink | None:
        """Mail data begin; their octets go to what this returns. ``transaction``: the open one, None if none is known.
        BDAT chunks that no LAST follows begin and are never over."""

    def over(self, content: Content, x: Exchange) -> None:
        """``content`` is answered, or never will be. ``x``: what ended it, or an event where the end was not seen."""

    def overhear(self, deliver: Deliver) -> Deliver:
        """What is to take the client's stream in the place of ``deliver``, which has to be handed all of it."""
