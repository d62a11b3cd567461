"""Signs of attacks, noticed while a conversation runs: facts for the SEC rules, as marks on exchanges."""

# These facts span more than one exchange (the second line of an AUTH LOGIN exchange is the password, the tenth refused
# recipient makes a harvest), so a rule that sees one exchange at a time cannot find them. Nothing is judged here.
# Secrets are examined as they pass and not stored: only the mechanism and the length of a user name are kept.

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from ...dissectors.lazy_regex import LazyPattern
from ...dissectors.lines.commands import is_base64
from ...dissectors.tables.keywords import KEYWORDS
from ..content.header import begins_field
from ..lines.acts import Act
from ..lines.command_line import rest_of_response
from ..lines.marks import Mark
from ..lines.protocol_detection import other_protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..limits import Limits
    from .exchange import Exchange
    from .state_table import Hello

__all__ = [
    "AttackMarks",
    "AuthExchange",
    "Injection",
    "PlainFault",
    "is_masked",
    "is_masked_text",
    "mark_offers",
    "plain_fault",
]

_PASSWORDS = frozenset({"PLAIN", "LOGIN"})
_RUN = LazyPattern(r"([A-Z])\1{6}(?:[A-Z]|\1[A-Z])")
_CLEAR_OFFER = Mark.CLEAR_OFFER.value
_NO_SUCH_USER = frozenset({550, 551, 553})
_ASKED_FOR = frozenset({b"VRFY", b"EXPN"})
_MASK = b"*" * 8
_LEFT_IN_MASK = b"0123456789 *"

# Mechanisms that send a password or a token as it is: the client line that carries it (an initial response is line 1).
_SECRET_LINE = {"PLAIN": 1, "LOGIN": 2, "XOAUTH2": 1, "OAUTHBEARER": 1}
_NO_SECRET = frozenset({b"", b"=", b"*"})
_SHORTEST_REST = 16  # octets of a line that is taken for the rest of a response
_BASE64_LINE = LazyPattern(rb"[A-Za-z0-9+/]++={0,2}")
_USER_FIELD = LazyPattern(rb"(?:user=|n,a=)([^\x01,]*)")


class Injection(Struct, frozen=True):
    """Plain text after STARTTLS: its first line, its length in bytes, and where it starts."""

    line: bytes
    length: int
    offset: int
    frame: int
    time_ns: int


class PlainFault(NamedTuple):
    """A response of AUTH PLAIN that is not authorization identity, NUL, user, NUL, password. ``nuls``: how many NULs it
    has. ``empty``: the part that is empty, if it has two."""

    nuls: int
    empty: str


class AuthExchange:
    """One AUTH exchange: ``mechanism``, number of client lines so far, length of the user name in bytes if known."""

    __slots__ = ("lines", "mechanism", "user_length")

    def __init__(self, mechanism: str) -> None:
        self.mechanism = mechanism
        self.lines = 0
        self.user_length: int | None = None

    def takes(self, line: bytes) -> bool:
        """Take the client's next ``line`` (base64). Return whether it carries a password or a token."""
        self.lines += 1
        text = _decoded(line) if is_base64(line) else b""  # what else decodes says nothing of a name
        if self.mechanism == "LOGIN" and self.lines == 1:
            self.user_length = len(text)
        if _SECRET_LINE.get(self.mechanism) != self.lines or line in _NO_SECRET:
            return False
        if self.mechanism == "PLAIN" and text.count(b"\0") == 2:
            self.user_length = len(text.split(b"\0")[1])
        elif self.mechanism in {"XOAUTH2", "OAUTHBEARER"}:
            named = _USER_FIELD.search(text)
            self.user_length = None if named is None else len(named[1])
        return True


class AttackMarks:
    """Marks exchanges of one connection, and keeps the facts that the marks alone do not contain."""

    __slots__ = (
        "_limit",
        "_probes",
        "_refused",
        "beyond",
        "beyond_count",
        "foreign",
        "harvest",
        "in_foreign_header",
        "injection",
        "login",
        "masked_greeting",
        "postmasters",
        "upgrading",
        "veil",
    )

    def __init__(self, limits: Limits) -> None:
        self._limit = limits.harvest_probes
        self._probes = 0  # VRFY and EXPN commands
        self._refused = 0  # recipients refused because they do not exist
        self.in_foreign_header = False  # the last line belonged to a request of another protocol
        self.foreign: str | None = None  # that protocol
        self.harvest = ""  # what the client used to search for addresses, once that is certain
        self.injection: Injection | None = None
        self.login: AuthExchange | None = None  # the last AUTH exchange
        self.postmasters: list[Exchange] = []  # see `postmasters`
        self.upgrading = False  # 220 to STARTTLS was sent, and the server has sent no TLS yet
        self.veil: Exchange | None = None  # what shows best that a device on the path changes what the server says
        self.masked_greeting: Exchange | None = None  # judged once a hello shows whether its keywords are changed too
        self.beyond: Exchange | None = None  # the first reply to data after a look-alike of the end of data
        self.beyond_count = 0

    def command(self, x: Exchange) -> None:
        """Mark a command that may matter because of what came before it."""
        command = x.line.command
        assert command is not None
        if x.act is Act.AUTH and command.mechanism is not None:
            self.login = AuthExchange(command.mechanism)
            if command.initial is not None:
                self._login_line(x, None if x.state is None else x.state.hello, command.initial)
        if command.spec is None and _goes_on(x):
            x.act, x.line = Act.ANSWER, rest_of_response(x.line)
            x.marks |= x.line.marks
            assert x.ahead is not None
            x.ahead.marks &= ~Mark.BAD_PLAIN  # it is only a part of the response
        elif command.spec is None or self.in_foreign_header:
            self._foreign(x)

    def answer(self, x: Exchange) -> None:
        """Mark ``x``, a client line of an AUTH exchange."""
        if self.login is not None:
            self._login_line(x, None if x.state is None else x.state.hello, x.raw)

    def probed(self, x: Exchange, code: int) -> None:
        """Count ``x``, a RCPT or a command legal at any time, answered with ``code``: is it a search for addresses?"""
        before = x.before
        if before is None or not before.sure or before.hello.authenticated:
            return
        if x.act is Act.RCPT:
            self._refused += code in _NO_SUCH_USER
            many, what = self._refused == self._limit, f"RCPT, {self._refused} of them refused with {code}"
        elif x.command is not None and x.command.verb in _ASKED_FOR:
            self._probes += 1
            many, what = self._probes == self._limit, f"VRFY or EXPN, {self._probes} of them"
        else:
            return
        if many and not self.harvest:
            self.harvest = what
            x.marks |= Mark.HARVEST

    def answered_beyond(self, x: Exchange) -> None:
        """Mark ``x``: its reply can only answer data after a look-alike of the end of data."""
        x.marks |= Mark.BEYOND_END
        self.beyond_count += 1
        if self.beyond is None:
            self.beyond = x

    def _login_line(self, x: Exchange, hello: Hello | None, line: bytes) -> None:
        assert self.login is not None
        if self.login.takes(line):
            if hello is not None and not hello.secure:
                x.marks |= Mark.CLEAR_PASSWORD
            if self.login.mechanism == "PLAIN" and is_base64(line) and plain_fault(line) is not None:
                x.marks |= Mark.BAD_PLAIN

    def _foreign(self, x: Exchange) -> None:
        """Mark a request of another protocol, or a header line of one."""
        protocol = other_protocol(x.raw)
        if protocol is not None:
            x.marks = (x.marks | (Mark.FOREIGN if self.foreign is None else Mark.SKIPPED)) & ~Mark.HASTY
            self.foreign = self.foreign or protocol
            self.in_foreign_header = protocol == "HTTP"
        elif self.in_foreign_header:
            empty = not x.raw.strip()
            self.in_foreign_header = bool(begins_field(x.raw))
            if empty or self.in_foreign_header:
                x.marks = (x.marks | Mark.SKIPPED) & ~Mark.HASTY


def plain_fault(response: bytes) -> PlainFault | None:
    """Return what is wrong with ``response``, base64, to AUTH PLAIN (RFC 4616 §2); None: nothing."""
    parts = _decoded(response).split(b"\0")
    if len(parts) != 3:
        return PlainFault(len(parts) - 1, "")
    return PlainFault(2, "user") if not parts[1] else PlainFault(2, "password") if not parts[2] else None


def _goes_on(x: Exchange) -> bool:
    """Whether the line goes on with the initial response of the AUTH command before it, which is not answered yet."""
    ahead = x.ahead
    if ahead is None or _BASE64_LINE.fullmatch(x.raw) is None:
        return False
    if ahead.marks & Mark.SPLIT_RESPONSE:
        return True
    initial = ahead.command.initial if ahead.act is Act.AUTH and ahead.command is not None else None
    return len(x.raw) >= _SHORTEST_REST and initial is not None and initial != b"="


def mark_offers(x: Exchange, keywords: Mapping[str, tuple[str, ...]]) -> None:
    """Mark ``x``, whose EHLO reply outside TLS lists ``keywords``."""
    if "AUTH" in keywords and not _PASSWORDS.isdisjoint([name.upper() for name in keywords["AUTH"]]):
        x.marks |= _CLEAR_OFFER
    if "STARTTLS" not in keywords and any(map(is_masked, [name for name in keywords if name not in KEYWORDS])):
        x.marks |= Mark.MASKED


def is_masked(keyword: str) -> bool:
    """Whether ``keyword`` (upper case) looks like STARTTLS overwritten in transit: one letter eight times, where the
    last may differ, or STARTTLS with one or two letters changed."""
    if _RUN.fullmatch(keyword):
        return True
    same = sum(a == b for a, b in zip(keyword, "STARTTLS", strict=False))
    return len(keyword) == len("STARTTLS") and 6 <= same < len("STARTTLS")


def is_masked_text(text: bytes) -> bool:
    """Whether the text of a greeting was overwritten in transit: a run of asterisks, between which a device left some
    digits and blanks as they were."""
    return _MASK in text and not text.strip(_LEFT_IN_MASK)


def _decoded(line: bytes) -> bytes:
    try:
        return binascii.a2b_base64(line)
    except binascii.Error:
        return b""
