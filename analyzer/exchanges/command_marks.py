"""Limits and offers that a client's command exceeds: marked when it is sent, explained by the rules."""

# Hot path: every command is checked here once. Expensive checks run only after a cheap test that ordinary lines fail.
# The test may let too much through; the rule that the mark calls checks again.

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...dissectors.lines.commands import parse_command
from .ehlo_offers import (
    MAX_LINE,
    announced_limit,
    announced_size,
    line_limit,
    mechanisms,
    missing_command,
    missing_parameters,
)
from .exchange import Mark, Transaction
from .state_table import Act

if TYPE_CHECKING:
    from ...dissectors.deviations import Deviation
    from ...dissectors.lines.commands import Command
    from .exchange import Exchange
    from .state_table import State

__all__ = ["MAX_AUTH_LINE", "CommandMarks", "judged", "judged_command"]

MAX_AUTH_LINE = 12288  # octets of a line of an AUTH exchange with its CRLF (RFC 4954 §4)
MAX_DOMAINS = 10_000  # recipient domains remembered, if the server limits them
MAX_SIZE_DIGITS = 20  # RFC 1870 §3

_SHORTEST_LONG = 65  # octets of the shortest name that may be too long: a local-part has 64 (RFC 5321 §4.5.3.1.1)
_LONGEST_NAME = 255  # octets of a domain (RFC 5321 §4.5.3.1.2)
_LONGEST_NAME_821 = 64  # RFC 821 §4.5.3
_HELLOS = frozenset({Act.EHLO, Act.HELO})
_PLAIN = frozenset({Act.DATA, Act.QUIT, Act.RSET, Act.TURN})  # only their length could be wrong here
# Bound once: reading an enum member takes longer than the test that uses it.
_MAIL, _RCPT, _END, _ANSWER, _ANYTIME = Act.MAIL, Act.RCPT, Act.END, Act.ANSWER, Act.ANYTIME
_LOST_ENDS = Mark.BARE_LF | Mark.BARE_CR

_bare = re.compile(rb"[\r\n]").search


def judged_command(x: Exchange) -> Command | None:
    """Return the command of ``x`` as far as its grammar can be judged: up to the first bare CR or LF, because another
    command may follow there. None: nothing comes before it."""
    if x.command is None or not x.marks & _LOST_ENDS:
        return x.command
    found = _bare(x.raw)
    if found is None:
        return x.command
    head = x.raw[: found.start()]
    return parse_command(head) if head.strip(b" \t") else None


def judged(x: Exchange) -> tuple[Deviation, ...]:
    """Return the deviations of ``x``, without those that exist only because the line was cut: at a bare CR or LF, or at
    the limit for the bytes of a line."""
    command = judged_command(x)
    if command is None:
        return ()
    if x.length - len(x.end) > len(x.raw):
        return tuple(d for d in command.deviations if d.at + d.length < len(x.raw))
    return command.deviations


class CommandMarks:
    """Marks the commands of one client, and counts for limits that hold for a whole session (RFC 9422)."""

    __slots__ = ("_domains", "_longest_name", "_mails")

    def __init__(self, profile: str) -> None:
        self._longest_name = _LONGEST_NAME_821 if profile == "rfc821" else _LONGEST_NAME
        self._mails = 0
        self._domains: set[bytes] | None = None

    def sent(self, x: Exchange, *, one_sided: bool) -> None:
        """Mark what ``x``, just sent, uses. ``one_sided``: the capture has no byte of the server."""
        act, state = x.act, x.state
        if act in _PLAIN and x.length <= MAX_LINE:
            return
        assert state is not None
        if act is _MAIL or act is _RCPT:
            self._envelope(x, state)
        elif act is _END:
            _content(x)
        elif act is _ANSWER:
            if x.length > MAX_AUTH_LINE:
                x.marks |= Mark.LONG_LINE
        elif x.command is not None and x.command.spec is not None:
            if x.command.spec.keyword is not None:
                _extension(x, x.command, state)
            elif act is _ANYTIME:
                if len(x.raw) > _SHORTEST_LONG and x.command.verb == b"VRFY":
                    x.marks |= Mark.LONG_PATH
            elif act in _HELLOS and len(x.raw) > self._longest_name:
                x.marks |= Mark.LONG_PATH
        if x.length > MAX_LINE and x.command is not None:
            command = judged_command(x) or x.command
            if x.length > line_limit(command, None if one_sided else state.hello):
                x.marks |= Mark.LONG_LINE

    def chunk(self, x: Exchange, size: int) -> None:
        """Count the ``size`` octets that ``x``, a BDAT, announces."""
        assert x.state is not None
        transaction = x.state.transaction
        if not isinstance(transaction, Transaction):
            return
        transaction.chunked += size
        _measure(x, transaction, transaction.chunked)

    def _envelope(self, x: Exchange, state: State) -> None:
        """Mark MAIL, its obsolete variants, and RCPT."""
        command, raw = x.command, x.raw
        assert command is not None
        if b"<@" in raw:
            x.marks |= Mark.SOURCE_ROUTE
        if len(raw) > _SHORTEST_LONG and raw.rfind(b">") - raw.find(b"<") > _SHORTEST_LONG:
            x.marks |= Mark.LONG_PATH
        if raw.find(b">") + 1 < len(raw) and command.parameters:
            _parameters(x, state)
        mail = x.act is _MAIL
        if mail:
            self._mails += 1
            if command.verb != b"MAIL":
                x.marks |= Mark.OBSOLETE
        keywords = state.hello.keywords
        if keywords and "LIMITS" in keywords:
            self._limits(x, state, mail=mail)

    def _limits(self, x: Exchange, state: State, *, mail: bool) -> None:
        if mail:
            most = announced_limit(state.hello, "MAILMAX")
            if most is not None and self._mails > most:
                x.marks |= Mark.OVER_LIMIT
            return
        transaction = state.transaction
        if isinstance(transaction, Transaction):
            transaction.asked += 1
            most = announced_limit(state.hello, "RCPTMAX")
            if most is not None and transaction.asked > most:
                x.marks |= Mark.OVER_LIMIT
        most = announced_limit(state.hello, "RCPTDOMAINMAX")
        path = None if most is None or x.command is None else x.command.path
        if most is not None and path is not None and path.domain is not None:
            if self._domains is None:
                self._domains = set()
            domain = path.domain.lower()
            if domain not in self._domains and len(self._domains) < MAX_DOMAINS:
                self._domains.add(domain)
                if len(self._domains) > most:
                    x.marks |= Mark.OVER_DOMAINS


def _extension(x: Exchange, command: Command, state: State) -> None:
    """Mark a command of an extension."""
    hello = state.hello
    if hello.keywords is None:
        return
    mechanism = command.mechanism
    if missing_command(command, hello) is not None or (mechanism is not None and mechanism not in mechanisms(hello)):
        x.marks |= Mark.NOT_OFFERED


def _parameters(x: Exchange, state: State) -> None:
    """Mark MAIL or RCPT with parameters."""
    hello, command = state.hello, judged_command(x)
    if hello.keywords is None or command is None:
        return
    if missing_parameters(command, hello):
        x.marks |= Mark.NOT_OFFERED
    if x.act is not _MAIL:
        return
    size = command.parameters.get("SIZE")
    if size is not None and size.isdigit() and len(size) <= MAX_SIZE_DIGITS:
        _measure(x, x.opens, int(size))
    if "REQUIRETLS" in command.parameters and not hello.secure:
        x.marks |= Mark.REQUIRETLS_CLEAR


def _content(x: Exchange) -> None:
    """Mark the end of mail data."""
    content, transaction = x.content, x.transaction
    if content is not None and transaction is not None and not content.missing:
        _measure(x, transaction, content.size)


def _measure(x: Exchange, transaction: Transaction | None, octets: int) -> None:
    """Mark ``x`` if ``octets`` exceed the server's SIZE; marked once for each transaction."""
    if transaction is None or transaction.oversize:
        return
    most = announced_size(transaction.state.hello)
    if most is not None and octets > most:
        transaction.oversize = True
        x.marks |= Mark.OVER_SIZE
