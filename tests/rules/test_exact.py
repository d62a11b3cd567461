"""The exact content of findings: offset, message, and the values at the limit of what is allowed."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from scripts import Script, envelope, findings, hello, lines, rules

from smtpwire.analyzer.exchanges.state_table import START, Act, Hello, Phase, advance

AUTH = hello("AUTH LOGIN")


def one(script: Script, rule: str) -> tuple[int, int, str]:
    """Offset, length and message of the one finding of ``rule``."""
    (found,) = (finding for finding in findings(script) if finding.rule == rule)
    return found.offset, found.length, found.message


@pytest.mark.parametrize(("end", "rule"), [("\n", "BIT221"), ("\r", "BIT222")])
def test_a_bare_newline_that_ends_a_line_is_its_last_byte(end: str, rule: str) -> None:
    script = [*hello(), ("C", "NOOP" + end), *lines("S 250 ok")]
    assert one(script, rule)[:2] == (len("EHLO client.example\r\n") + len("NOOP"), 1)
    assert "ends the line instead of CRLF" in one(script, rule)[2]


@pytest.mark.parametrize(("end", "rule"), [("\n", "BIT221"), ("\r", "BIT222")])
def test_a_bare_newline_inside_a_line_is_at_its_offset(end: str, rule: str) -> None:
    script = [*hello(), ("C", f"NOOP a{end}b\r\n"), *lines("S 250 ok")]
    assert one(script, rule)[:2] == (len("EHLO client.example\r\n") + len("NOOP a"), 1)
    assert "is inside the line" in one(script, rule)[2]


def test_eight_bit_bytes_of_an_address_and_of_a_verb_have_different_messages() -> None:
    address = [*hello(), ("C", "MAIL FROM:<\xe4@client.example>\r\n"), *lines("S 501 no")]
    assert "in an address, although the server does not offer SMTPUTF8" in one(address, "BIT201")[2]
    verb = [*hello(), ("C", "M\xe4IL FROM:<a@client.example>\r\n"), *lines("S 500 no")]
    assert "in an address" not in one(verb, "BIT201")[2]
    both = [*hello(), ("C", "M\xe4IL FROM:<\xe4@client.example>\r\n"), *lines("S 500 no")]
    assert "in an address" not in one(both, "BIT201")[2]


@pytest.mark.parametrize(("octets", "found"), [(12_288, False), (12_289, True)])
def test_a_line_of_an_auth_exchange_at_its_limit(octets: int, found: bool) -> None:
    line = "A" * (octets - 2) + "\r\n"
    script = [*AUTH, *lines("C AUTH LOGIN", "S 334 VXNlcm5hbWU6"), ("C", line), *lines("S 535 no")]
    assert ("LEN006" in rules(script)) is found


@pytest.mark.parametrize(("code", "word"), [(500, "unknown (500)"), (502, "not implemented (502)")])
def test_the_message_names_the_refusal_of_a_required_command(code: int, word: str) -> None:
    assert word in one([*hello(), *lines("C NOOP", f"S {code} what")], "RPL423")[2]


def test_helo_is_a_command_of_smtp_but_not_of_lmtp() -> None:
    refused = lines("S 220 mx.example ESMTP", "C HELO client.example", "S 502 no")
    assert "RPL423" in rules(refused)
    assert "RPL423" not in rules(refused, profile="lmtp")


@pytest.mark.parametrize(
    ("code", "found"), [(500, ["RPL424"]), (501, ["RPL425"]), (502, ["RPL424"]), (504, []), (550, []), (554, [])]
)
def test_codes_that_mean_that_ehlo_is_unknown(code: int, found: list[str]) -> None:
    script = lines("S 220 mx.example ESMTP", "C EHLO client.example", f"S {code} no", "C QUIT", "S 221 bye")
    assert rules(script) == found


@pytest.mark.parametrize(("end", "word"), [("F", "closed"), ("R", "reset")])
@pytest.mark.parametrize(("side", "rule"), [("C", "TCP901"), ("S", "TCP902")])
def test_the_message_says_how_a_side_closed(end: str, word: str, side: str, rule: str) -> None:
    assert f"{word} the connection" in one([*hello(), *envelope(), (end + side, "")], rule)[2]


def test_the_message_names_the_unanswered_command() -> None:
    sent = [*AUTH, *lines("C AUTH LOGIN", "S 334 VXNlcm5hbWU6", "C dXNlcg=="), ("FS", "")]
    assert one(sent, "RPL412")[2].startswith("A line of the AUTH exchange was never answered")
    assert one([*hello(), *lines("C NOOP"), ("FS", "")], "RPL412")[2].startswith("NOOP was never answered")
    sent = [*hello(), *envelope(), *lines("C DATA", "S 354 go"), ("C", "Date: x\r\n\r\n.\r\n"), ("FS", "")]
    assert one(sent, "RPL412")[2].startswith("The end of mail data was never answered")


def test_a_bad_greeting_is_certain_with_one_direction() -> None:
    (found,) = (f for f in findings(lines("S 250 mx.example ESMTP", "S 221 bye"), onesided=True) if f.rule == "RPL407")
    assert found.certainty == "certain"


def test_a_keyword_in_place_of_the_name_is_reported_in_the_reply() -> None:
    script = [*lines("S 220 mx.example ESMTP", "C EHLO client.example"), ("S", "250-PIPELINING\r\n250 SIZE 1\r\n")]
    found = next(f for f in findings(script) if "starts with the keyword" in f.message)
    assert (found.side, found.offset) == ("server", len("220 mx.example ESMTP\r\n"))


def test_3yz_accepts_nothing_but_data_and_auth() -> None:
    within = replace(START, phase=Phase.MAIL, hello=Hello(b"EHLO"), transaction=object())
    assert advance(within, Act.RSET, 354) == within
    refused = replace(within, data_refused=True)
    assert advance(refused, Act.RSET, 354) == refused
    assert advance(within, Act.MAIL, 354, transaction=object()) == within
    assert advance(within, Act.AUTH, 334) == within


@pytest.mark.parametrize("code", [400, 451, 500, 599])
def test_a_refusal_of_data_is_remembered_whatever_its_code(code: int) -> None:
    within = replace(START, phase=Phase.RCPT, hello=Hello(b"EHLO"))
    assert advance(within, Act.DATA, code).data_refused
    assert not advance(within, Act.DATA, 354).data_refused


def test_the_message_says_why_a_command_was_not_offered() -> None:
    etrn = lines("C ETRN mx.example", "S 458 no")
    helo = lines("S 220 mx.example ESMTP", "C HELO client.example", "S 250 mx.example")
    assert "the last hello was HELO" in one([*helo, *etrn], "EXT501")[2]
    assert "the server does not list ETRN" in one([*hello(), *etrn], "EXT501")[2]
    none = one([*lines("S 220 mx.example ESMTP"), *etrn], "EXT501")[2]
    assert "no EHLO had been sent" in none
    assert "handshake" not in none


def test_the_message_names_the_early_command_and_the_delay() -> None:
    named = [*hello(), ("C", "NOOP\r\nRSET\r\n"), ("S", "250 ok\r\n250 ok\r\n")]
    assert one(named, "EXT504")[2].startswith("RSET was sent before")
    assert "complete (it came 2.0 ms later, in frame 12); the server does not offer" in one(named, "EXT504")[2]
    unknown = [*hello(), ("C", "NOOP\r\nFOO\r\n"), ("S", "250 ok\r\n500 what\r\n")]
    assert one(unknown, "EXT504")[2].startswith("A line that is not a command was sent before")
    early = [("C", "EHLO client.example\r\n"), *lines("S 220 mx.example ESMTP", "S 250 mx.example")]
    found = [f.message for f in findings(early) if f.rule == "SEC618"]
    assert found == ["EHLO was sent 2.0 ms before the greeting 220 came; the client should have waited for it."]


def test_the_message_names_the_exceeded_limit() -> None:
    twice = [*hello("LIMITS RCPTMAX=1"), *envelope(), *lines("C RCPT TO:<c@mx.example>", "S 250 ok")]
    assert "exceeds RCPTMAX=1," in one(twice, "EXT516")[2]
    domains = [*hello("LIMITS RCPTDOMAINMAX=1"), *envelope(), *lines("C RCPT TO:<c@mx2.example>", "S 250 ok")]
    assert "exceeds RCPTDOMAINMAX=1," in one(domains, "EXT516")[2]
