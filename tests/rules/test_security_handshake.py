"""Handshakes that fail, old versions of TLS, clear text where TLS belongs, and TLS where clear text belongs."""

from __future__ import annotations

import pytest
from scripts import END, Script, by_byte, hello, lines, play

from smtpwire.analyzer import model

CLIENT_HELLO = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03"
DATA = b"\x17\x03\x03\x00\x04abcd"
START: Script = [*hello("STARTTLS"), *lines("C STARTTLS", "S 220 go"), ("C", CLIENT_HELLO)]
CLOSE: Script = [("FS", ""), ("FC", "")]


def server_hello(version: int) -> bytes:
    number = version.to_bytes(2, "big")
    return b"\x16" + number + b"\x00\x2a\x02\x00\x00\x26" + number + bytes(32) + b"\x00\x00\x2f\x00"


def alert(description: int, level: int = 2) -> bytes:
    return bytes((0x15, 3, 3, 0, 2, level, description))


def found(connection: model.Connection) -> dict[str, str | None]:
    """The findings, each with the rule of its cause."""
    findings = connection.findings
    return {f.rule: None if f.caused_by is None else findings[f.caused_by].rule for f in findings}


def one(connection: model.Connection, rule: str) -> model.Finding:
    (finding,) = [f for f in connection.findings if f.rule == rule]
    return finding


# -- SEC636 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [None, by_byte], ids=["whole", "by octet"])
def test_the_server_refuses_the_handshake(cut: object) -> None:
    connection = play([*START, ("S", alert(40)), *CLOSE], cut=cut)  # type: ignore[arg-type]
    finding = one(connection, "SEC636")
    assert (finding.side, finding.severity, finding.certainty) == ("server", "warning", "certain")
    assert finding.message == (
        "The server broke off the TLS handshake with the alert handshake_failure (40): the two sides have no cipher "
        "suite or other parameter in common."
    )
    assert found(connection) == {"SEC636": None}
    turn = connection.dialogue[finding.turn or 0]
    assert isinstance(turn, model.TlsTurn)


def test_the_client_does_not_trust_the_certificate() -> None:
    connection = play([*START, ("S", server_hello(0x0303)), ("C", alert(48)), ("FC", ""), ("FS", "")])
    finding = one(connection, "SEC636")
    assert finding.side == "client"
    assert "unknown_ca (48): it does not trust the certificate" in finding.message


def test_an_alert_that_nobody_registered() -> None:
    assert "the alert unknown (200)." in one(play([*START, ("S", alert(200)), *CLOSE]), "SEC636").message


@pytest.mark.parametrize(("end", "how"), [("FS", "closed"), ("RS", "reset")])
def test_the_server_closes_instead_of_a_hello(end: str, how: str) -> None:
    finding = one(play([*START, (end, ""), ("FC", "")]), "SEC636")
    assert (finding.side, finding.message) == (
        "server",
        f"The server {how} the connection instead of an answer to the client's TLS hello.",
    )


@pytest.mark.parametrize("end", ["FS", "RS"])
def test_the_server_closes_on_the_port_of_tls(end: str) -> None:
    connection = play([("C", CLIENT_HELLO), (end, ""), ("FC", "")], port=465)
    assert found(connection) == {"SEC636": None}
    assert one(connection, "SEC636").certainty == "certain"


@pytest.mark.parametrize(
    "rest",
    [
        [("S", server_hello(0x0303)), ("C", DATA), ("S", alert(40)), *CLOSE],
        [("S", alert(0)), *CLOSE],
        [("S", alert(0, 1)), *CLOSE],
        [("S", alert(90, 1)), ("S", server_hello(0x0303)), *CLOSE],
        [],
        [("GS", "40"), ("S", alert(40)), *CLOSE],
        [("GC", "40"), ("S", alert(40)), *CLOSE],
        [("S", server_hello(0x0303)), ("FC", ""), ("FS", "")],
        [("S", server_hello(0x0303)), *CLOSE],
        [("FC", ""), ("FS", "")],
    ],
    ids=["data", "close_notify", "mild", "user", "open", "server gap", "client gap", "client", "server", "no answer"],
)
def test_the_handshake_was_not_broken_off(rest: Script) -> None:
    assert "SEC636" not in found(play([*START, *rest]))


def test_an_alert_without_a_hello_of_the_client_is_no_failed_handshake() -> None:
    assert "SEC636" not in found(play([*hello("STARTTLS"), *lines("C STARTTLS", "S 220 go"), ("S", alert(80)), *CLOSE]))


# -- SEC637 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "name"), [(0x0300, "SSL 3"), (0x0301, "TLS 1.0"), (0x0302, "TLS 1.1")])
@pytest.mark.parametrize(("port", "severity"), [(25, "info"), (587, "warning")])
def test_an_old_version(version: int, name: str, port: int, severity: str) -> None:
    finding = one(play([*START, ("S", server_hello(version)), ("C", DATA)], port=port), "SEC637")
    assert (finding.message, finding.side, finding.severity) == (f"The server chose {name}.", "server", severity)
    assert finding.certainty == "certain"


def test_an_old_version_on_the_port_of_tls() -> None:
    connection = play([("C", CLIENT_HELLO), ("S", server_hello(0x0301)), ("C", DATA)], port=465)
    assert one(connection, "SEC637").severity == "warning"


def test_a_version_that_is_in_use() -> None:
    assert found(play([*START, ("S", server_hello(0x0303)), ("C", DATA), ("S", DATA)])) == {}


# -- SEC635 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [[("S", alert(10)), *CLOSE], [*CLOSE], [("RS", "")], [("FC", ""), ("FS", "")], []])
@pytest.mark.parametrize("line", ["EHLO client.example\r\n", "EHLO client.exam", "FOO\r\nEHLO client.example\r\n"])
def test_clear_text_on_the_port_of_tls(line: str, end: Script) -> None:
    connection = play([("C", line), *end], port=465)
    finding = one(connection, "SEC635")
    assert (finding.side, finding.severity, finding.offset) == ("client", "error", 0)
    assert [rule for rule, cause in found(connection).items() if cause is None and rule != "TCP906"] == ["SEC635"]


def test_the_message_names_the_command() -> None:
    finding = one(play([("C", "ehlo client.example\r\n"), *CLOSE], port=465), "SEC635")
    assert finding.message == "EHLO was sent in clear text to port 465, where TLS has to begin at once."


def test_a_header_of_a_proxy_is_skipped() -> None:
    header = b"PROXY TCP4 203.0.113.9 198.51.100.25 41218 25\r\n"
    connection = play([("C", header + b"EHLO client.example\r\n"), ("S", alert(10)), *CLOSE], port=465)
    assert one(connection, "SEC635").offset == len(header)
    assert "SEC635" not in found(play([("C", header + CLIENT_HELLO), ("S", server_hello(0x0303))], port=465))


def test_a_server_that_speaks_plain_text_there_is_at_fault() -> None:
    assert found(play([*hello(), *END], port=465)) == {"SEC631": None}
    early: Script = [("C", "EHLO client.example\r\n"), ("S", "220 mx.example\r\n"), *lines("S 250 mx.example"), *END]
    assert "SEC635" not in found(play(early, port=465))


def test_another_port() -> None:
    assert "SEC635" not in found(play([("C", "EHLO client.example\r\n"), ("S", alert(10)), *CLOSE], port=587))


def test_unknown_commands_there_follow_from_it() -> None:
    connection = play([("C", "FOO\r\nEHLO client.example\r\n"), *CLOSE], port=465)
    assert found(connection) == {"SEC635": None, "CMD301": "SEC635"}


# -- SEC602, SEC616, SEC631 --------------------------------------------------------------------------------------------


def test_a_line_without_a_code_follows_from_clear_text_after_the_220() -> None:
    start: Script = [*hello("STARTTLS"), *lines("C STARTTLS", "S 220 go", "C EHLO client.example")]
    assert found(play([*start, ("S", "junk\r\n"), *CLOSE]))["RPL401"] == "SEC602"


def test_a_remark_about_clear_text_after_the_220_explains_nothing() -> None:
    start: Script = [*hello("STARTTLS"), *lines("C STARTTLS", "S 220 go", "C EHLO client.example", "S 250 mx.example")]
    assert found(play([*start, ("S", "junk\r\n"), *CLOSE])) == {"SEC602": None, "RPL401": None, "TCP902": None}


@pytest.mark.parametrize("answers", [["S 500 what", "S 500 what"], ["S 987 what"], []])
def test_a_hello_of_tls_in_a_clear_text_session(answers: list[str]) -> None:
    connection = play([*hello(), ("C", CLIENT_HELLO + b"\r\n\n"), *lines(*answers), *CLOSE])
    finding = one(connection, "SEC616")
    assert finding.message == "The client sent a TLS ClientHello in a clear-text session, without STARTTLS before it."
    assert {cause for rule, cause in found(connection).items() if rule not in {"SEC616", "TCP906", "RPL402"}} <= {
        "SEC616"
    }
    assert found(connection).keys().isdisjoint({"RPL401", "RPL409", "LEN001"})


@pytest.mark.parametrize("early", [True, False])
def test_a_hello_of_tls_where_the_server_speaks_plain_text_on_its_port(early: bool) -> None:
    start: Script = [("S", "220 mx.example ESMTP\r\n"), ("C", CLIENT_HELLO)]
    script: Script = [*(start[::-1] if early else start), *lines("S 500 what", "S 500 what"), *CLOSE]
    causes = found(play(script, port=465))
    assert causes.pop("SEC631") is None
    assert causes.pop("SEC616") == "SEC631"
    assert set(causes.values()) <= {"SEC616"} | {None if "TCP906" in causes else "SEC616"}


def test_what_a_server_does_after_another_protocol_follows_from_it() -> None:
    request = ("C", "GET / HTTP/1.1\r\nHost: mx.example\r\n\r\n")
    causes = found(
        play([*hello(), request, *lines("S 500 no", "S 500 no", "S 500 no", "S 500 no", "S 500 no"), *CLOSE])
    )
    assert causes["RPL411"] == causes["TCP902"] == "SEC616"
    alone = found(play([*hello(), *lines("C NOOP", "S 250 ok", "S 500 no"), *CLOSE]))
    assert alone == {"RPL411": None, "TCP902": None}


def test_an_error_explains_more_than_a_remark_about_the_same_command() -> None:
    start: Script = [*hello("STARTTLS"), *lines("C STARTTLS", "S 220 go")]
    causes = found(play([*start, *lines("C MAIL FROM:<a@client.example>", "S 250 ok"), *END]))
    assert causes == {"SEC602": None, "SEQ101": None, "SEQ120": "SEQ101"}
