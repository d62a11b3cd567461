"""Make words of a record: the report of one connection, with times, addresses and texts."""

# Everything before this works with numbers and shared values. Here, once for each connection, they become the plain
# data of the report (`model`). A report of an open connection is made in the same way.

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import UNSET, Struct

from ...dissectors.printable import printable
from .. import model
from ..lines.command_line import shown_words
from ..timestamps import format_time
from ..tls.places import shown_place
from .exchange import Exchange
from .turns import ChunkSeen, GapSeen, LineSeen, MessageSeen, ReplySeen, TlsSeen, mailbox

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..content.message import Content
    from ..tls.facts import Side as TlsSide
    from ..tls.places import RecordPlaces
    from .record import ConnectionRecord
    from .turns import SeenTurn

__all__ = ["NO_DETAIL", "TimeFormat", "TurnDetail", "render", "render_message", "render_turn"]

MAX_RECEIVED = 32  # Received fields of one message; real mail has some ten


class TurnDetail(Struct, frozen=True):
    """Details that the report shows only on request: ``secrets`` of AUTH exchanges, ``headers`` of messages."""

    secrets: bool = False
    headers: bool = False


NO_DETAIL = TurnDetail()


class TimeFormat:
    """Formats times for the report. ``digits``: decimals of a second in the times of the capture. ``prefix``: the
    second ``second_ns`` as text; most times are in the same second as the one before."""

    __slots__ = ("digits", "prefix", "second_ns")

    def __init__(self, digits: int = 6) -> None:
        self.digits = digits
        self.second_ns = -1_000_000_000
        self.prefix = ""

    def __call__(self, time_ns: int) -> str:
        """Format a time in nanoseconds since 1970."""
        fraction = time_ns - self.second_ns
        if not 0 <= fraction < 1_000_000_000:
            fraction = time_ns % 1_000_000_000
            self.second_ns = time_ns - fraction
            self.prefix = format_time(time_ns, 0)[:-1]
        if self.digits == 6:
            return f"{self.prefix}.{str(fraction // 1000).zfill(6)}Z"  # `:06d` takes twice as long
        return f"{self.prefix}.{fraction:09d}Z" if self.digits == 9 else format_time(time_ns, self.digits)


def render(
    record: ConnectionRecord, clock: TimeFormat, detail: TurnDetail = NO_DETAIL, skip: slice | None = None
) -> model.Connection:
    """Return the report of ``record``. ``skip``: turns that are left out; then ``answers`` still counts all turns."""
    turns = record.dialogue
    if skip is not None:
        turns = turns[: skip.start] + turns[skip.stop :]
    started, ended = clock(record.started_ns), clock(record.ended_ns)
    dialogue, gaps = _render_turns(turns, clock, detail), [*record.gaps]
    if record.places is not None:
        gaps = _show_places(dialogue, gaps, record.places)
    report = model.Connection(  # by position: names take longer
        record.id,
        record.client,
        record.server,
        record.protocol,
        record.profile,
        record.tls,
        record.opening,
        record.closing,
        started,
        ended,
        record.client_bytes,
        record.server_bytes,
        gaps,
        dialogue,
        [*record.messages],
        record.findings,
        [*record.notes],
    )
    if record.facts is not None:
        from .tls_report import render_tls  # noqa: PLC0415  few captures have TLS

        report.tls_session = render_tls(record.facts, keys=record.keyed) or UNSET
    return report


def _show_places(
    dialogue: list[model.Turn], gaps: list[model.Gap], places: Mapping[TlsSide, RecordPlaces]
) -> list[model.Gap]:
    """Give what is inside TLS the offset of its record, in place. Return the gaps with their places in the TCP
    stream."""
    for turn in dialogue:
        if isinstance(turn, model.GapTurn):
            turn.offset, turn.length = _show_gap(turn, places)
        elif not isinstance(turn, model.TlsTurn):
            turn.offset, inside = shown_place(places, turn.offset)
            if inside is not None:
                turn.inside = inside
    shown = [model.Gap(gap.side, *_show_gap(gap, places), gap.frame) for gap in gaps]
    return [gap for gap in shown if gap.length]


def _show_gap(gap: model.Gap | model.GapTurn, places: Mapping[TlsSide, RecordPlaces]) -> tuple[int, int]:
    """Return offset and length of a gap in the TCP stream. Length 0: nothing is missing there, a record cannot be
    opened."""
    offset, inside = shown_place(places, gap.offset)
    if inside is None or gap.side == "path":
        return offset, gap.length
    return places[gap.side].gap_at(inside) or (offset, 0)


def render_turn(turn: SeenTurn, clock: TimeFormat) -> model.Turn:
    """Return one turn in words."""
    return _render_turns([turn], clock, NO_DETAIL)[0]


def _render_turns(turns: list[SeenTurn], clock: TimeFormat, detail: TurnDetail) -> list[model.Turn]:
    words: list[model.Turn] = []
    add = words.append
    micros, second_ns, prefix = clock.digits == 6, clock.second_ns, clock.prefix
    time_ns, time = -1, ""
    for turn in turns:
        if turn.time_ns != time_ns:  # several lines may come in one segment
            time_ns = turn.time_ns
            fraction = time_ns - second_ns
            if micros and 0 <= fraction < 1_000_000_000:
                time = f"{prefix}.{str(fraction // 1000).zfill(6)}Z"
            else:
                time = clock(time_ns)
                second_ns, prefix = clock.second_ns, clock.prefix
        if type(turn) is Exchange:
            line = turn.line
            command = line.command
            if command is not None:
                verb, text = command.name, line.argument
                if line.secrets:
                    verb, text = shown_words(command, () if detail.secrets else line.secrets)
                complete = line.end != b""
                add(model.CommandTurn("client", verb, text, turn.predicted, turn.frame, time, turn.offset, complete))
            else:
                secret = printable(line.raw) if detail.secrets else None
                complete = line.end != b""
                add(model.AuthTurn("client", line.length, turn.frame, time, turn.offset, secret, complete))
        elif type(turn) is ReplySeen:
            reply = turn.reply
            answers = turn.answers if turn.answers >= 0 else None
            lines = list(reply.lines)
            shown = model.ReplyTurn(
                "server", reply.code, lines, reply.enhanced, answers, turn.frame, time, turn.offset, turn.complete
            )
            if reply.codes is not None:
                shown.codes = [*reply.codes]
            add(shown)
        else:
            add(_render_rare(turn, time))
    return words


def _render_rare(turn: SeenTurn, time: str) -> model.Turn:
    """Return a turn that is neither a line of the client nor a reply."""
    match turn:
        case MessageSeen():
            return model.MessageTurn(
                "client", turn.size, turn.lines, False, turn.complete, turn.frame, time, turn.offset
            )
        case ChunkSeen():
            return model.MessageTurn(
                "client", turn.size, turn.lines, True, turn.complete, turn.frame, time, turn.offset
            )
        case GapSeen():
            return model.GapTurn(turn.side, turn.length, turn.frame, time, turn.offset)
        case TlsSeen():
            return model.TlsTurn(turn.side, turn.frame, time, turn.offset)
        case LineSeen():
            return model.MalformedTurn("server", printable(turn.raw.rstrip(b"\r\n")), turn.frame, time, turn.offset)
        case _:
            raise TypeError(f"not a turn: {type(turn).__name__}")


def render_message(x: Exchange, content: Content, detail: TurnDetail) -> model.Message:
    """Return a message with its envelope. ``x``: the exchange that ended it."""
    transaction = x.transaction
    sender, recipients = None, []
    if transaction is not None:
        sender = mailbox(transaction.mail)
        for rcpt in transaction.recipients:
            answer = rcpt.answer
            code = None if answer is None else answer.reply.code or None
            recipients.append(model.Recipient(mailbox(rcpt) or "", code))
    subject, message_id = content.subject, content.message_id
    return model.Message(
        sender,
        recipients,
        content.size,
        x.code or None,
        None if subject is None else printable(subject),
        None if message_id is None else printable(message_id),
        content.sha256,
        content.complete,
        _render_header(content) if detail.headers else None,
    )


_RECEIVED = re.compile(rb"(?:\A|\n)Received[ \t]*:[ \t]*([^\n]*(?:\n[ \t][^\n]*)*)", re.IGNORECASE)


def _render_header(content: Content) -> model.Header:
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
