"""Limits and offers that a client's command exceeds: marked when it is sent, explained by the rules."""

# What a line shows by itself is decided in `lines/command_line.py`. Here is what also depends on the offers of the
# server and on earlier commands. `CommandLine.needs` says which commands are checked: most are not.

from __future__ import annotations

from typing import TYPE_CHECKING

from ..content.octet_checks import Flaw
from ..lines.acts import Act
from ..lines.command_line import MAX_LINE, judged_part
from ..lines.marks import Mark
from .ehlo_offers import (
    announced_limits,
    announced_size,
    line_limit,
    mechanisms,
    missing_command,
    missing_parameters,
)
from .exchange import Exchange, Transaction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...dissectors.lines.commands import Command
    from ..content.message import Content
    from .state_table import Hello, State
    from .turns import SeenTurn

__all__ = [
    "MAX_AUTH_LINE",
    "LimitCounts",
    "check_auth_line",
    "check_chunk",
    "check_declared",
    "check_message",
    "check_offers",
    "judged_command",
]

MAX_AUTH_LINE = 12288  # octets of a line of an AUTH exchange with its CRLF (RFC 4954 §4)
MAX_DOMAINS = 10_000  # recipient domains remembered, if the server limits them
MAX_SIZE_DIGITS = 20  # RFC 1870 §3
# Octets by which a message may exceed its declared SIZE: RFC 1870 §6.3 has it as an estimate. The first one is for a
# message that the server refused for its size.
MAX_EXCESS = 10
MAX_EXCESS_STORED = 1000

# Bound once: reading a member of an enum takes longer than the test that uses it.
_LONG_LINE, _MAIL = Mark.LONG_LINE.value, Act.MAIL


def judged_command(x: Exchange) -> Command | None:
    """Return the command of ``x`` as far as its grammar can be judged: up to the first bare CR or LF, because another
    command may follow there. None: nothing comes before it."""
    return judged_part(x.line.command, x.marks)


def check_offers(x: Exchange, command: Command, *, one_sided: bool) -> None:
    """Mark what ``x``, just sent, uses without an offer, and its length. ``one_sided``: the capture has no byte of the
    server."""
    state = x.state
    assert state is not None
    if x.act is Act.MAIL or x.act is Act.RCPT:
        if command.parameters:
            _check_parameters(x, state)
    elif command.spec is not None and command.spec.keyword is not None and state.hello.keywords is not None:
        mechanism = command.mechanism
        unknown = mechanism is not None and mechanism not in mechanisms(state.hello)
        if unknown or missing_command(command, state.hello) is not None:
            x.marks |= Mark.NOT_OFFERED
    if x.line.length > MAX_LINE:
        judged = judged_command(x) or command
        if x.line.length > line_limit(judged, None if one_sided else state.hello):
            x.marks |= _LONG_LINE


def check_auth_line(x: Exchange) -> None:
    """Mark a line of an AUTH exchange that is too long."""
    if x.line.length > MAX_AUTH_LINE:
        x.marks |= _LONG_LINE


def check_message(x: Exchange) -> None:
    """Mark the end of mail data if the message is larger than the server's SIZE."""
    content, transaction = x.content, x.transaction
    if content is not None and transaction is not None and not content.missing:
        _measure(x, transaction, content.size)


def check_declared(x: Exchange, transaction: Transaction, content: Content) -> None:
    """Compare what MAIL declared with the message that ``x`` ended: its size, and whether it needs SMTPUTF8."""
    parameters = transaction.parameters
    if not parameters or content.missing or not content.complete:
        return
    size = parameters.get("SIZE")
    if size is not None and size.isdigit() and len(size) <= MAX_SIZE_DIGITS:
        declared = int(size)
        excess = content.size - declared
        if excess > MAX_EXCESS and declared:
            far = excess > MAX_EXCESS_STORED and excess * 10 > declared
            if far or x.code == 552:
                content.declared |= Flaw.SIZE_UNDERSTATED
    if "SMTPUTF8" in parameters and content.header_8bit is None and not content.header_cut:
        lines = (transaction.mail, *transaction.recipients)
        parts = content.body_8bit is not None and content.part_header_8bit
        if not parts and all(one.raw.isascii() for one in lines):
            content.declared |= Flaw.UTF8_NOT_NEEDED


def _check_parameters(x: Exchange, state: State) -> None:
    """Mark MAIL or RCPT with parameters."""
    hello, command = state.hello, judged_command(x)
    if hello.keywords is None or command is None:
        return
    if missing_parameters(command, hello):
        x.marks |= Mark.NOT_OFFERED
    if x.act is not Act.MAIL:
        return
    size = command.parameters.get("SIZE")
    if size is not None and size.isdigit() and len(size) <= MAX_SIZE_DIGITS:
        _measure(x, x.opens, int(size))
    if "REQUIRETLS" in command.parameters and not hello.secure:
        x.marks |= Mark.REQUIRETLS_CLEAR


def _measure(x: Exchange, transaction: Transaction | None, octets: int) -> None:
    """Mark ``x`` if ``octets`` exceed the server's SIZE; marked once for each transaction."""
    if transaction is None or transaction.oversize:
        return
    most = announced_size(transaction.state.hello)
    if most is not None and octets > most:
        transaction.oversize = True
        x.marks |= Mark.OVER_SIZE


def check_chunk(x: Exchange, size: int) -> None:
    """Count the ``size`` octets that ``x``, a BDAT, announces."""
    assert x.state is not None
    transaction = x.state.transaction
    if isinstance(transaction, Transaction):
        transaction.chunked += size
        _measure(x, transaction, transaction.chunked)


class LimitCounts:
    """Counts for limits that hold for a whole session (RFC 9422). It exists only if the server announced LIMITS."""

    __slots__ = ("_counted", "_domains", "_hello", "_limits", "_mails")

    def __init__(self) -> None:
        self._hello: Hello | None = None
        self._limits: Mapping[str, int] = {}  # of that hello
        self._mails = 0
        self._counted = 0  # turns in which MAIL was counted
        self._domains: set[bytes] | None = None

    def count(self, x: Exchange, dialogue: list[SeenTurn]) -> None:
        """Mark ``x``, a MAIL or RCPT whose turn is in ``dialogue``, if it is one too many."""
        state = x.state
        assert state is not None
        if state.hello is not self._hello:
            self._hello, self._limits = state.hello, announced_limits(state.hello)
        if x.act is _MAIL:
            for turn in dialogue[self._counted :]:
                if type(turn) is Exchange and turn.act is _MAIL:
                    self._mails += 1
            self._counted = len(dialogue)
            most = self._limits.get("MAILMAX")
            if most is not None and self._mails > most:
                x.marks |= Mark.OVER_LIMIT
            return
        transaction = state.transaction
        if isinstance(transaction, Transaction):
            transaction.asked += 1
            most = self._limits.get("RCPTMAX")
            if most is not None and transaction.asked > most:
                x.marks |= Mark.OVER_LIMIT
        most = self._limits.get("RCPTDOMAINMAX")
        path = None if most is None or x.command is None else x.command.path
        if most is not None and path is not None and path.domain is not None:
            if self._domains is None:
                self._domains = set()
            domain = path.domain.lower()
            if domain not in self._domains and len(self._domains) < MAX_DOMAINS:
                self._domains.add(domain)
                if len(self._domains) > most:
                    x.marks |= Mark.OVER_DOMAINS
