"""The mails of a connection as network monitors log them: a record for each mail, or attempt, with envelope and
header."""

# Zeek and Suricata log a mail when it is over, with all commands and replies since the previous one. It ends with the
# reply to its content; else with the next MAIL, RSET or greeting, whatever the server answers; else with the
# connection. The model's messages are different: they are only those that reached their content.

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec import UNSET

from ...model import CommandTurn, MessageTurn, ReplyTurn, TlsTurn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...model import Connection, Message, Turn

__all__ = ["MailRecord", "addresses", "mails"]

_HELLOS = frozenset(("HELO", "EHLO", "LHLO"))
_SENDERS = frozenset(("MAIL", "SEND", "SOML", "SAML"))


@dataclass(slots=True)
class MailRecord:
    """One record. ``depth``: 1 for the first mail of the connection, one more after each mail whose content was
    answered.

    ``sender`` and ``recipients`` are the addresses of the envelope, without brackets; ``sender`` is None if no MAIL was
    seen. ``last_reply``: code and text of the last line of the last reply. ``frame``: that of the command that opened
    the record. ``tls``: TLS started in it, or it was inside TLS.
    """

    depth: int
    started: str
    frame: int
    helo: str | None = None
    sender: str | None = None
    recipients: list[str] = field(default_factory=list)
    message: Message | None = None
    code: int | None = None
    last_reply: str | None = None
    tls: bool = False

    @property
    def enveloped(self) -> bool:
        """Whether the record has more than a greeting."""
        return self.sender is not None or bool(self.recipients) or self.message is not None


def mails(connection: Connection) -> Iterator[MailRecord]:
    """Return the records of a connection, in order; also one for a connection with a greeting only, or with TLS."""
    return _Walk(connection).records()


def addresses(field: str | None) -> list[str]:
    """Return the list in a header field, split at commas outside of quotes (RFC 5322 §3.4)."""
    parts, quoted, start = [], False, 0
    text = field or ""
    for at, char in enumerate(text):
        if char == '"' and text[at - 1 : at] != "\\":
            quoted = not quoted
        elif char == "," and not quoted:
            parts.append(text[start:at].strip())
            start = at + 1
    return [part for part in (*parts, text[start:].strip()) if part]


class _Walk:
    """The state of one pass through the dialogue."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._depth = 1
        self._helo: str | None = None
        self._current: MailRecord | None = None
        self._over = False  # only replies can still belong to the current record
        self._next_message = 0
        self._size = 0
        self._content = False  # the content of the current record has started

    def records(self) -> Iterator[MailRecord]:
        for turn in self._connection.dialogue:
            if isinstance(turn, CommandTurn):
                yield from self._command(turn)
            elif isinstance(turn, MessageTurn):
                self._record(turn)
                # The size of a message is the sum of the octets of its chunks.
                self._size = turn.size + (self._size if turn.chunked else 0)
                self._take_message()
                self._content = True
            elif isinstance(turn, ReplyTurn):
                yield from self._reply(turn)
            elif isinstance(turn, TlsTurn):
                self._record(turn).tls = True
        if self._current is not None:
            yield self._current

    def _record(self, turn: CommandTurn | MessageTurn | ReplyTurn | TlsTurn) -> MailRecord:
        if self._current is None:
            self._current = MailRecord(self._depth, turn.time, turn.frame, self._helo)
            self._current.tls = isinstance(turn, TlsTurn) or turn.inside is not UNSET
            self._over = False
            self._content = False
            self._size = 0
        return self._current

    def _command(self, turn: CommandTurn) -> Iterator[MailRecord]:
        verb = turn.verb or ""
        current = self._current
        envelope = verb in _SENDERS or verb == "RCPT"
        if current is not None and current.enveloped:
            # A MAIL opens another mail, whatever the server answers.
            if verb in _SENDERS or (envelope and self._over):
                yield current
                self._current = None
            elif verb == "RSET" or verb in _HELLOS:
                self._over = True
        if verb in _HELLOS:
            self._helo = turn.argument
            if self._current is None or not self._current.enveloped:
                self._record(turn).helo = self._helo
        elif envelope:
            record = self._record(turn)
            address = _address(turn.argument)
            if verb == "RCPT" and address:
                record.recipients.append(address)
            elif verb != "RCPT" and address is not None:
                record.sender = address

    def _take_message(self) -> None:
        """Take the next message of the model that has the same size as this one."""
        messages = self._connection.messages
        for number in range(self._next_message, len(messages)):
            if messages[number].size == self._size:
                assert self._current is not None
                self._current.message = messages[number]
                self._next_message = number + 1
                return

    def _reply(self, turn: ReplyTurn) -> Iterator[MailRecord]:
        current = self._current
        if current is None:
            if turn.answers is None or self._connection.dialogue[turn.answers].side == "server":
                self._record(turn).last_reply = _last_line(turn)  # the greeting
            return
        current.last_reply = _last_line(turn)
        answered = None if turn.answers is None else self._connection.dialogue[turn.answers]
        if self._content and (_is_last(answered) or (isinstance(answered, MessageTurn) and not answered.chunked)):
            current.code = turn.code
            self._depth += 1
            yield current
            self._current = None


def _is_last(turn: Turn | None) -> bool:
    """Whether the turn is the BDAT command of the last chunk (RFC 3030 §2)."""
    return isinstance(turn, CommandTurn) and turn.verb == "BDAT" and (turn.argument or "").upper().endswith(" LAST")


def _last_line(reply: ReplyTurn) -> str:
    return f"{reply.code} {reply.lines[-1] if reply.lines else ''}".rstrip()


def _address(argument: str | None) -> str | None:
    """Return the address of MAIL or RCPT: the text in the brackets, without a source route; None if there is none."""
    _, colon, rest = (argument or "").partition(":")
    if not colon:
        return None
    rest = rest.strip()
    if rest.startswith("<"):
        path, closed, _ = rest[1:].rpartition(">") if '"' in rest else rest[1:].partition(">")
        if not closed and '"' not in rest:
            path = rest[1:].partition(" ")[0]
    else:
        path = rest.partition(" ")[0]
    if path.startswith("@") and ":" in path:
        path = path.partition(":")[2]
    return path.strip()
