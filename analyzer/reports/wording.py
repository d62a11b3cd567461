"""Turns and findings in words: what was said, whether it was as predicted, what became of a message."""

# The terminal, the HTML page and Markdown tell the same dialogue. What they say of a turn stands here once; how it is
# laid out is theirs.

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, assert_never

from ..model import (
    AuthTurn,
    CommandTurn,
    Connection,
    Finding,
    GapTurn,
    MalformedTurn,
    Message,
    MessageTurn,
    Part,
    ReplyTurn,
    TlsTurn,
    Turn,
)
from ..timestamps import parse_time
from .output import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Prediction",
    "answered",
    "belongs_to",
    "circumstances",
    "fate",
    "frame",
    "kind",
    "message_parts",
    "part_of",
    "place",
    "prediction",
    "quotation",
    "remarks",
    "said",
    "where",
]

# RFC 5321 §3.3 gives a server that has no recipient the choice; the model names the first.
_PREDICTED_TOO: dict[str | None, tuple[str, ...]] = {"DATA": ("554",), "BDAT": ("554",)}
# Recipients of a message that are named one by one.
_NAMED_RECIPIENTS = 8
_OPENING = {"handshake": "opened in the capture", "midstream": "already open when the capture began"}
_CLOSING = {"fin": "closed", "rst": "reset", "open": "still open when the capture ended"}


class Prediction(NamedTuple):
    """``kept``: the reply is as predicted. ``refused``: the command was in order, and refused for other reasons."""

    state: Literal["kept", "refused", "broken"]
    text: str


def said(turn: Turn) -> list[str]:
    """The lines of a command or reply as they were sent; of anything else, words about it in brackets."""
    match turn:
        case ReplyTurn():
            last = len(turn.lines) - 1
            return [
                f"{turn.code:03}{'-' if number < last else ' '}{text}" for number, text in enumerate(turn.lines)
            ] or [f"{turn.code:03}"]
        case CommandTurn():
            words = (turn.verb or "", turn.argument)
            return [" ".join(word for word in words if word is not None) or "(an empty line)"]
        case AuthTurn(text=str(text)):
            return [text]
        case AuthTurn():
            return [f"(a line of the AUTH exchange, {plural(turn.length, 'byte')}, not shown)"]
        case MessageTurn():
            kind = "BDAT chunk" if turn.chunked else "message"
            end = "" if turn.complete else ", incomplete"
            return [f"({kind}: {plural(turn.size, 'byte')}, {plural(turn.lines, 'line')}{end})"]
        case TlsTurn():
            return ["(TLS handshake: what follows is encrypted)"]
        case GapTurn():
            return [f"({plural(turn.length, 'byte')} not captured)"]
        case MalformedTurn():
            return [turn.text]
        case _:
            assert_never(turn)


def answered(reply: ReplyTurn, dialogue: Sequence[Turn]) -> Turn | None:
    """The turn that ``reply`` answers; None for a greeting, and for what nobody had asked."""
    return dialogue[reply.answers] if reply.answers is not None and 0 <= reply.answers < len(dialogue) else None


def belongs_to(index: int, dialogue: Sequence[Turn]) -> str:
    """What the reply at ``index`` answers, where that is not plain from its place: the verb, "no command"; else ""."""
    reply = dialogue[index]
    if not isinstance(reply, ReplyTurn):
        return ""
    command = answered(reply, dialogue)
    if command is None or reply.answers is None:
        return "" if index == 0 or reply.code == 220 else "no command"
    if all(isinstance(dialogue[between], MessageTurn) for between in range(reply.answers + 1, index)):
        return ""  # the command right above, or above its BDAT chunk
    return (command.verb or "the line") if isinstance(command, CommandTurn) else kind(command)


def kind(turn: Turn) -> str:
    """``reply``, ``command``, ``message``, …: as in the report's JSON."""
    return str(turn.__struct_config__.tag)


def prediction(reply: ReplyTurn, dialogue: Sequence[Turn]) -> Prediction | None:
    """``reply`` held against that of a server that follows the RFC, in the state that this one was in.

    None where there is no prediction: the RFC leaves it open, or the capture does.
    """
    command = answered(reply, dialogue)
    if not isinstance(command, CommandTurn) or command.predicted == "unknown":
        return None
    if command.predicted == "accept":
        if reply.code < 400:
            return Prediction("kept", "as predicted")
        # A refusal for reasons of its own (a mailbox, a policy, a size) is the server's right; disorder was not there.
        if reply.code in {500, 502, 503}:
            return Prediction("broken", f"predicted: accepted, as {command.verb or 'the line'} was in order")
        return Prediction("refused", "in order, refused")
    due = (command.predicted, *(_PREDICTED_TOO.get(command.verb, ()) if command.predicted == "503" else ()))
    if str(reply.code) in due:
        return Prediction("kept", f"as predicted: {' or '.join(due)} was due")
    return Prediction("broken", f"predicted: {command.predicted}")


def circumstances(connection: Connection) -> str:
    """When it began, how it began and ended, how much each side sent."""
    sizes = f"client {plural(connection.client_bytes, 'byte')}, server {plural(connection.server_bytes, 'byte')}"
    opening, closing = _OPENING[connection.opening], _CLOSING[connection.closing]
    return f"{connection.started}, {opening}, {closing}, {sizes}"


def message_parts(message: Message) -> list[str]:
    """From whom to whom, how large, what became of it, its subject."""
    sender = "an unknown sender" if message.from_ is None else f"<{message.from_}>"
    to = ", ".join(f"<{r.address}> ({r.code or 'no reply seen'})" for r in message.recipients[:_NAMED_RECIPIENTS])
    more = len(message.recipients) - _NAMED_RECIPIENTS
    parts = [
        f"from {sender} to {to or 'nobody'}" + (f" and {more:,} more" if more > 0 else ""),
        plural(message.size, "byte") + ("" if message.complete else ", incomplete"),
        fate(message.code),
    ]
    if message.subject is not None:
        parts.append(f'subject "{message.subject}"')
    return parts


def fate(code: int | None) -> str:
    """What the reply to a message means."""
    if code is None:
        return "no reply seen"
    return f"accepted ({code})" if code < 400 else f"refused ({code})"


def part_of(parts: Sequence[Part], time: str) -> Part | None:
    """In which of the ``parts`` of a connection a frame with this ``time`` is; None where that is not known."""
    if len(parts) < 2:
        return parts[0] if parts else None
    at = parse_time(time)
    return next((part for part in parts if at <= parse_time(part.last)), parts[-1])


def frame(of: Finding, parts: Sequence[Part]) -> str:
    """Its number, as Wireshark counts; with its capture where the connection goes on from one to the next."""
    part = part_of(parts, of.time) if len(parts) > 1 else None
    return f"{of.frame}" if part is None else f"{of.frame} of {part.path}"


def place(finding: Finding, parts: Sequence[Part]) -> str:
    """Where a finding is: frame, and byte of its side's stream. ``parts``: of its connection."""
    return f"frame {frame(finding, parts)}, byte {finding.offset:,}"


def where(parts: Sequence[Part]) -> str:
    """The captures that a connection is in: ``in a.pcap, then b.pcap``. "" where none is known."""
    return f"in {', then '.join(part.path for part in parts)}" if parts else ""


def quotation(finding: Finding, turn: Turn | None) -> str:
    """The evidence, where what was said in ``turn`` does not show it already."""
    return finding.evidence if turn is None or all(finding.evidence not in line for line in said(turn)) else ""


def remarks(finding: Finding) -> list[str]:
    """What there is to say of a finding besides its message: sections, how often, how sure."""
    found = [finding.reference] if finding.reference else []
    if finding.count > 1 and " times" not in finding.message:
        found.append(f"in {finding.count:,} places")
    if finding.certainty == "indeterminate":
        found.append("not certain: the capture leaves it open")
    return found
