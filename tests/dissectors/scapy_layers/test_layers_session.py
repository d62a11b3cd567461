"""The layers over whole connections: Scapy's own TCPSession, the audit's session, and the extension loader."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from typing import Any

import pytest
from captures import Conversation, Record
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw
from scapy.plist import PacketList
from scapy.sendrecv import sniff
from scapy.sessions import TCPSession

from smtpwire import SMTPSession
from smtpwire.dissectors.scapy_layers.extension import bind
from smtpwire.dissectors.scapy_layers.flow import FLOWS_LIMIT, MESSAGE_LIMIT, LayerFlow, LayerFlows, PieceKind
from smtpwire.dissectors.scapy_layers.layers import SMTPAuth, SMTPCommand, SMTPMessage, SMTPReply

# The loader's arguments, and the handling of the end of a connection in TCPSession, differ before that version.
since_scapy_2_7 = pytest.mark.skipif(
    tuple(map(int, version("scapy").split(".")[:2])) < (2, 7), reason="needs Scapy 2.7"
)

Lines = list[tuple[str, bytes]]

MAIL: Lines = [
    ("server", b"220 mx.example ESMTP\r\n"),
    ("client", b"EHLO client.example\r\n"),
    ("server", b"250-mx.example\r\n250-PIPELINING\r\n250 CHUNKING\r\n"),
    ("client", b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@mx.example>\r\nDATA\r\n"),
    ("server", b"250 ok\r\n250 ok\r\n354 go ahead\r\n"),
    ("client", b"Subject: QUIT\r\n\r\nHELP\r\n..\r\nRSET\r\n.\r\nMAIL FROM:<>\r\n"),
    ("server", b"250 queued\r\n250 ok\r\n"),
    ("client", b"RCPT TO:<c@mx.example>\r\nBDAT 9\r\nNOOP\r\n.\r\nBDAT 0 LAST\r\nQUIT\r\n"),
    ("server", b"250 ok\r\n250 ok\r\n250 ok\r\n221 bye\r\n"),
]


@pytest.fixture(autouse=True)
def _bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bind the layers for one test only, so that other tests do not see them."""
    monkeypatch.setattr(TCP, "payload_guess", TCP.payload_guess)
    bind()


def sniffed(talk: Conversation, **options: Any) -> list[Packet]:
    """Return the packets that TCPSession makes of the frames."""
    frames = PacketList([Ether(record.data) for record in talk.records])
    return list(sniff(offline=frames, session=TCPSession, **options))


def said(talk: Conversation) -> list[tuple[type[Packet], bytes]]:
    """Return every resulting SMTP packet with its own bytes."""
    found = []
    for packet in sniffed(talk):
        layer = packet[TCP].payload
        while layer:
            found.append((type(layer), layer.self_build()))
            layer = layer.payload
    return found


def conversation(lines: Lines) -> Conversation:
    talk = Conversation().open()
    for side, data in lines:
        (talk.client if side == "client" else talk.server)(data)
    return talk


def by_side(found: list[tuple[type[Packet], bytes]]) -> tuple[list[Any], list[Any]]:
    servers = [item for item in found if item[0] is SMTPReply]
    return [item for item in found if item[0] is not SMTPReply], servers


EXPECTED_CLIENT = [
    (SMTPCommand, b"EHLO client.example\r\n"),
    (SMTPCommand, b"MAIL FROM:<a@b.example>\r\n"),
    (SMTPCommand, b"RCPT TO:<c@mx.example>\r\n"),
    (SMTPCommand, b"DATA\r\n"),
    (SMTPMessage, b"Subject: QUIT\r\n\r\nHELP\r\n..\r\nRSET\r\n.\r\n"),
    (SMTPCommand, b"MAIL FROM:<>\r\n"),
    (SMTPCommand, b"RCPT TO:<c@mx.example>\r\n"),
    (SMTPCommand, b"BDAT 9\r\n"),
    (SMTPMessage, b"NOOP\r\n.\r\n"),
    (SMTPCommand, b"BDAT 0 LAST\r\n"),
    (SMTPCommand, b"QUIT\r\n"),
]


def test_a_session_distinguishes_mail_from_commands() -> None:
    clients, servers = by_side(said(conversation(MAIL)))
    assert clients == EXPECTED_CLIENT
    assert [data for _, data in servers] == [
        b"220 mx.example ESMTP\r\n",
        b"250-mx.example\r\n250-PIPELINING\r\n250 CHUNKING\r\n",
        *(b"250 ok\r\n", b"250 ok\r\n", b"354 go ahead\r\n"),
        *(b"250 queued\r\n", b"250 ok\r\n"),
        *(b"250 ok\r\n", b"250 ok\r\n", b"250 ok\r\n", b"221 bye\r\n"),
    ]


@pytest.mark.slow
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, 40), min_size=1, max_size=12))
def test_segments_do_not_matter(cuts: list[int]) -> None:
    talk = Conversation().open()
    for side, data in MAIL:
        at = turn = 0
        while at < len(data):
            size = cuts[turn % len(cuts)]
            (talk.client if side == "client" else talk.server)(data[at : at + size])
            at, turn = at + size, turn + 1
    assert by_side(said(talk))[0] == EXPECTED_CLIENT


def test_after_a_refused_data_commands_follow() -> None:
    lines = [("client", b"DATA\r\n"), ("server", b"503 no recipient\r\n"), ("client", b"RSET\r\n.\r\nQUIT\r\n")]
    clients, _ = by_side(said(conversation(lines)))
    assert [data for kind, data in clients if kind is SMTPCommand] == [b"DATA\r\n", b"RSET\r\n", b".\r\n", b"QUIT\r\n"]


def test_a_client_that_does_not_wait() -> None:
    """Everything at once, before the greeting, and a BDAT without a chunk after it."""
    lines = [
        ("client", b"HELO x.example\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<b@mx.example>\r\nDATA\r\n"),
        ("server", b"220 mx\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"),
        ("client", b"Subject: x\r\n\r\n.\r\nBDAT 99 SCRAMBLE\r\nQUIT\r\n"),
    ]
    clients, _ = by_side(said(conversation(lines)))
    assert [kind for kind, _ in clients] == [SMTPCommand] * 4 + [SMTPMessage, SMTPCommand, SMTPCommand]


def test_auth_lines_are_not_commands() -> None:
    lines = [
        ("client", b"AUTH LOGIN\r\n"),
        ("server", b"334 VXNlcm5hbWU6\r\n"),
        ("client", b"TUFJTA==\r\n"),
        ("server", b"334 UGFzc3dvcmQ6\r\n"),
        ("client", b"NOOP\r\n"),
        ("server", b"535 no\r\n"),
        ("client", b"QUIT\r\n"),
    ]
    clients, _ = by_side(said(conversation(lines)))
    assert [kind for kind, _ in clients] == [SMTPCommand, SMTPAuth, SMTPAuth, SMTPCommand]


def test_tls_is_left_alone() -> None:
    lines = [
        ("client", b"STARTTLS\r\n"),
        ("server", b"220 go ahead\r\n"),
        ("client", b"\x16\x03\x01\x00\x03abc"),
        ("server", b"\x16\x03\x03\x00\x03\r\nx"),
    ]
    found = said(conversation(lines))
    assert [kind for kind, _ in found] == [SMTPCommand, SMTPReply, Raw, Raw]


def test_two_connections_with_the_same_scapy_key() -> None:
    """Their addresses and ports have the same XOR; the second one continues while the first is inside its mail data."""
    first, second = Conversation(port=4000, server_port=25), Conversation(port=4001, server_port=24)
    for talk in (first, second):
        talk.open()
    first.client(b"DATA\r\n").server(b"354 go\r\n").client(b"Subject: x\r\n")
    second.client(b"RSET\r\n").server(b"250 ok\r\n")
    first.records += second.records
    clients, _ = by_side(said(first))
    assert (SMTPCommand, b"RSET\r\n") in clients


@since_scapy_2_7
def test_incomplete_data_is_returned_when_the_connection_ends() -> None:
    talk = Conversation().open()
    talk.client(b"QUI")
    talk.close()
    assert (SMTPCommand, b"QUI") in said(talk)


@since_scapy_2_7
def test_padding_of_a_frame_is_not_data() -> None:
    """Ethernet frames have at least 60 bytes; a segment without data has 54 (a SYN with its options has more)."""
    talk = Conversation().open()
    talk.server(b"220 mx\r\n").client(b"QUI").close()
    talk.records[2:] = [Record(record.data.ljust(60, b"\0"), record.time_ns) for record in talk.records[2:]]
    assert said(talk) == [(SMTPReply, b"220 mx\r\n"), (SMTPCommand, b"QUI")]


def test_the_audit_accepts_built_packets() -> None:
    """Packets that were built and never sent can be audited."""
    client, server = (43210, 25), (25, 43210)
    there, back = IP(src="192.0.2.1", dst="192.0.2.2"), IP(src="192.0.2.2", dst="192.0.2.1")
    turns = [
        (there, client, "S", None),
        (back, server, "SA", None),
        (there, client, "A", None),
        (back, server, "PA", SMTPReply(code=220, lines="mx.example ESMTP")),
        (there, client, "PA", SMTPCommand(verb="MAIL", path="<a@b.example>")),
        (back, server, "PA", SMTPReply(code=503, lines="5.5.1 hello first")),
    ]
    seq = {25: 1000, 43210: 2000}
    packets: list[Packet] = []
    for ip, (source, target), flags, layer in turns:
        tcp = TCP(sport=source, dport=target, flags=flags, seq=seq[source], ack=seq[target] if flags != "S" else 0)
        packets.append(ip / tcp / layer if layer is not None else ip / tcp)
        seq[source] += len(layer) if layer is not None else int("S" in flags)
    got: list[Any] = []
    sniff(offline=PacketList(packets), session=SMTPSession(), store=False, prn=got.append)
    (audited,) = got
    assert [finding.rule for finding in audited.connection.findings] == ["SEQ101"]


@pytest.mark.slow
@since_scapy_2_7
def test_scapy_loads_the_extension() -> None:
    """As a user does it, in a new interpreter: the loader checks the licence in the installed metadata."""
    code = """
from scapy.config import conf
conf.exts.load("smtpwire")
assert [ext.name for ext in conf.exts.exts] == ["smtpwire"], conf.exts.exts
from scapy.layers.smtp import SMTPCommand
from scapy.layers.inet import IP, TCP
packet = IP() / TCP() / SMTPCommand(verb="QUIT")
assert packet[TCP].dport == 25
assert IP(bytes(packet))[SMTPCommand].verb == b"QUIT"
from smtpwire.dissectors.scapy_layers.layers import SMTPCommand as same
assert same is SMTPCommand
conf.exts.load("smtpwire")
assert sum("SMTP" in str(upper) for _, upper in TCP.payload_guess) == 8
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "smtpwire" not in run.stderr


# -- limits -----------------------------------------------------------------------------------------------------------


def test_a_message_without_an_end_comes_in_pieces() -> None:
    flow = LayerFlow()
    flow.read(b"DATA\r\n", server=False)
    data = b"0123456789abcdef\r\n" * (MESSAGE_LIMIT // 18 + 1)
    pieces, used = flow.read(data + b".", server=False)
    assert [kind for kind, _ in pieces] == [PieceKind.PIECE]
    assert used == len(data)
    assert flow.read(b".\r\nQUIT\r\n", server=False)[0] == [
        (PieceKind.MESSAGE, b".\r\n"),
        (PieceKind.COMMAND, b"QUIT\r\n"),
    ]


def test_a_line_without_an_end_is_returned() -> None:
    for server in (False, True):
        pieces, used = LayerFlow().read(b"2" * 100_000, server=server)
        assert used == 100_000
        assert len(pieces) == 1


def test_connections_are_forgotten() -> None:
    flows = LayerFlows()
    first = flows.of(0)
    for key in range(1, FLOWS_LIMIT + 1):
        flows.of(key)
    assert flows.of(0) is not first


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=30)), max_size=20))
def test_no_byte_is_lost(parts: list[tuple[bool, bytes]]) -> None:
    flow = LayerFlow()
    waiting = {False: b"", True: b""}
    given_out = {False: b"", True: b""}
    for server, data in [*parts, (False, b""), (True, b"")]:
        waiting[server] += data
        pieces, used = flow.read(waiting[server], server=server, over=not data)
        given_out[server] += b"".join(piece for _, piece in pieces)
        waiting[server] = waiting[server][used:]
    for server in (False, True):
        sent = b"".join(data for side, data in parts if side is server)
        assert given_out[server] + waiting[server] == sent
