"""The dialogue in the report: the lines of both sides as turns, in the order in which they happened."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from ...dissectors.printable import printable
from .. import model

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...dissectors.lines.commands import Command
    from ...dissectors.lines.replies import Reply
    from ..content.end_of_data import Content
    from ..limits import Limits
    from .exchange import Exchange

__all__ = ["NO_DETAIL", "TurnDetail", "TurnLog", "mailbox", "shown"]

MAX_SHOWN = 200  # bytes of a line that are quoted as evidence
MAX_RECEIVED = 32  # Received fields of one message; real mail has some ten


class TurnDetail(Struct, frozen=True):
    """Details that the report shows only on request: ``secrets`` of AUTH exchanges, ``headers`` of messages."""

    secrets: bool = False
    headers: bool = False


NO_DETAIL = TurnDetail()


class TurnLog:
    """Adds the turns of one connection to its record. Methods that add a turn return its index, -1: not kept."""

    __slots__ = ("_detail", "_full", "_header_note", "_last_gaps", "_limit", "_record", "_turns", "time")

    def __init__(
        self, record: model.Connection, limits: Limits, clock: Callable[[int], str], detail: TurnDetail = NO_DETAIL
    ) -> None:
        self._record = record
        self._turns = record.dialogue
        self._limit = limits.turns
        self._full = False
        self._last_gaps: dict[model.Side, model.Gap] = {}
        self._header_note = f"a message header is longer than {limits.header_bytes} bytes: its fields are not known"
        self._detail = detail
        self.time = clock

    def _add(self, turn: model.Turn) -> int:
        index = len(self._turns)
        if 0 < self._limit <= index:
            if not self._full:
                self._full = True
                self._record.notes.append(f"the dialogue is shown up to turn {self._limit}; the audit went on")
            return -1
        self._turns.append(turn)
        return index

    def command(self, command: Command, frame: int, time_ns: int, offset: int) -> int:
        """Add a command line."""
        argument = command.argument
        text = None if argument is None else shown_argument(command, argument, secrets=self._detail.secrets)
        return self._add(model.CommandTurn("client", command.name, text, "unknown", frame, self.time(time_ns), offset))

    def predicted(self, x: Exchange, predicted: model.Predicted) -> None:
        """Set the expected answer to the command."""
        turn = self._turns[x.turn] if x.turn >= 0 else None
        if isinstance(turn, model.CommandTurn):
            turn.predicted = predicted

    def answer(self, raw: bytes, length: int, frame: int, time_ns: int, offset: int) -> int:
        """Add a client line of an AUTH exchange."""
        text = printable(raw) if self._detail.secrets else None
        return self._add(model.AuthTurn("client", length, frame, self.time(time_ns), offset, text))

    def reply(self, reply: Reply, answers: int, frame: int, time_ns: int, offset: int) -> int:
        """Add a complete reply. ``answers``: index of the turn that it answers, -1: none."""
        answered = answers if answers >= 0 else None
        return self._add(
            model.ReplyTurn(
                "server", reply.code, reply.lines, reply.enhanced, answered, frame, self.time(time_ns), offset
            )
        )

    def malformed(self, line: bytes, frame: int, time_ns: int, offset: int) -> int:
        """Add a server line that is not a valid reply."""
        text = printable(line.rstrip(b"\r\n"))
        return self._add(model.MalformedTurn("server", text, frame, self.time(time_ns), offset))

    def message(self, content: Content, *, complete: bool) -> int:
        """Add mail data after DATA."""
        time = self.time(content.time_ns)
        return self._add(
            model.MessageTurn(
                "client", content.size, content.lines, False, complete, content.frame, time, content.offset
            )
        )

    def chunk(self, content: Content, size: int, frame: int, time_ns: int, offset: int) -> int:
        """Add a BDAT chunk that starts here; ``end_chunk`` completes the turn."""
        time = self.time(time_ns)
        return self._add(model.MessageTurn("client", size, content.lines, True, False, frame, time, offset))

    def end_chunk(self, index: int, content: Content, missing: int = 0) -> None:
        """Complete the turn of a chunk; ``missing`` octets of it never came."""
        turn = self._turns[index] if index >= 0 else None
        if isinstance(turn, model.MessageTurn):
            turn.complete = not missing
            turn.size -= missing
            turn.lines = content.lines - turn.lines

    def tls(self, side: model.Side, frame: int, time_ns: int, offset: int) -> int:
        """Add the start of the TLS handshake."""
        return self._add(model.TlsTurn(side, frame, self.time(time_ns), offset))

    def gap(self, side: model.Side, offset: int, length: int, frame: int, time_ns: int) -> None:
        """Add missing bytes; bytes adjacent to the last gap of this side extend that gap."""
        last = self._last_gaps.get(side)
        if last is not None and last.offset + last.length == offset:
            last.length += length
            turn = self._turns[-1] if self._turns else None
            if isinstance(turn, model.GapTurn) and turn.side == side:
                turn.length += length
                return
        else:
            gap = self._last_gaps[side] = model.Gap(side, offset, length, frame)
            self._record.gaps.append(gap)
        self._add(model.GapTurn(side, length, frame, self.time(time_ns), offset))

    def deliver(self, x: Exchange, content: Content) -> None:
        """Add a message with its envelope to the record. ``x``: the exchange that ended it."""
        transaction = x.transaction
        sender, recipients = None, []
        if transaction is not None:
            sender = mailbox(transaction.mail)
            recipients = [model.Recipient(mailbox(r) or "", r.code or None) for r in transaction.recipients]
        subject, message_id = content.subject, content.message_id
        notes = self._record.notes
        if content.header_cut and self._header_note not in notes:
            notes.append(self._header_note)
        self._record.messages.append(
            model.Message(
                sender,
                recipients,
                content.size,
                x.code or None,
                None if subject is None else printable(subject),
                None if message_id is None else printable(message_id),
                content.sha256,
                content.complete,
                _header(content) if self._detail.headers else None,
            )
        )


_RECEIVED = re.compile(rb"(?:\A|\n)Received[ \t]*:[ \t]*([^\n]*(?:\n[ \t][^\n]*)*)", re.IGNORECASE)


def _header(content: Content) -> model.Header:
    """Return the header fields that monitors log besides subject and message id."""

    def text(*names: bytes) -> str | None:
        for name in names:
            value = content.field(name)
            if value is not None:
                return printable(value)
        return None

    received = [
        printable(found[1].replace(b"\r\n", b"").replace(b"\n", b"").strip())
        for found, _ in zip(_RECEIVED.finditer(content.header), range(MAX_RECEIVED), strict=False)
    ]
    return model.Header(
        text(b"Date"),
        text(b"From"),
        text(b"To"),
        text(b"Cc"),
        text(b"Reply-To"),
        text(b"In-Reply-To"),
        text(b"User-Agent", b"X-Mailer", b"X-User-Agent"),
        text(b"X-Originating-IP"),
        received,
    )


def shown_argument(command: Command, argument: bytes, *, secrets: bool = False) -> str:
    """Return the argument as the report shows it; secrets of an AUTH command are hidden unless ``secrets`` is true."""
    if command.verb == b"AUTH" and not secrets:
        mechanism, _, initial = argument.partition(b" ")
        if initial.strip() not in (b"", b"="):
            return f"{printable(mechanism)} [{len(initial)} bytes not shown]"
    return printable(argument)


def shown(x: Exchange) -> str:
    """Return the client's line for use as evidence, without secrets."""
    command = x.command
    if command is None:
        return ""
    if command.verb == b"AUTH" and command.argument is not None:
        return f"AUTH {shown_argument(command, command.argument)}"
    return printable(x.raw[:MAX_SHOWN])


def mailbox(x: Exchange) -> str | None:
    """Return the address of a MAIL or RCPT without brackets and route; "" for the null path, None if unreadable."""
    path = None if x.command is None else x.command.path
    return None if path is None else printable(path.address)
