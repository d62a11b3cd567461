"""Explanations why a session failed, for use as causes of later findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..lines.acts import HELLOS, Act

if TYPE_CHECKING:
    from .exchange import Exchange

__all__ = ["NO_CAUSES", "Causes"]

# Bound once: reading a member of an enum takes longer than the test that uses it.
_MAIL, _RCPT, _DATA, _STARTTLS = Act.MAIL, Act.RCPT, Act.DATA, Act.STARTTLS
_FRESH_START = frozenset({Act.EHLO, Act.HELO, Act.MAIL, Act.END, Act.RSET})


class Causes:
    """The last exchange of each kind that explains later failures; None: no such problem.

    ``abuse``: the first abuse of the protocol whose effect lasts to the end of the connection: text before the
    greeting, another protocol, a look-alike of the end of data. ``early``: the first command of the run in which the
    client does not wait for replies; None once it is in step again. ``order``: the first command out of order since the
    last command that restored the order, if a finding is about it. ``odd_name``: the last hello, if its name may be the
    reason why a server refuses a later command. ``disputed``: commands that the server called out of order although
    they were not (SEQ123).
    """

    __slots__ = ("abuse", "data", "disputed", "early", "hello", "mail", "odd_name", "order", "rcpt", "starttls")

    def __init__(self) -> None:
        self.hello: Exchange | None = None
        self.mail: Exchange | None = None
        self.rcpt: Exchange | None = None
        self.data: Exchange | None = None
        self.starttls: Exchange | None = None
        self.order: Exchange | None = None
        self.abuse: Exchange | None = None
        self.early: Exchange | None = None
        self.odd_name: Exchange | None = None
        self.disputed: frozenset[Act] = frozenset()

    def remember(self, x: Exchange, code: int) -> None:
        """Update the causes: ``x`` was answered with ``code``."""
        act, refused = x.act, code >= 400
        if act in HELLOS:
            self.hello = x if refused else None
        elif act is _MAIL:
            self.mail = x if refused else None
        elif act is _RCPT:
            self.rcpt = x if refused else self.rcpt
        elif act is _DATA:
            self.data = None if 300 <= code < 400 else x
        elif act is _STARTTLS:
            self.starttls = x if refused else None
        if not refused and act in _FRESH_START:
            self.mail = self.rcpt = self.order = None


NO_CAUSES: Final = Causes()
"""The causes of a session in which nothing was refused. It is shared and must not be changed."""
