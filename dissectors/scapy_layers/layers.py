"""Scapy packets over the grammar: ``SMTPCommand``, ``SMTPReply``, ``SMTPMessage``, ``SMTPAuth``, and ``SMTP``, which
chooses among them."""

# Theory
# ------
# One packet is one line of a command, one whole reply, or one stretch of mail data; what a segment holds beyond that is
# its payload, so `RSET` and `NOOP` in one segment are `SMTPCommand/SMTPCommand`. The fields of a command are the parts
# of its production in `arguments`: taken from the match of its regular expression, and written by its renderer. What no
# production matches is kept as it was sent (`argument`, `verbatim`), so that any bytes come back as they were.
#
# Building never refuses: as everywhere in Scapy, what the fields say goes out. `deviations` says what is wrong.
#
# One segment does not say what its bytes are: mail data may well begin with `HELP`. `tcp_reassemble` knows, because
# `layers_flow` follows both sides; without a session the first word decides.

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
"""Where servers listen for SMTP and LMTP in clear text (465 begins with TLS)."""

MAX_CHAIN = 100
"""Packets in one another's payload, at most; Scapy goes through payloads by recursion, and what is behind is Raw."""

_SUMMARY = 72  # characters of a line in a summary


def _with(*forms: Argument) -> Callable[[Packet], bool]:
    """Whether the command has an argument of one of these forms."""
    return lambda pkt: not is_set("argument")(pkt) and pkt.form in forms


class _Layer(Packet):
    """What all of them share."""

    __slots__ = ()

    @classmethod
    def tcp_reassemble(cls, data: bytes, metadata: dict[str, Any], session: dict[str, Any]) -> Packet | None:
        """What is whole in ``data``, for Scapy's TCPSession; None where more is needed."""
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
        """Set the fields from the front of ``data``; how many bytes that took."""
        raise NotImplementedError

    def self_build(self) -> bytes:
        """From the fields alone: there is no copy of the bytes that came in."""
        raise NotImplementedError

    def mysummary(self) -> tuple[str, list[type[Packet]]]:  # type: ignore[override]  # Scapy takes both
        from scapy.layers.inet import TCP  # noqa: PLC0415  loads Scapy's layers, which whoever has a packet has

        text = printable(self._said())
        return text if len(text) <= _SUMMARY else text[:_SUMMARY] + "...", [TCP, *_LAYERS]

    def _said(self) -> bytes:
        raise NotImplementedError


class SMTPCommand(_Layer):
    """A command line (RFC 5321 §4.1.1). Only the fields that its verb has count; they are bytes or None.

    ``argument``: all that is behind the verb, where the grammar has no such line; wins over the others. ``ending``:
    CRLF, or what was there instead.
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
        """Form of argument that the verb takes; None for a verb that is not known."""
        return form_of((self.verb or b"").upper())

    @property
    def deviations(self) -> tuple[Deviation, ...]:
        """In what way the line departs from the grammar; empty where it is well-formed."""
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
        # The initial response of AUTH is a password more often than not (RFC 4954 §4).
        return b"C: AUTH " + self.mechanism + b" ..." if self.initial else b"C: " + line

    def _following(self, payload: bytes) -> type[Packet]:
        verb = (self.verb or b"").upper()
        return SMTPMessage if verb == b"DATA" or (verb == b"BDAT" and self.size) else _client_class(payload)


# Scapy has a `name` of its own in every packet.
_FIELD = {"name": "domain"}


class SMTPReply(_Layer):
    """A whole reply (RFC 5321 §4.2). ``code``: a number; ``lines``: its texts, the last None where the code is bare.

    ``verbatim``: the bytes of what is no reply, or no whole one; ``code`` is None then.
    """

    name = "SMTP reply"
    fields_desc: ClassVar = [
        ConditionalField(Field("code", 250, fmt="H"), lambda pkt: not is_set("verbatim")(pkt)),
        ConditionalField(BytesListField("lines", b"\r\n"), lambda pkt: not is_set("verbatim")(pkt)),
        ConditionalField(BytesField("verbatim", None), is_set("verbatim")),
    ]

    @property
    def deviations(self) -> tuple[Deviation, ...]:
        """In what way the reply departs from the grammar; empty where it is well-formed."""
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
    """Mail data, or a piece of it. ``data``: as on the wire; ``end``: the end mark, empty in chunks and pieces.

    ``content`` is the message that the receiver stores; ``of`` makes a packet of one.
    """

    name = "SMTP message"
    fields_desc: ClassVar = [BytesField("data", b""), BytesField("end", b".\r\n")]

    @classmethod
    def of(cls, content: bytes) -> SMTPMessage:
        """``content`` as DATA sends it: dots doubled, CRLF and the end mark behind it (RFC 5321 §4.5.2)."""
        if content and not content.endswith(b"\r\n"):
            content += b"\r\n"
        return cls(data=_LINE_DOT.sub(rb"\1..", content))

    @property
    def content(self) -> bytes:
        """The message as the receiver stores it: leading dots removed (RFC 5321 §4.5.2); of a chunk, its octets."""
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
    """What the client's bytes are, as far as they tell without what came before."""
    if TLS_RECORD(data):
        return conf.raw_layer
    stop, ending = line_end(data)
    word = data[: stop - len(ending)].partition(b" ")[0].upper()
    # An unknown word that has the segment for itself is rather a command than a message of one line.
    alone = bool(ending) and stop == len(data)
    return SMTPCommand if word in VERBS or word.startswith(b"X") or alone else SMTPMessage


def _server_class(data: bytes) -> type[Packet]:
    return SMTPReply if begins_reply(data) else conf.raw_layer


class SMTP(Packet):
    """Stands for all of them where ports are bound: ``SMTP(data)`` is a packet of the class that fits.

    The port tells who speaks; where both ends have one of ``PORTS``, or neither, the first bytes do.
    """

    name = "SMTP"

    @classmethod
    def dispatch_hook(cls, _pkt: bytes | None = None, *args: Any, **kwargs: Any) -> type[Packet]:
        """The class of what ``_pkt`` begins with; Raw for TLS and for what a server cannot say."""
        if _pkt is None:
            return SMTPCommand
        data = bytes(_pkt)
        by_server = _from_server(kwargs.get("_underlayer"))
        if by_server is None:
            by_server = begins_reply(data)
        return _server_class(data) if by_server else _client_class(data)

    @classmethod
    def tcp_reassemble(cls, data: bytes, metadata: dict[str, Any], session: dict[str, Any]) -> Packet | None:
        """All that is whole in ``data``, one in the payload of the other, with the rest as padding; None for nothing.

        ``metadata`` and ``session`` are those of Scapy's TCPSession.
        """
        packet = metadata.get("original")
        if packet is None and "relative_seq" in metadata:
            return None  # the rest of what was just given out: TCPSession asks once more before it waits
        if packet is not None and isinstance(packet["TCP"].payload, conf.padding_layer):
            # What fills an Ethernet frame up behind a segment without data, TCPSession takes for data.
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
    """Whether the segment comes from a server's port; None where that is open."""
    from_port, to_port = (getattr(tcp, side, None) in PORTS for side in ("sport", "dport"))
    return None if from_port == to_port else from_port


def _flow_of(packet: Packet | None, session: dict[str, Any]) -> tuple[LayerFlow, bool | None]:
    """The connection of ``packet`` and whether its server speaks.

    Scapy's own key of a connection is the same for some that are not (it combines ports and addresses by XOR).
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
