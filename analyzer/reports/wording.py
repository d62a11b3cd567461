"""The text about turns and findings: the lines sent, whether a reply was as predicted, the result of a message."""

# The terminal, the HTML page and Markdown show the same dialogue. The text about each turn is here, once; each writer
# decides its own layout.

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, assert_never

from msgspec import UNSET, UnsetType

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
    TlsSession,
    TlsTurn,
    Turn,
)
from ..timestamps import local_time, parse_time
from .output import plural
from .tls_wording import handshake

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

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

# RFC 5321 §3.3 lets a server that has no recipient choose; the model names the first code.
_ALSO_PREDICTED: dict[str | None, tuple[str, ...]] = {"DATA": ("554",), "BDAT": ("554",)}
# Recipients of a message that are listed one by one.
_NAMED_RECIPIENTS = 8
_OPENING = {"handshake": "opened in the capture", "midstream": "already open when the capture began"}
_CLOSING = {"fin": "closed", "rst": "reset", "open": "still open when the capture ended"}


class Prediction(NamedTuple):
    """A comparison with the predicted reply. ``kept``: the reply is as predicted. ``refused``: the command was in
    order, but the server refused it for another reason."""

    state: Literal["kept", "refused", "broken"]
    text: str


def said(turn: Turn, session: TlsSession | UnsetType = UNSET) -> list[str]:
    """Return the lines of a command or reply as they were sent; for any other turn, a description in brackets.
    ``session``: of TLS in this connection."""
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
            return [f"({handshake(session)})"]
        case GapTurn(length=0):
            return ["(a TLS record that cannot be opened)"]
        case GapTurn():
            return [f"({plural(turn.length, 'byte')} not captured)"]
        case MalformedTurn():
            return [turn.text]
        case _:
            assert_never(turn)


def answered(reply: ReplyTurn, dialogue: Sequence[Turn]) -> Turn | None:
    """Return the turn that ``reply`` answers; None for a greeting or an unsolicited reply."""
    return dialogue[reply.answers] if reply.answers is not None and 0 <= reply.answers < len(dialogue) else None


def belongs_to(index: int, dialogue: Sequence[Turn]) -> str:
    """Return what the reply at ``index`` answers if its position does not show it: the verb or "no command"; else
    ""."""
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
    """Return ``reply``, ``command``, ``message``, …: the type name that the JSON report uses."""
    return str(turn.__struct_config__.tag)


def prediction(reply: ReplyTurn, dialogue: Sequence[Turn]) -> Prediction | None:
    """Compare ``reply`` with the reply of a server that follows the RFC and is in the same state.

    None if there is no prediction, because the RFC allows several replies or the capture is incomplete.
    """
    command = answered(reply, dialogue)
    if not isinstance(command, CommandTurn) or command.predicted == "unknown":
        return None
    if command.predicted == "accept":
        if reply.code < 400:
            return Prediction("kept", "as predicted")
        # The server may refuse for its own reasons (a mailbox, a policy, a size). These three codes say that the
        # command itself was wrong, and it was not.
        if reply.code in {500, 502, 503}:
            return Prediction("broken", f"predicted: accepted, as {command.verb or 'the line'} was in order")
        return Prediction("refused", "in order, refused")
    expected = (command.predicted, *(_ALSO_PREDICTED.get(command.verb, ()) if command.predicted == "503" else ()))
    if str(reply.code) in expected:
        return Prediction("kept", f"as predicted: {' or '.join(expected)}")
    return Prediction("broken", f"predicted: {command.predicted}")


def circumstances(connection: Connection, zone: tzinfo | None = None) -> str:
    """Return when and how the connection started, how it ended, and how much each side sent. ``zone``: of the time;
    None: UTC, as it stands."""
    sizes = f"client {plural(connection.client_bytes, 'byte')}, server {plural(connection.server_bytes, 'byte')}"
    opening, closing = _OPENING[connection.opening], _CLOSING[connection.closing]
    started = connection.started if zone is None else local_time(connection.started, zone).isoformat()
    return f"{started}, {opening}, {closing}, {sizes}"


def message_parts(message: Message) -> list[str]:
    """Return the parts of a description: sender and recipients, size, result, subject."""
    sender = "an unknown sender" if message.from_ is None else f"<{message.from_}>"
    to = ", ".join(f"<{r.address}> ({r.code or 'no reply seen'})" for r in message.recipients[:_NAMED_RECIPIENTS])
    more = len(message.recipients) - _NAMED_RECIPIENTS
    parts = [
        f"from {sender} to {to or 'no recipient'}" + (f" and {more:,} more" if more > 0 else ""),
        plural(message.size, "byte") + ("" if message.complete else ", incomplete"),
        fate(message.code),
    ]
    if message.subject is not None:
        parts.append(f'subject "{message.subject}"')
    return parts


def fate(code: int | None) -> str:
    """Return what the reply to a message means."""
    if code is None:
        return "no reply seen"
    return f"accepted ({code})" if code < 400 else f"refused ({code})"


def part_of(parts: Sequence[Part], time: str) -> Part | None:
    """Return the one of the ``parts`` of a connection that contains a frame with this ``time``; None if it is not
    known."""
    if len(parts) < 2:
        return parts[0] if parts else None
    at = parse_time(time)
    return next((part for part in parts if at <= parse_time(part.last)), parts[-1])


def frame(of: Finding, parts: Sequence[Part]) -> str:
    """Return the frame number as Wireshark counts; with its capture if the connection continues in another one."""
    part = part_of(parts, of.time) if len(parts) > 1 else None
    return f"{of.frame}" if part is None else f"{of.frame} of {part.path}"


def place(finding: Finding, parts: Sequence[Part]) -> str:
    """Return the location of a finding: frame, and byte of the stream of its side; of what was inside TLS, the byte of
    its record, and the byte inside. ``parts``: those of its connection."""
    inside = "" if finding.inside is UNSET else f" (inside TLS: byte {finding.inside:,})"
    return f"frame {frame(finding, parts)}, byte {finding.offset:,}{inside}"


def where(parts: Sequence[Part]) -> str:
    """Return the captures that a connection is in: ``in a.pcap, then b.pcap``. "" if none is known."""
    return f"in {', then '.join(dict.fromkeys(part.path for part in parts))}" if parts else ""


def quotation(finding: Finding, turn: Turn | None) -> str:
    """Return the evidence, unless the lines of ``turn`` already show it."""
    return finding.evidence if turn is None or all(finding.evidence not in line for line in said(turn)) else ""


def remarks(finding: Finding) -> list[str]:
    """Return what to add to the message of a finding: the section, the number of places, the certainty."""
    found = [finding.reference] if finding.reference else []
    said = " times" in finding.message or "breaches" in finding.values
    if finding.count > 1 and not said:
        found.append(f"in {finding.count:,} places")
    if finding.certainty == "indeterminate":
        found.append("not certain: the capture does not show enough")
    return found
