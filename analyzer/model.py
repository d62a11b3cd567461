"""The data model of the report: the typed objects that ``audit()`` yields and that every writer takes.

They are the public contract (docs/report.schema.json is generated from them). If the meaning of a field changes,
``SCHEMA`` must change too. Everything is plain data: text from the wire is already printable
(``dissectors.printable``), times are already RFC 3339 in UTC, offsets and lengths are bytes of one side's TCP stream.
Of what was decrypted, ``offset`` is that of its TLS record, and ``inside`` its place in the plaintext of that side.
"""

# Turns, messages and findings cannot be part of a reference cycle, so the garbage collector need not know them
# (``gc=False``).

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType, field

__all__ = [
    "SCHEMA",
    "AuthTurn",
    "Capture",
    "CommandTurn",
    "Connection",
    "Endpoint",
    "Finding",
    "Gap",
    "GapTurn",
    "Generator",
    "Header",
    "LeftOut",
    "MalformedTurn",
    "Message",
    "MessageTurn",
    "OtherTraffic",
    "Part",
    "Predicted",
    "Recipient",
    "ReplyTurn",
    "Report",
    "Severity",
    "Side",
    "Summary",
    "TlsAlert",
    "TlsCertificate",
    "TlsSession",
    "TlsTurn",
    "Turn",
]

SCHEMA = 1

Side = Literal["client", "server", "path"]
Severity = Literal["error", "warning", "info"]
Certainty = Literal["certain", "indeterminate"]
Predicted = Literal["accept", "503", "500", "501", "502", "504", "530", "unknown"]


class Generator(Struct):
    """The program that wrote the report."""

    name: str = "smtpwire"
    version: str = ""


class Capture(Struct):
    """One input: what was read, and problems of the file. ``bytes``: captured octets of all frames. ``key_logs``: key
    logs of TLS that belong to it: files beside it, or "(in the capture)"."""

    path: str
    format: str = ""
    link_types: list[str] = field(default_factory=list)
    frames: int = 0
    bytes: int = 0
    first: str | None = None
    last: str | None = None
    problems: list[str] = field(default_factory=list)
    key_logs: list[str] = field(default_factory=list)


class Endpoint(Struct, frozen=True, gc=False):
    """One end of a TCP connection."""

    address: str
    port: int


class Gap(Struct, gc=False):
    """Bytes of one side that are missing from the capture. ``frame``: the frame that proves the loss."""

    side: Side
    offset: int
    length: int
    frame: int


class ReplyTurn(Struct, gc=False, tag_field="kind", tag="reply"):
    """One reply of one or more lines. ``answers``: index in the dialogue of the turn that it answers. ``codes``: the
    code of each line, only if they differ; then ``code`` is the last. ``complete``: its last line has come."""

    side: Side
    code: int
    lines: list[str]
    enhanced: str | None
    answers: int | None
    frame: int
    time: str
    offset: int
    complete: bool = True
    codes: list[int] | UnsetType = UNSET
    inside: int | UnsetType = UNSET


class CommandTurn(Struct, gc=False, tag_field="kind", tag="command"):
    """One command line. ``predicted``: the answer of a server in the same state that follows the RFC. ``complete``: its
    line end has come."""

    side: Side
    verb: str | None
    argument: str | None
    predicted: Predicted
    frame: int
    time: str
    offset: int
    complete: bool = True
    inside: int | UnsetType = UNSET


class AuthTurn(Struct, gc=False, tag_field="kind", tag="auth"):
    """One client line of an AUTH exchange (RFC 4954 §4); ``length`` counts its bytes. ``text``: the line itself; None
    unless the report shows secrets. ``complete``: its line end has come."""

    side: Side
    length: int
    frame: int
    time: str
    offset: int
    text: str | None = None
    complete: bool = True
    inside: int | UnsetType = UNSET


class MessageTurn(Struct, gc=False, tag_field="kind", tag="message"):
    """Mail data after DATA, or one BDAT chunk (``chunked``). ``size``: bytes as the receiver stores them: without
    dot-stuffing and without the end-of-data marker."""

    side: Side
    size: int
    lines: int
    chunked: bool
    complete: bool
    frame: int
    time: str
    offset: int
    inside: int | UnsetType = UNSET


class TlsTurn(Struct, gc=False, tag_field="kind", tag="tls"):
    """The TLS handshake starts; everything after it is encrypted on both sides. What was decrypted of it follows, with
    its place ``inside``."""

    side: Side
    frame: int
    time: str
    offset: int


class GapTurn(Struct, gc=False, tag_field="kind", tag="gap"):
    """``length`` bytes of this side are missing from the capture at this place. 0: none is missing there, but the TLS
    record cannot be opened."""

    side: Side
    length: int
    frame: int
    time: str
    offset: int


class MalformedTurn(Struct, gc=False, tag_field="kind", tag="malformed"):
    """A server line that is not a valid reply (RFC 5321 §4.2): it answers nothing."""

    side: Side
    text: str
    frame: int
    time: str
    offset: int
    inside: int | UnsetType = UNSET


Turn = ReplyTurn | CommandTurn | AuthTurn | MessageTurn | TlsTurn | GapTurn | MalformedTurn


class Recipient(Struct, gc=False):
    """One RCPT of a transaction. ``code``: the code of its reply, None if no reply was seen."""

    address: str
    code: int | None


class Header(Struct):
    """Header fields of a message, unfolded; None if a field is absent. ``received``: in order, the newest first."""

    date: str | None = None
    from_: str | None = field(default=None, name="from")
    to: str | None = None
    cc: str | None = None
    reply_to: str | None = None
    in_reply_to: str | None = None
    user_agent: str | None = None
    x_originating_ip: str | None = None
    received: list[str] = field(default_factory=list)


class Message(Struct, gc=False, rename={"from_": "from"}):
    """One mail transaction that reached its content. ``code``: code of the final reply, None if no reply was seen.
    ``sha256``: hash of the content as the receiver stores it, None if bytes of it are missing. ``header``: more fields
    of its header, if the report format has a place for them."""

    from_: str | None
    recipients: list[Recipient]
    size: int
    code: int | None
    subject: str | None
    message_id: str | None
    sha256: str | None
    complete: bool
    header: Header | None = None


class Finding(Struct, gc=False):
    """One violation of one rule by one side. ``turn``: index in the dialogue, None if the finding concerns the whole
    connection. ``caused_by``: index in the connection's findings of the finding that this one is only a consequence of.
    ``values``: the values in ``message`` by their names, redacted as they are there. Durations are in seconds, or in
    milliseconds if the name ends in ``_ms``. Empty if the rule gives none."""

    rule: str
    name: str
    severity: Severity
    side: Side
    certainty: Certainty
    message: str
    reference: str
    turn: int | None
    caused_by: int | None
    frame: int
    time: str
    offset: int
    length: int
    evidence: str
    count: int = 1
    values: dict[str, str | int | float] = field(default_factory=dict)
    inside: int | UnsetType = UNSET


class TlsCertificate(Struct, gc=False):
    """A certificate of a TLS handshake. ``names``: host names and addresses that it is for. ``not_before``,
    ``not_after``: RFC 3339. ``key_bits``: size of the key. ``sha256``: of the certificate."""

    subject: str
    issuer: str
    names: list[str]
    not_before: str
    not_after: str
    key_type: str
    key_bits: int | None
    signature: str
    serial: str
    sha256: str


class TlsAlert(Struct, gc=False):
    """The fatal alert that ended a handshake: who sent it, and its name (RFC 8446 §6)."""

    side: Side
    description: str


class TlsSession(Struct, gc=False):
    """What a TLS session showed of itself; None: not known. ``dh_bits``: size of the prime of a DHE key exchange.
    ``alpn``: the chosen protocol. ``retried``: the server asked for another hello. ``early_data``: whether the server
    accepted it, None if there was none. ``ja4``: fingerprint of the client's hello. ``certificates``: the chain of the
    server, its own first. ``decrypted``: how much of what was inside could be read. ``why``: if not all, the reason."""

    version: str | None
    suite: str | None
    group: str | None
    dh_bits: int | None
    sni: str | None
    alpn: str | None
    alpn_offered: list[str]
    resumed: bool
    retried: bool
    early_data: bool | None
    renegotiations: int
    key_updates: int
    compressed: bool
    ja4: str | None
    alert: TlsAlert | None
    certificates: list[TlsCertificate]
    client_certificates: list[TlsCertificate]
    decrypted: Literal["all", "part", "none"]
    why: str | None


class Part(Struct):
    """The part of a connection in one capture. ``capture``: index in the report's captures; ``path``: path of that
    capture; ``last``: time of the connection's last frame in it. A frame number refers to the first part whose ``last``
    is not before the time given with the number."""

    capture: int
    path: str
    last: str


class Connection(Struct):
    """One TCP connection that carries SMTP. Byte counts are of TCP payload, gaps included. ``captures``: the captures
    that contain its frames, in the order of reading; empty if the frames come from no capture. If one capture fills
    gaps of another, it has a part for each frame that does."""

    id: int
    client: Endpoint
    server: Endpoint
    protocol: Literal["smtp", "lmtp"]
    profile: str
    tls: Literal["none", "starttls", "implicit"]
    opening: Literal["handshake", "midstream"]
    closing: Literal["fin", "rst", "open"]
    started: str
    ended: str
    client_bytes: int
    server_bytes: int
    gaps: list[Gap]
    dialogue: list[Turn]
    messages: list[Message]
    findings: list[Finding]
    notes: list[str] = field(default_factory=list)
    captures: list[Part] = field(default_factory=list)
    tls_session: TlsSession | UnsetType = UNSET


class LeftOut(Struct):
    """Findings of one rule that were left out. ``by``: the setting that says so; ``where``: its hosts, or the name of
    the baseline."""

    by: Literal["per-peer", "known-codes", "baseline"]
    where: str
    rule: str
    findings: int


class OtherTraffic(Struct):
    """TCP connections that are not SMTP. ``port``: of the server. ``protocol``: its name, ``unknown``, or what there is
    of a connection without data."""

    protocol: str
    port: int
    connections: int


class Summary(Struct):
    """Counts of the whole run, and what it did not look at. ``rules``: findings per rule id. ``complete``: connections
    captured from their beginning, on both sides, without a gap, and in clear text or wholly decrypted; ``encrypted``:
    those of which all or a part is encrypted; ``implicit_tls``: those encrypted from the start; ``decrypted``: those
    encrypted of which all that was captured of what was inside TLS could be read; ``partly_decrypted``: those of which
    a part could. ``settings``: the settings file that was used. ``not_asked``: rules that settings or options leave
    out. ``suppressed``: findings that were left out; ``left_out`` counts them by their reason and rule. ``filtered``:
    connections that do not match the filters; nothing else counts them. ``not_loaded``: plugins whose rules are
    missing. ``nothing_read``: no input could be read. ``unmet``: why the captures do not hold what was required, None
    if they do. ``other_traffic``: if there is no SMTP, what there is."""

    connections: int = 0
    messages: int = 0
    findings: dict[str, int] = field(default_factory=lambda: {"error": 0, "warning": 0, "info": 0})
    rules: dict[str, int] = field(default_factory=dict)
    suppressed: int = 0
    complete: int = 0
    encrypted: int = 0
    implicit_tls: int = 0
    decrypted: int = 0
    partly_decrypted: int = 0
    settings: str | None = None
    not_asked: list[str] = field(default_factory=list)
    not_loaded: list[str] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    filtered: int = 0
    unmet: str | None = None
    nothing_read: bool = False
    other_traffic: list[OtherTraffic] = field(default_factory=list)


class Report(Struct):
    """The output of ``--format json``."""

    schema: int
    generator: Generator
    captures: list[Capture]
    connections: list[Connection]
    summary: Summary
