"""SMTP as Scapy packets: fields, building, and the class of a single segment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import TCP
from scapy.packet import Packet, Raw
from strategies import command_fields, hostile_lines, replies

from smtpwire.dissectors.grammar.constructs import build_command, build_reply
from smtpwire.dissectors.lines.commands import parse_command
from smtpwire.dissectors.scapy_layers.layers import MAX_CHAIN, SMTP, SMTPAuth, SMTPCommand, SMTPMessage, SMTPReply

LAYERS = [SMTP, SMTPCommand, SMTPReply, SMTPMessage, SMTPAuth]


def dump(packet: Packet) -> str:
    """Return the output of ``show()``."""
    return packet.show(dump=True) or ""


def layers(packet: Packet) -> list[type[Packet]]:
    return [type(layer) for layer in packet.iterpayloads()]


# -- fields -----------------------------------------------------------------------------------------------------------


def test_a_command_has_the_fields_of_its_verb() -> None:
    mail = SMTPCommand(b"MAIL FROM:<a@b.example> SIZE=10 BODY=8BITMIME\r\n")
    assert (mail.verb, mail.path, mail.parameters) == (b"MAIL", b"<a@b.example>", [b"SIZE=10", b"BODY=8BITMIME"])
    assert mail.size is None
    assert mail.argument is None
    bdat = SMTPCommand(b"BDAT 86 LAST\r\n")
    assert (bdat.verb, bdat.size, bdat.last) == (b"BDAT", b"86", b"LAST")
    assert SMTPCommand(b"EHLO client.example\r\n").domain == b"client.example"
    shown = dump(mail)
    assert "parameters= [b'SIZE=10', b'BODY=8BITMIME']" in shown
    assert "mechanism" not in shown


def test_a_line_that_the_grammar_refuses_is_kept_as_sent() -> None:
    line = SMTPCommand(b"MAIL FROM: a@b.example\n")
    assert (line.verb, line.argument, line.ending, line.path) == (b"MAIL", b"FROM: a@b.example", b"\n", None)
    assert line.deviations
    assert not SMTPCommand(b"MAIL FROM:<a@b.example>\r\n").deviations
    assert SMTPCommand(b"HELLO there\r\n").argument == b"there"


def test_a_reply_has_a_code_and_its_lines() -> None:
    reply = SMTPReply(b"250-mx.example\r\n250 PIPELINING\r\n")
    assert (reply.code, reply.lines) == (250, [b"mx.example", b"PIPELINING"])
    bare = SMTPReply(b"250\r\n")
    assert (bare.code, bare.lines) == (250, [None])
    wrong = SMTPReply(b"250-mx\r\n550 no\r\n")
    assert (wrong.code, wrong.verbatim) == (None, b"250-mx\r\n550 no\r\n")
    assert wrong.deviations


def test_the_content_is_the_message_that_the_receiver_stores() -> None:
    message = SMTPMessage(b"Subject: dots\r\n\r\n..one\r\n.\r\nQUIT\r\n")
    assert message.content == b"Subject: dots\r\n\r\n.one\r\n"
    assert layers(message) == [SMTPMessage, SMTPCommand]
    assert bytes(SMTPMessage.of(b"Subject: dots\r\n\r\n.one")) == b"Subject: dots\r\n\r\n..one\r\n.\r\n"
    assert SMTPMessage.of(message.content).data == message.data


def test_a_chunk_has_the_announced_length() -> None:
    packet = SMTPCommand(b"BDAT 7 LAST\r\nQUIT\r\n.NOOP\r\n")
    assert layers(packet) == [SMTPCommand, SMTPMessage, SMTPCommand]
    assert packet[SMTPMessage].content == b"QUIT\r\n."


# -- building ---------------------------------------------------------------------------------------------------------


def test_packets_are_built_from_fields() -> None:
    built = SMTPCommand(verb="MAIL", path="<a@b.example>", parameters="SIZE=10 BODY=8BITMIME")
    assert bytes(built) == b"MAIL FROM:<a@b.example> SIZE=10 BODY=8BITMIME\r\n"
    assert bytes(SMTPCommand(verb="RCPT", path="<x@y.example>", parameters=["NOTIFY=NEVER"])).startswith(b"RCPT TO:<")
    assert bytes(SMTPCommand(verb="FOO", argument="bar")) == b"FOO bar\r\n"
    assert bytes(SMTPCommand()) == b"NOOP\r\n"
    assert bytes(SMTPReply(code=550, lines=["5.1.1 no", "such user"])) == b"550-5.1.1 no\r\n550 such user\r\n"
    assert bytes(SMTPReply()) == b"250 \r\n"
    assert bytes(SMTPCommand(verb="RSET") / SMTPCommand(verb="QUIT")) == b"RSET\r\nQUIT\r\n"


def test_a_changed_field_is_built() -> None:
    packet = SMTPCommand(b"RCPT TO:<a@b.example>\r\nDATA\r\n")
    packet.path = "<c@d.example>"
    packet.parameters.append(b"NOTIFY=NEVER")
    assert bytes(packet) == b"RCPT TO:<c@d.example> NOTIFY=NEVER\r\nDATA\r\n"


def test_illegal_lines_can_be_built() -> None:
    """Scapy must be able to send it; the layer reports the deviations."""
    built = SMTPCommand(verb="MAIL", path="a@b.example")
    assert bytes(built) == b"MAIL FROM:a@b.example\r\n"
    assert built.deviations
    assert bytes(SMTPReply(code=999, lines="what")) == b"999 what\r\n"


@given(command_fields())
def test_every_command_of_the_grammar_comes_back(fields: dict[str, object]) -> None:
    line = build_command(fields)
    packet = SMTPCommand(line)
    assert packet.argument is None
    assert not parse_command(line[:-2]).deviations or packet.deviations
    again = SMTPCommand(**{name: packet.getfieldval(name) for name in packet.fields})
    assert bytes(again) == bytes(packet) == line


@given(replies())
def test_every_reply_of_the_grammar_comes_back(reply: tuple[int, list[bytes]]) -> None:
    data = build_reply(*reply)
    packet = SMTPReply(data)
    assert (packet.code, packet.lines, packet.verbatim) == (*reply, None)
    assert bytes(SMTPReply(code=packet.code, lines=packet.lines)) == bytes(packet) == data


# -- hostile bytes ----------------------------------------------------------------------------------------------------

hostile = st.one_of(
    st.binary(max_size=200),
    st.lists(hostile_lines(), max_size=6).map(b"\r\n".join),
    st.lists(
        st.sampled_from([b"250-a\r\n", b"25", b"DATA\r\n", b".\r\n", b"BDAT 5\r\n", b"\x16\x03\x01"]), max_size=9
    ).map(b"".join),
).filter(bool)  # Scapy makes a packet with default fields from an empty string


@pytest.mark.parametrize("layer", LAYERS)
@given(data=hostile)
def test_any_bytes_come_back_and_can_be_shown(layer: type[Packet], data: bytes) -> None:
    packet = layer(data)
    assert bytes(packet) == data
    text = packet.summary() + dump(packet) + repr(packet) + packet.command()
    assert "\x1b[2J" not in text.replace("\x1b[0m", "")
    assert bytes(packet.copy()) == data


def test_a_summary_moves_no_cursor() -> None:
    assert SMTPCommand(b"NOOP \x1b[2J\x07\r\n").summary() == "C: NOOP \\x1b[2J\\x07"


def test_a_summary_keeps_passwords() -> None:
    assert "c2VjcmV0" not in SMTPCommand(b"AUTH PLAIN c2VjcmV0\r\n").summary()
    assert "c2VjcmV0" not in SMTPAuth(b"c2VjcmV0\r\n").summary()


def test_a_segment_of_many_lines_does_not_exhaust_the_stack() -> None:
    data = b"NOOP\r\n" * 10_000
    packet = SMTP(data)
    assert layers(packet)[-1] is Raw
    assert len(layers(packet)) == MAX_CHAIN + 1
    assert bytes(packet) == data


# -- which layer it is ------------------------------------------------------------------------------------------------


def on_port(data: bytes, source: int, target: int) -> list[type[Packet]]:
    return layers(SMTP(data, _internal=1, _underlayer=TCP(sport=source, dport=target)))


@pytest.mark.parametrize(
    ("data", "source", "target", "expected"),
    [
        (b"QUIT\r\n", 43210, 25, [SMTPCommand]),
        (b"221 bye\r\n", 25, 43210, [SMTPReply]),
        (b"250 ok\r\n250 ok\r\n354 go\r\n", 587, 43210, [SMTPReply] * 3),
        (b"RSET\r\nMAIL FROM:<>\r\n", 43210, 2525, [SMTPCommand] * 2),
        (b"250 is how many of them there are\r\nin all\r\n", 43210, 25, [SMTPMessage]),
        (b"DATA\r\nSubject: too early\r\n\r\n.\r\n", 43210, 25, [SMTPCommand, SMTPMessage]),
        (b"FROBNICATE now\r\n", 43210, 25, [SMTPCommand]),
        (b"Dear all,\r\n\r\nas you know\r\n", 43210, 25, [SMTPMessage]),
        (b"\x16\x03\x01\x02\x00\x01", 43210, 25, [Raw]),
        (b"\x17\x03\x03\x00\x20", 25, 43210, [Raw]),
        (b"+OK this is POP3\r\n", 25, 43210, [Raw]),
        (b"221 bye\r\n", 25, 25, [SMTPReply]),
        (b"QUIT\r\n", 25, 25, [SMTPCommand]),
        (b"220 mx ESMTP\r\n", 10025, 43210, [SMTPReply]),
    ],
)
def test_one_segment(data: bytes, source: int, target: int, expected: list[type[Packet]]) -> None:
    assert on_port(data, source, target) == expected
