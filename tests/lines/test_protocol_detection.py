"""SMTP is distinguished from similar protocols, by the port and both sides' first bytes, also after a proxy
exchange."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripts import GREETING, hello, lines, play, segments

from smtpwire.analyzer.connections.tracker import Tracker
from smtpwire.analyzer.findings.rulebook import RuleBook
from smtpwire.analyzer.limits import DEFAULT_LIMITS
from smtpwire.analyzer.lines.protocol_detection import Detection, judge_heads, other_protocol, preamble

PROXY_HEADERS = [
    b"PROXY TCP4 203.0.113.9 198.51.100.25 41218 25\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24" + bytes(range(200, 236)),
]
SMTP, OTHER, UNDECIDED = Detection.SMTP, Detection.OTHER, Detection.UNDECIDED


def on_port_25(client: bytes = b"", server: bytes = b"", *, over: bool = False) -> Detection:
    return judge_heads(client, server, smtp_port=True, over=over)


def elsewhere(client: bytes = b"", server: bytes = b"", *, over: bool = False) -> Detection:
    return judge_heads(client, server, smtp_port=False, over=over)


# -- on a port of SMTP ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "server", [b"220 mx ESMTP\r\n", b"554 no\r\n", b"421 later\r\n", b"250-odd\r\n", b"220\r\n", b"220-a\r\n"]
)
def test_a_reply_is_smtp(server: bytes) -> None:
    assert on_port_25(b"", server) is SMTP


@pytest.mark.parametrize("client", [b"EHLO x\r\n", b"helo x\r\n", b"\r\n\r\nMAIL FROM:<a@x>\r\n", b"QUIT\r\n"])
def test_commands_are_smtp_if_only_the_client_was_captured(client: bytes) -> None:
    assert on_port_25(client) is SMTP


@pytest.mark.parametrize("server", [b"HTTP/1.1 400 Bad\r\n", b"SSH-2.0-x\r\n", b"+OK pop\r\n", b"* OK imap\r\n"])
def test_another_protocol_is_not_smtp_on_port_25_either(server: bytes) -> None:
    assert on_port_25(b"x\r\n", server) is OTHER


def test_a_server_with_an_invalid_greeting_is_still_audited() -> None:
    assert on_port_25(b"", b"Welcome to mx.example\r\n") is SMTP


def test_binary_data_is_not_smtp() -> None:
    assert on_port_25(b"", b"\x01\x02\x03\x04\x05\x06\x07\x08\xff\xfe\r\n") is OTHER
    assert on_port_25(b"\x01\x02\x03\x04\x05\x06") is OTHER


@pytest.mark.parametrize("record", [b"\x16\x03\x01\x02\0\x01", b"\x15\x03\x03\0\x02"])
def test_tls_from_the_first_byte_is_implicit_tls(record: bytes) -> None:
    assert on_port_25(record) is UNDECIDED  # the server's answer decides
    assert on_port_25(record, b"\x16\x03\x03\0\x50") is SMTP
    assert on_port_25(record, over=True) is SMTP


@pytest.mark.parametrize("server", [b"2", b"22", b"220", b"220 m", b"Wel"])
def test_the_start_of_a_line_is_undecided(server: bytes) -> None:
    assert on_port_25(b"", server) in {UNDECIDED, SMTP}
    assert on_port_25(b"", server[:1]) is UNDECIDED


@pytest.mark.parametrize("header", PROXY_HEADERS)
def test_a_proxy_header_says_nothing_about_the_protocol(header: bytes) -> None:
    for judge in (on_port_25, elsewhere):
        for size in range(1, len(header) + 1):
            assert judge(header[:size]) is UNDECIDED
        assert judge(header + b"EHLO x\r\n", b"220 hi\r\n") is SMTP
    assert elsewhere(header + b"GET / HTTP/1.1\r\n", b"220 hi\r\n") is OTHER
    assert elsewhere(header, b"HTTP/1.1 200 OK\r\n") is OTHER
    assert elsewhere(header, b"220 mx.example ESMTP\r\n") is SMTP


# -- on any other port -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("client", [b"EHLO x\r\n", b"HELO x\r\n", b"LHLO x\r\n", b"ehlo\r\n"])
def test_a_hello_after_a_greeting_is_smtp(client: bytes) -> None:
    assert elsewhere(client, b"220 hi\r\n") is SMTP
    assert elsewhere(client, over=True) is SMTP


def test_a_banner_that_names_the_protocol_is_smtp() -> None:
    assert elsewhere(b"", b"220 mx.example ESMTP Postfix\r\n") is SMTP
    assert elsewhere(b"", b"220-mx.example\r\n220 LMTP ready\r\n") is SMTP
    assert elsewhere(b"NOOP\r\n", b"220 mx.example smtp\r\n") is SMTP


def test_ftp_is_not() -> None:
    assert elsewhere(b"", b"220 FTP server ready\r\n") is UNDECIDED
    assert elsewhere(b"USER anonymous\r\n", b"220 FTP server ready\r\n") is OTHER


def test_nntp_is_not() -> None:
    assert elsewhere(b"GROUP a.b\r\n", b"200 news.example ready\r\n") is OTHER


def test_http_is_not() -> None:
    assert elsewhere(b"GET / HTTP/1.1\r\n") is OTHER
    assert elsewhere(b"POST /EHLO HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n") is OTHER


def test_tls_elsewhere_is_not() -> None:
    assert elsewhere(b"\x16\x03\x01\x02\0") is OTHER


@pytest.mark.parametrize("client", [b"E", b"EHL", b"MAIL FR"])
def test_an_incomplete_hello_is_undecided(client: bytes) -> None:
    assert elsewhere(client, b"220 hi\r\n") is UNDECIDED


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (b"GET / HTTP/1.1", "HTTP"),
        (b"OPTIONS sip:x SIP/2.0", "SIP"),
        (b"SSH-2.0-OpenSSH", "SSH"),
        (b"USER anonymous", "FTP or IRC"),
        (b"EHLO x", None),
        (b"GET up", None),
    ],
)
def test_another_protocol_is_named(line: bytes, name: str | None) -> None:
    assert other_protocol(line) == name


# -- behind a proxy ----------------------------------------------------------------------------------------------------

ADDRESS = b"\x01\xc0\0\x02\x02\0\x19"  # 192.0.2.2 port 25
NAME = b"\x03\x0amx.example\0\x19"
SOCKS5 = [
    (b"\x05\x01\0\x05\x01\0" + ADDRESS, b"\x05\0\x05\0\0" + ADDRESS),
    (b"\x05\x02\0\x02\x05\x01\0" + NAME, b"\x05\0\x05\0\0" + ADDRESS),
    (b"\x05\x01\x02\x01\x04user\x03pwd\x05\x01\0" + NAME, b"\x05\x02\x01\0\x05\0\0" + ADDRESS),
    (b"\x05\x01\0\x05\x01\0\x04" + 16 * b"\1" + b"\0\x19", b"\x05\0\x05\0\0\x04" + 16 * b"\1" + b"\0\x19"),
]
SOCKS4 = [
    (b"\x04\x01\0\x19\xc0\0\x02\x02me\0", b"\0\x5a" + 6 * b"\0"),
    (b"\x04\x01\0\x19\0\0\0\x01me\0mx.example\0", b"\0\x5a" + 6 * b"\0"),
]
CONNECT = [(b"CONNECT mx:25 HTTP/1.1\r\nHost: mx\r\n\r\n", b"HTTP/1.1 200 ok\r\n\r\n")]
PROXIES = [*SOCKS5, *SOCKS4, *CONNECT]


@pytest.mark.parametrize(("client", "server"), PROXIES)
def test_the_exchange_with_a_proxy_is_skipped(client: bytes, server: bytes) -> None:
    assert preamble(client + b"EHLO x\r\n", server + b"220 mx\r\n") == (len(client), len(server))


@pytest.mark.parametrize(("client", "server"), PROXIES)
def test_an_incomplete_exchange_with_a_proxy_is_undecided(client: bytes, server: bytes) -> None:
    for at in range(1, len(client)):
        assert preamble(client[:at], server) is None
    for at in range(len(server)):
        assert preamble(client, server[:at]) is None


def test_without_a_proxy_nothing_is_skipped() -> None:
    assert preamble(b"EHLO x\r\n", b"220 mx\r\n") == (0, 0)
    assert preamble(b"", b"220 mx\r\n") == (0, 0)


@pytest.mark.parametrize(("client", "server"), PROXIES)
def test_a_dialogue_after_a_proxy_exchange_is_audited_with_correct_offsets(client: bytes, server: bytes) -> None:
    connection = play([("C", client), ("S", server), *hello(), *lines("C RCPT TO:<b@x>", "S 503 no")], port=1080)
    assert [turn.offset for turn in connection.dialogue] == [
        *(len(server), len(client)),
        *(len(server) + len(GREETING), len(client) + len("EHLO client.example\r\n")),
        len(server) + len(GREETING) + len("250 mx.example\r\n"),
    ]
    assert [finding.rule for finding in connection.findings if finding.rule == "SEQ103"] == ["SEQ103"]


def test_http_through_a_proxy_is_not_smtp() -> None:
    client, server = CONNECT[0]
    script = [("C", client), ("S", server), *lines("C GET / HTTP/1.1", "S HTTP/1.1 200 ok")]
    tracker = Tracker(RuleBook((), DEFAULT_LIMITS))
    for segment in segments(script, port=1080):
        tracker.segment(*segment)
    tracker.close()
    assert not tracker.done


@given(st.binary(max_size=40), st.binary(max_size=40), st.booleans(), st.booleans())
def test_any_bytes_are_classified_without_an_error(client: bytes, server: bytes, port: bool, over: bool) -> None:
    found = preamble(client, server)
    assert found is None or (found[0] <= len(client) and found[1] <= len(server))
    verdict = judge_heads(client, server, smtp_port=port, over=over)
    assert not (over and verdict is UNDECIDED)


@given(st.sampled_from(PROXIES), st.binary(max_size=10), st.data())
def test_a_damaged_exchange_with_a_proxy_is_not_an_error(
    proxy: tuple[bytes, bytes], junk: bytes, data: st.DataObject
) -> None:
    client, server = proxy
    at, to = data.draw(st.integers(0, len(client))), data.draw(st.integers(0, len(server)))
    found = preamble(client[:at] + junk + client[at:], server[:to] + junk[::-1] + server[to:])
    assert found is None or min(found) >= 0
