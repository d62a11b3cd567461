"""The tables of every store, and the rows of a connection in them."""

# A store is for questions that were not foreseen, so it contains what the report contains, under the report's names
# (docs/report.schema.json). A list of the report is a table of its own here, or, if no query would join on it, one text
# with an item on each line. `run` and the numbers of the report make the keys: `turn` and `caused_by` of a finding have
# the same meaning as there. `group` is a word of SQL, so in the table `tls` it is `key_group`.

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, assert_never

from msgspec import UNSET, UnsetType

from ..model import AuthTurn, CommandTurn, GapTurn, MalformedTurn, MessageTurn, ReplyTurn, TlsTurn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..model import Capture, Connection, Summary, TlsSession, Turn

__all__ = ["TABLES", "Cell", "Column", "Row", "Table", "capture_row", "connection_rows", "run_row"]

Cell = str | int | bool | None
Row = tuple[Cell, ...]
Kind = Literal["text", "integer", "boolean", "time"]


class Column(NamedTuple):
    """A column. ``kind``: ``time`` is a text as in the report (RFC 3339, UTC), or a timestamp if the store has that
    type."""

    name: str
    kind: Kind


class Table(NamedTuple):
    """A table. ``key``: how many of its first columns are the key. ``indexed``: columns that have an index."""

    name: str
    columns: tuple[Column, ...]
    key: int
    indexed: tuple[str, ...] = ()


def _columns(text: str) -> tuple[Column, ...]:
    """Return the columns of words such as ``code:integer``; without a kind it is text."""
    kinds: dict[str, Kind] = {"": "text", "integer": "integer", "boolean": "boolean", "time": "time"}
    parts = (word.partition(":") for word in text.split())
    return tuple(Column(name, kinds[kind]) for name, _, kind in parts)


_PLACE = "frame:integer time:time offset:integer inside:integer"

_ALL = (
    Table(
        "runs",
        _columns(
            "run:integer version started:time finished:time connections:integer messages:integer errors:integer "
            "warnings:integer info:integer suppressed:integer"
        ),
        1,
    ),
    Table(
        "captures",
        _columns(
            "run:integer capture:integer path format link_types frames:integer bytes:integer first:time last:time "
            "problems key_logs"
        ),
        2,
    ),
    Table(
        "connections",
        _columns(
            "run:integer connection:integer capture:integer client_address client_port:integer server_address "
            "server_port:integer protocol profile tls opening closing started:time ended:time client_bytes:integer "
            "server_bytes:integer missing_bytes:integer notes"
        ),
        2,
        ("client_address", "server_address"),
    ),
    Table(
        "turns",
        _columns(
            f"run:integer connection:integer turn:integer kind side {_PLACE} verb argument predicted code:integer "
            "enhanced text answers:integer length:integer size:integer lines:integer chunked:boolean complete:boolean"
        ),
        3,
    ),
    Table(
        "messages",
        _columns(
            "run:integer connection:integer message:integer sender size:integer code:integer subject message_id sha256 "
            "complete:boolean"
        ),
        3,
        ("sender", "sha256"),
    ),
    Table(
        "recipients",
        _columns("run:integer connection:integer message:integer recipient:integer address code:integer"),
        4,
        ("address",),
    ),
    Table(
        "tls",
        _columns(
            "run:integer connection:integer version suite key_group dh_bits:integer sni alpn alpn_offered "
            "resumed:boolean retried:boolean early_data:boolean renegotiations:integer key_updates:integer "
            "compressed:boolean ja4 alert_side alert decrypted why"
        ),
        2,
        ("sni", "ja4"),
    ),
    Table(
        "certificates",
        _columns(
            "run:integer connection:integer side certificate:integer subject issuer names not_before:time "
            "not_after:time key_type key_bits:integer signature serial sha256"
        ),
        4,
        ("sha256",),
    ),
    Table(
        "findings",
        _columns(
            "run:integer connection:integer finding:integer rule name severity side certainty message reference "
            f"turn:integer caused_by:integer {_PLACE} length:integer evidence count:integer"
        ),
        3,
        ("rule",),
    ),
)

TABLES: dict[str, Table] = {table.name: table for table in _ALL}
"""Every table by its name; a table comes before those that refer to it."""


def run_row(run: int, version: str, started: str, finished: str | None, summary: Summary | None) -> Row:
    """Return the row of a run; without ``summary`` the run has not finished."""
    if summary is None:
        return (run, version, started, finished, None, None, None, None, None, None)
    counts = summary.findings
    found = (counts.get("error", 0), counts.get("warning", 0), counts.get("info", 0))
    return (run, version, started, finished, summary.connections, summary.messages, *found, summary.suppressed)


def capture_row(run: int, number: int, one: Capture) -> Row:
    """Return the row of a capture."""
    links, problems, keys = ("\n".join(texts) for texts in (one.link_types, one.problems, one.key_logs))
    return (run, number, one.path, one.format, links, one.frames, one.bytes, one.first, one.last, problems, keys)


def connection_rows(run: int, capture: int, one: Connection) -> dict[str, list[Row]]:
    """Return the rows of a connection, by table. ``capture``: the one that was being read when it ended."""
    key = (run, one.id)
    client, server = one.client, one.server
    ends = (client.address, client.port, server.address, server.port)
    kind = (one.protocol, one.profile, one.tls, one.opening, one.closing)
    missing = sum(gap.length for gap in one.gaps)
    times = (one.started, one.ended)
    rows: dict[str, list[Row]] = {
        "connections": [
            (*key, capture, *ends, *kind, *times, one.client_bytes, one.server_bytes, missing, "\n".join(one.notes))
        ],
        "turns": [(*key, number, *_turn(turn)) for number, turn in enumerate(one.dialogue)],
    }
    if one.messages:
        rows["messages"] = [
            (*key, number, m.from_, m.size, m.code, m.subject, m.message_id, m.sha256, m.complete)
            for number, m in enumerate(one.messages)
        ]
        rows["recipients"] = list(_recipients(key, one))
    if one.tls_session is not UNSET:
        rows["tls"] = [_tls(key, one.tls_session)]
        rows["certificates"] = list(_certificates(key, one.tls_session))
    if one.findings:
        rows["findings"] = [
            (
                *(*key, number, f.rule, f.name, f.severity, f.side, f.certainty, f.message, f.reference),
                *(f.turn, f.caused_by, f.frame, f.time, f.offset, _known(f.inside), f.length, f.evidence, f.count),
            )
            for number, f in enumerate(one.findings)
        ]
    return rows


def _recipients(key: tuple[int, int], one: Connection) -> Iterator[Row]:
    for number, message in enumerate(one.messages):
        for place, recipient in enumerate(message.recipients):
            yield (*key, number, place, recipient.address, recipient.code)


def _tls(key: tuple[int, int], one: TlsSession) -> Row:
    alert = (None, None) if one.alert is None else (one.alert.side, one.alert.description)
    return (
        *(*key, one.version, one.suite, one.group, one.dh_bits, one.sni, one.alpn, "\n".join(one.alpn_offered)),
        *(one.resumed, one.retried, one.early_data, one.renegotiations, one.key_updates, one.compressed, one.ja4),
        *(*alert, one.decrypted, one.why),
    )


def _certificates(key: tuple[int, int], session: TlsSession) -> Iterator[Row]:
    for side, chain in (("server", session.certificates), ("client", session.client_certificates)):
        for number, one in enumerate(chain):
            names = "\n".join(one.names)
            yield (
                *(*key, side, number, one.subject, one.issuer, names, one.not_before, one.not_after),
                *(one.key_type, one.key_bits, one.signature, one.serial, one.sha256),
            )


def _known(place: int | UnsetType) -> int | None:
    return None if place is UNSET else place


_NONE_8 = (None,) * 8


def _turn(turn: Turn) -> Row:
    inside = None if isinstance(turn, GapTurn | TlsTurn) else _known(turn.inside)
    place = (turn.frame, turn.time, turn.offset, inside)
    match turn:
        case ReplyTurn():
            text = "\n".join(turn.lines)
            said: Row = (None, None, None, turn.code, turn.enhanced, text, turn.answers, None, None, None, None, None)
            return ("reply", turn.side, *place, *said)
        case CommandTurn():
            return ("command", turn.side, *place, turn.verb, turn.argument, turn.predicted, *_NONE_8, None)
        case MessageTurn():
            return ("message", turn.side, *place, *_NONE_8, turn.size, turn.lines, turn.chunked, turn.complete)
        case GapTurn():
            return ("gap", turn.side, *place, *_NONE_8[1:], turn.length, None, None, None, None)
        case AuthTurn():
            text_only = (None, None, None, None, None, turn.text, None, turn.length, None, None, None, None)
            return ("auth", turn.side, *place, *text_only)
        case TlsTurn():
            return ("tls", turn.side, *place, *_NONE_8, None, None, None, None)
        case MalformedTurn():
            return ("malformed", turn.side, *place, None, None, None, None, None, turn.text, *_NONE_8[2:])
        case _:
            assert_never(turn)
