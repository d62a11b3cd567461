"""Scapy packets built on the grammar: ``SMTPCommand``, ``SMTPReply``, ``SMTPMessage``, ``SMTPAuth``, and ``SMTP``,
which selects one of them."""

# Theory
# ------
# One packet is one command line, one complete reply, or one piece of mail data. The rest of a segment is its payload,
# so `RSET` and `NOOP` in one segment are `SMTPCommand/SMTPCommand`. The fields of a command are the parts of its
# production in `arguments`: read from the match of its regular expression, and written by its renderer. Bytes that
# match no production are kept as they were sent (`argument`, `verbatim`), so that building returns the original bytes.
#
# Building never refuses: as everywhere in Scapy, the fields are written as they are. `deviations` reports faults.
#
# The bytes of one segment alone do not show what they are: mail data may start with `HELP`. `tcp_reassemble` knows it,
# because `flow.py` follows both sides; without a session the first word decides.

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from scapy.config import conf
from scapy.fields import ConditionalField, Field
from scapy.packet import Packet

from ..grammar.arguments import ARGUMENTS, form_of
from ..grammar.constructs import REPLY, SyntaxFault
from ..lines.commands import parse_command
from ..lines.replies import begins_reply, parse_reply
from ..printable import printable
from ..tables.verbs import VERBS, Argument
from .fields import BytesField, BytesListField, is_set
from .flow import TLS_RECORD, LayerFlow, LayerFlows, PieceKind, line_end, reply_end

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..deviations import Deviation

__all__ = ["PORTS", "SMTP", "SMTPAuth", "SMTPCommand", "SMTPMessage", "SMTPReply"]

PORTS = (25, 587, 2525, 24)
"""Ports of servers for SMTP and LMTP in clear text (465 starts with TLS)."""

MAX_CHAIN = 100
"""Maximum depth of packets in payloads: Scapy handles payloads by recursion. The bytes after that are Raw."""

_SUMMARY = 72  # characters of a line in a summary


def _with(*forms: Argument) -> Callable[[Packet], bool]:
    """Whether the command has an argument of one of these forms."""
    return lambda pkt: not is_set("argument")(pkt) and pkt.form in forms


class _Layer(Packet):
    """The common base of all layers."""

    __slots__ = ()

    @classmethod
    def tcp_reassemble(cls, data: bytes, metadata: dict[str, Any], session: dict[str, Any]) -> Packet | None:
        """Return the complete packets in ``data``, for Scapy's TCPSession; None if more bytes are needed."""
        return SMTP.tcp_reassemble(data, metadata, session)

    def guess_payload_class(self, payload: bytes) -> type[Packet]:
        depth = 0
        layer: Packet | None = self
        while isinstance(layer, _Layer):
            depth, layer = depth + 1, layer.underlayer
        if depth >= MAX_CHAIN:
            return conf.raw_layer
        return self._following(payload)

    def _following(self, payload: bytes) -> type[Packet]:
        return _client_class(payload)

    def do_dissect(self, s: bytes) -> bytes:
        used = self._read(s)
        self.explicit = 1
        return s[used:]

    def _read(self, data: bytes) -> int:
        """Set the fields from the start of ``data``; return the number of bytes used."""
        raise NotImplementedError

    def self_build(self) -> bytes:
        """Build the bytes from the fields alone: the original bytes are not stored."""
        raise NotImplementedError

    def mysummary(self) -> tuple[str, list[type[Packet]]]:  # type: ignore[override]  # Scapy takes both
        from scapy.layers.inet import TCP  # noqa: PLC0415  loads Scapy's layers, which are loaded anyway if there is a packet

        text = printable(self._said())
        return text if len(text) <= _SUMMARY else text[:_SUMMARY] + "...", [TCP, *_LAYERS]

    def _said(self) -> bytes:
        raise NotImplementedError


class SMTPCommand(_Layer):
    """A command line (RFC 5321 §4.1.1). Only the fields that belong to its verb are used; they are bytes or None.

    ``argument``: the whole text after the verb, if the grammar does not allow the line; overrides the other fields.
    ``ending``: CRLF, or the bytes in its place.
    """

    name = "SMTP command"
    fields_desc: ClassVar = [
        BytesField("verb", b"NOOP"),
        ConditionalField(BytesField("domain", None), _with(Argument.HELLO)),
        ConditionalField(BytesField("word", None), _with(Argument.REVERSE_PATH, Argument.FORWARD_PATH)),
        ConditionalField(BytesField("path", None), _with(Argument.REVERSE_PATH, Argument.FORWARD_PATH)),
        ConditionalField(BytesListField("parameters", b" "), _with(Argument.REVERSE_PATH, Argument.FORWARD_PATH)),
        ConditionalField(BytesField("size", None), _with(Argument.CHUNK)),
        ConditionalField(BytesField("last", None), _with(Argument.CHUNK)),
        ConditionalField(BytesField("mechanism", None), _with(Argument.MECHANISM)),
        ConditionalField(BytesField("initial", None), _with(Argument.MECHANISM)),
        ConditionalField(
            BytesField("text", None), _with(Argument.HELLO, Argument.STRING, Argument.OPTIONAL, Argument.TEXT)
        ),
        ConditionalField(BytesField("argument", None), is_set("argument")),
        BytesField("ending", b"\r\n"),
    ]

    @property
    def form(self) -> Argument | None:
        """The form of the verb's argument; None for an unknown verb."""
        return form_of((self.verb or b"").upper())

    @property
    def deviations(self) -> tuple[Deviation, ...]:
        """The deviations of the line from the grammar; empty if it is well-formed."""
        return parse_command(self._line()).deviations

    def _read(self, data: bytes) -> int:
        stop, ending = line_end(data)
        line = data[: stop - len(ending)]
        verb, space, rest = line.partition(b" ")
        fields: dict[str, Any] = {"verb": verb, "ending": ending}
        if space:
            form = form_of(verb.upper())
            production = None if form is None else ARGUMENTS.get(form)
            match = None if production is None else production.fullmatch(rest)
            if production is None or match is None:
                fields["argument"] = rest
            else:
                fields |= {_FIELD.get(part, part): match[part] for part in production.fields}
                if "parameters" in fields:
                    fields["parameters"] = (fields["parameters"] or b"").split(b" ")[1:]
        self.fields = fields
        return stop

    def self_build(self) -> bytes:
        return self._line() + (self.ending or b"")

    def _line(self) -> bytes:
        verb: bytes = self.verb or b""
        if self.argument is not None:
            return verb + b" " + self.argument  # type: ignore[no-any-return]
        production = None if self.form is None else ARGUMENTS.get(self.form)
        if production is None:
            return verb
        parts = {part: self.getfieldval(_FIELD.get(part, part)) for part in production.fields}
        if not any(parts.values()):
            return verb
        if "parameters" in parts:
            parts["parameters"] = b"".join(b" " + parameter for parameter in parts["parameters"] or ())
        return verb + b" " + production.render(parts)

    def _said(self) -> bytes:
        line = self._line()
        # The initial response of AUTH is usually a password (RFC 4954 §4).
        return b"C: AUTH " + self.mechanism + b" ..." if self.initial else b"C: " + line

    def _following(self, payload: bytes) -> type[Packet]:
        verb = (self.verb or b"").upper()
        return SMTPMessage if verb == b"DATA" or (verb == b"BDAT" and self.size) else _client_class(payload)


# Every Scapy packet already has a `name`.
_FIELD = {"name": "domain"}


class SMTPReply(_Layer):
    """A complete reply (RFC 5321 §4.2). ``code``: a number; ``lines``: its texts, the last None if the code stands
    alone.

    ``verbatim``: the bytes, if they are not a valid or not a complete reply; then ``code`` is None.
    """

    name = "SMTP reply"
    fields_desc: ClassVar = [
        ConditionalField(Field("code", 250, fmt="H"), lambda pkt: not is_set("verbatim")(pkt)),
        ConditionalField(BytesListField("lines", b"\r\n"), lambda pkt: not is_set("verbatim")(pkt)),
        ConditionalField(BytesField("verbatim", None), is_set("verbatim")),
    ]

    @property
    def deviations(self) -> tuple[Deviation, ...]:
        """The deviations of the reply from the grammar; empty if it is well-formed."""
        return parse_reply(self.self_build()).deviations

    def _read(self, data: bytes) -> int:
        stop = reply_end(data) or len(data)
        raw = data[:stop]
        try:
            reply = REPLY.fromdata(raw)
        except SyntaxFault:
            self.fields = {"code": None, "lines": [], "verbatim": raw}
        else:
            self.fields = {"code": reply.code, "lines": list(reply.texts)}
        return stop

    def self_build(self) -> bytes:
        if self.verbatim is not None:
            return self.verbatim  # type: ignore[no-any-return]
        code = b"%03d" % self.code
        *others, last = self.lines or [b""]
        lines = [code + b"-" + (text or b"") for text in others]
        lines.append(code if last is None else code + b" " + last)
        return b"".join(line + b"\r\n" for line in lines)

    def _said(self) -> bytes:
        return b"S: " + self.self_build().rstrip(b"\r\n").replace(b"\r\n", b" | ")

    def _following(self, payload: bytes) -> type[Packet]:
        return _server_class(payload)


class SMTPMessage(_Layer):
    """Mail data, or a piece of mail data. ``data``: as on the wire; ``end``: the end mark, empty in chunks and pieces.

    ``content``: the message as the receiver stores it; ``of`` makes a packet from such a message.
    """

    name = "SMTP message"
    fields_desc: ClassVar = [BytesField("data", b""), BytesField("end", b".\r\n")]

    @classmethod
    def of(cls, content: bytes) -> SMTPMessage:
        """Return ``content`` as it is sent after DATA: dots doubled, CRLF and end mark added (RFC 5321 §4.5.2)."""
        if content and not content.endswith(b"\r\n"):
            content += b"\r\n"
        return cls(data=_LINE_DOT.sub(rb"\1..", content))

    @property
    def content(self) -> bytes:
        """The message as the receiver stores it: leading dots removed (RFC 5321 §4.5.2); the octets of a chunk
        unchanged."""
        return _LINE_DOT.sub(rb"\1", self.data or b"") if self.end else self.data or b""

    def _read(self, data: bytes) -> int:
        command = self.underlayer
        if isinstance(command, SMTPCommand) and command.verb.upper() == b"BDAT":
            size = parse_command(command._line()).chunk_size or 0
            stop, end = min(size, len(data)), b""
        elif data.startswith(b".\r\n"):
            stop, end = 0, data[:3]
        else:
            found = data.find(b"\r\n.\r\n")
            stop, end = (len(data), b"") if found < 0 else (found + 2, b".\r\n")
        self.fields = {"data": data[:stop], "end": end}
        return stop + len(end)

    def self_build(self) -> bytes:
        return (self.data or b"") + (self.end or b"")

    def _said(self) -> bytes:
        whole = b"C: message, %d bytes" if self.end else b"C: piece of a message, %d bytes"
        return whole % len(self.content)


class SMTPAuth(_Layer):
    """One line that the client sends in an AUTH exchange (RFC 4954 §4): base64, or ``*`` to cancel it."""

    name = "SMTP auth"
    fields_desc: ClassVar = [BytesField("response", b"*"), BytesField("ending", b"\r\n")]

    def _read(self, data: bytes) -> int:
        stop, ending = line_end(data)
        self.fields = {"response": data[: stop - len(ending)], "ending": ending}
        return stop

    def self_build(self) -> bytes:
        return (self.response or b"") + (self.ending or b"")

    def _said(self) -> bytes:
        return b"C: *" if self.response == b"*" else b"C: AUTH response, %d bytes" % len(self.response or b"")


_LAYERS: list[type[Packet]] = [SMTPCommand, SMTPReply, SMTPMessage, SMTPAuth]

_LINE_DOT = re.compile(rb"(\A|\r\n)\.")


def _client_class(data: bytes) -> type[Packet]:
    """Return the class of client bytes, as far as it can be decided without the bytes before them."""
    if TLS_RECORD(data):
        return conf.raw_layer
    stop, ending = line_end(data)
    word = data[: stop - len(ending)].partition(b" ")[0].upper()
    # An unknown word alone in a segment is more likely a command than a message of one line.
    alone = bool(ending) and stop == len(data)
    return SMTPCommand if word in VERBS or word.startswith(b"X") or alone else SMTPMessage


def _server_class(data: bytes) -> type[Packet]:
    return SMTPReply if begins_reply(data) else conf.raw_layer


class SMTP(Packet):
    """The class bound to the ports: ``SMTP(data)`` is a packet of the class that fits ``data``.

    The port shows which side sent the bytes. If both ends have one of ``PORTS``, or neither, the first bytes decide.
    """

    name = "SMTP"

    @classmethod
    def dispatch_hook(cls, _pkt: bytes | None = None, *args: Any, **kwargs: Any) -> type[Packet]:
        """Return the class for the start of ``_pkt``; Raw for TLS and for server bytes that are not a reply."""
        if _pkt is None:
            return SMTPCommand
        data = bytes(_pkt)
        by_server = _from_server(kwargs.get("_underlayer"))
        if by_server is None:
            by_server = begins_reply(data)
        return _server_class(data) if by_server else _client_class(data)

    @classmethod
    def tcp_reassemble(cls, data: bytes, metadata: dict[str, Any], session: dict[str, Any]) -> Packet | None:
        """Return the complete packets in ``data``, each in the payload of the one before, the rest as padding; or None.

        ``metadata`` and ``session`` are those of Scapy's TCPSession.
        """
        packet = metadata.get("original")
        if packet is None and "relative_seq" in metadata:
            return None  # the rest after the packets just returned: TCPSession asks again before it waits
        if packet is not None and isinstance(packet["TCP"].payload, conf.padding_layer):
            # TCPSession takes the padding of an Ethernet frame after a segment without data for data.
            data = data[: -len(packet["TCP"].payload)]
        flow, by_server = _flow_of(packet, session)
        if by_server is None:
            by_server = begins_reply(data)
        pieces, used = flow.read(data, server=by_server, over=bool(metadata.get("tcp_end")))
        if not pieces:
            return None
        chain = [_packet(kind, piece) for kind, piece in pieces[:MAX_CHAIN]]
        if len(pieces) > MAX_CHAIN:
            chain.append(conf.raw_layer(b"".join(piece for _, piece in pieces[MAX_CHAIN:])))
        if used < len(data):
            chain.append(conf.padding_layer(data[used:]))
        for lower, upper in pairwise(chain):
            lower.add_payload(upper)
        return chain[0]


def _from_server(tcp: Packet | None) -> bool | None:
    """Whether the segment comes from a server's port; None if that is undecided."""
    from_port, to_port = (getattr(tcp, side, None) in PORTS for side in ("sport", "dport"))
    return None if from_port == to_port else from_port


def _flow_of(packet: Packet | None, session: dict[str, Any]) -> tuple[LayerFlow, bool | None]:
    """Return the flow of ``packet``, and whether the server sent it.

    Scapy's own key can be the same for different connections: it combines ports and addresses by XOR.
    """
    flows: LayerFlows = session.setdefault("smtpwire", LayerFlows())
    if packet is None:
        return flows.of(None), None
    tcp = packet["TCP"]
    network = tcp.underlayer
    ends = (str(getattr(network, "src", "")), tcp.sport), (str(getattr(network, "dst", "")), tcp.dport)
    return flows.of(frozenset(ends)), _from_server(tcp)


def _packet(kind: PieceKind, piece: bytes) -> Packet:
    if kind is PieceKind.OPAQUE:
        return conf.raw_layer(piece)
    if kind is PieceKind.MESSAGE:
        return SMTPMessage(data=piece[:-3], end=piece[-3:])
    if kind is PieceKind.PIECE:
        return SMTPMessage(data=piece, end=b"")
    return {PieceKind.COMMAND: SMTPCommand, PieceKind.REPLY: SMTPReply, PieceKind.AUTH: SMTPAuth}[kind](piece)
