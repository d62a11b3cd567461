"""Clients that do not behave like mail programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from scripts import END, GREETING, Script, hello, lines, play, rules, talk

from smtpwire.analyzer.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from smtpwire.analyzer import model

TLS_HELLO = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03"
MAIL = lines("C MAIL FROM:<a@client.example>", "S 250 ok")


def security(script: Script, *, port: int = 25, profile: str | None = None, onesided: bool = False) -> list[str]:
    found = rules(script, port=port, profile=profile, onesided=onesided)
    return [rule for rule in found if rule.startswith("SEC")]


def one(connection: model.Connection, rule: str) -> model.Finding:
    (finding,) = [f for f in connection.findings if f.rule == rule]
    return finding


@pytest.mark.parametrize(
    ("size", "severity"),
    [
        ("18446744073709551616", "error"),
        ("9223372036854775808", "error"),
        ("0009223372036854775808", "error"),
        ("2147483648", "warning"),
    ],
)
def test_a_chunk_size_that_overflows(size: str, severity: str) -> None:
    connection = play([*hello("CHUNKING"), *lines(f"C BDAT {size} LAST", "S 501 no")])
    assert one(connection, "SEC613").severity == severity


def test_leading_zeros_do_not_overflow() -> None:
    script = [*hello("CHUNKING"), *MAIL, ("C", "BDAT 00000000000000000000000005 LAST\r\nhello"), *lines("S 250 ok")]
    assert security(script) == []


HTTP = "POST / HTTP/1.1\r\nHost: mx.example\r\nContent-Length: 6\r\n\r\n"


def test_a_web_client() -> None:
    replies = ("S", "500 what\r\n" * 4)
    connection = play([("S", GREETING), ("C", HTTP), replies, *hello()[1:]])
    finding = one(connection, "SEC616")
    assert (finding.severity, finding.evidence) == ("warning", "POST / HTTP/1.1")
    assert not {"CMD301", "CMD318", "EXT504"} & {f.rule for f in connection.findings}


@pytest.mark.parametrize("line", ["OPTIONS sip:a@x.example SIP/2.0", "USER anonymous", "NICK a", "SSH-2.0-x"])
def test_other_protocols(line: str) -> None:
    assert "SEC616" in security([("S", GREETING), *lines(f"C {line}", "S 500 what")])


@pytest.mark.parametrize("line", ["HELP GET", "GETX", "GET nothing"])
def test_similar_lines_are_not_another_protocol(line: str) -> None:
    assert "SEC616" not in security([("S", GREETING), *lines(f"C {line}", "S 500 what")])


def test_tls_where_the_server_speaks_plain_text() -> None:
    assert security([("S", GREETING), ("C", TLS_HELLO)]) == ["SEC616"]
    assert security([("C", TLS_HELLO), ("S", GREETING)]) == ["SEC616"]
    assert security([("C", TLS_HELLO), ("S", b"\x16\x03\x03\x00\x05\x02\x00\x00\x01\x03")], port=465) == []


def test_a_client_that_does_not_wait() -> None:
    script = [("C", "EHLO client.example\r\nNOOP\r\n"), ("S", GREETING), *lines("S 250 mx.example", "S 250 ok")]
    connection = play(script)
    assert one(connection, "SEC618").severity == "warning"
    assert one(connection, "SEC618").offset == 0
    assert "SEC618" not in rules(hello())


def test_profiles_of_early_talkers() -> None:
    script = [("C", "HELO client.example\r\n"), ("S", GREETING), *lines("S 250 mx.example")]
    assert one(play(script, profile="rfc821"), "SEC618").severity == "info"
    assert "SEC618" not in rules(script, profile="lmtp")
    assert one(play(script, midstream=True), "SEC618").certainty == "indeterminate"
    assert "SEC618" not in rules(script, onesided=True)


def test_the_greeting_ends_with_its_last_line() -> None:
    begun = [("S", "220-mx.example\r\n"), *lines("C EHLO client.example", "S 220 ready", "S 250 mx.example"), *END]
    assert rules(begun) == ["SEC618"]
    assert "before the greeting 220 was complete" in one(play(begun), "SEC618").message
    waited = [("S", "220-mx.example\r\n"), *lines("S 220 ready", "C EHLO client.example", "S 250 mx.example"), *END]
    assert rules(waited) == []


def test_a_line_without_a_code_may_stand_for_the_greeting() -> None:
    assert rules([*lines("S mx.example ESMTP", "C EHLO client.example", "S 250 mx.example"), *END]) == ["RPL401"]


def test_pipeconnect_permits_commands_before_the_greeting() -> None:
    script = [("C", "EHLO client.example\r\nMAIL FROM:<a@client.example>\r\n"), ("S", GREETING)]
    offered = [*script, ("S", "250-mx.example\r\n250-PIPELINING\r\n250 PIPECONNECT\r\n250 ok\r\n"), *END]
    assert [(one.rule, one.severity) for one in play(offered).findings] == [("SEC618", "info")]


def vrfy(count: int) -> Script:
    return lines(*(entry for n in range(count) for entry in (f"C VRFY user{n}", "S 252 perhaps")))


def unknown(count: int) -> Script:
    return lines(*(entry for n in range(count) for entry in (f"C RCPT TO:<u{n}@mx.example>", "S 550 who")))


def test_a_search_for_addresses() -> None:
    assert security([*hello(), *vrfy(10)]) == ["SEC620"]
    assert security([*hello(), *vrfy(9)]) == []
    assert security([*hello(), *MAIL, *unknown(10)]) == ["SEC620"]
    assert security([*hello(), *MAIL, *unknown(9), *vrfy(9)]) == []


def test_the_limit_of_a_search_is_a_setting() -> None:
    connection = play([*hello(), *vrfy(3)], limits=replace(DEFAULT_LIMITS, harvest_probes=3))
    assert one(connection, "SEC620").message == "The client probes for valid addresses: VRFY or EXPN, 3 of them so far."


LOGGED_IN = lines("C AUTH CRAM-MD5", "S 334 PDFAbXg+", "C dXNlcg==", "S 235 ok")


def test_an_authenticated_client_may_search() -> None:
    start = [*hello("AUTH CRAM-MD5"), *LOGGED_IN]
    assert security([*start, *vrfy(10)]) == []
    assert security([*start, *MAIL, *lines("C RCPT TO:<b%y.example@mx.example>", "S 250 ok")]) == []
    assert security([*start, *lines("C TURN", "S 250 ok")]) == []


ROUTES = ["b%y.example@mx.example", "y.example!b@mx.example", '"b@y.example"@mx.example']


@pytest.mark.parametrize("address", ROUTES)
def test_recipients_in_the_form_of_a_relay_test(address: str) -> None:
    start = [*hello(), *MAIL]
    assert security([*start, *lines(f"C RCPT TO:<{address}>", "S 550 no relaying")]) == ["SEC622"]
    assert security([*start, *lines(f"C RCPT TO:<{address}>", "S 250 ok")]) == ["SEC622", "SEC623"]


@pytest.mark.parametrize("address", ["b+y@mx.example", "100%@mx.example", "wow!@mx.example", "a=b@mx.example"])
def test_other_recipients(address: str) -> None:
    assert security([*hello(), *MAIL, *lines(f"C RCPT TO:<{address}>", "S 250 ok")]) == []


def test_a_source_route_that_is_accepted() -> None:
    script = [*hello(), *MAIL, *lines("C RCPT TO:<@y.example:b@mx.example>", "S 250 ok")]
    assert security(script) == ["SEC623"]


def test_turn() -> None:
    assert security([*hello(), *lines("C TURN", "S 502 no")]) == ["SEC624"]
    assert security([*hello(), *lines("C TURN", "S 250 ok")]) == ["SEC624", "SEC625"]
    connection = play([*hello(), *lines("C TURN", "S 250 ok")], profile="rfc821")
    assert one(connection, "SEC625").severity == "warning"
    assert security([*hello("ETRN"), *lines("C ETRN x.example", "S 250 ok")]) == []


@pytest.mark.parametrize(("length", "expected"), [(600, []), (2043, []), (2044, ["SEC626"]), (20_000, ["SEC626"])])
def test_grossly_long_lines(length: int, expected: list[str]) -> None:
    assert security([*hello(), *lines("C NOOP " + "x" * (length - 2), "S 500 no")]) == expected


def test_a_line_without_an_end() -> None:
    assert security([*hello(), ("C", "NOOP " + "x" * 3000), ("RS", "")]) == ["SEC626"]
    assert security([*hello(), ("C", "NOOP " + "x" * 300), ("RS", "")]) == []


def test_a_long_login_is_not_an_attack() -> None:
    token = "x" * 4000
    assert security([*hello("AUTH CRAM-MD5"), *lines(f"C AUTH CRAM-MD5 {token}", "S 535 no")]) == []


def test_a_flood_of_commands() -> None:
    flood: Script = [*hello("PIPELINING"), ("C", "RSET\r\n" * 501), ("S", "250 ok\r\n" * 501)]
    connection = talk(flood)
    assert [f.rule for f in connection.findings if f.rule.startswith("SEC")] == ["SEC630"]
    group: Script = [*hello("PIPELINING"), ("C", "RSET\r\n" * 500), ("S", "250 ok\r\n" * 500)]
    assert security(group) == []
    assert security([entry for entry in flood if entry[0] == "C"], onesided=True) == []
