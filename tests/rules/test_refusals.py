"""RPL423 to RPL427 and EXT521: refusals of well-formed commands."""

from __future__ import annotations

import pytest
from scripts import END, GREETING, MAIL, MESSAGE, Script, envelope, findings, hello, lines, rules

SENDER = "C MAIL FROM:<a@client.example>"
OPEN = lines(SENDER, "S 250 ok")


def found(script: Script, **options: object) -> list[tuple[str, str]]:
    return [(one.rule, one.severity) for one in findings(script, **options)]  # type: ignore[arg-type]


def session(keywords: tuple[str, ...], *entries: str) -> list[tuple[str, bytes | str]]:
    return [*hello(*keywords), *lines(*entries), *END]


def greeted(*entries: str) -> list[tuple[str, bytes | str]]:
    return [("S", GREETING), *lines(*entries), *END]


# -- RPL423, RPL424 ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "reply", "severity"),
    [
        ("NOOP", "500 what", "error"),
        ("NOOP", "502 5.5.1 not here", "error"),
        ("NOOP abc", "500 what", "warning"),
        ("NOOP abc", "500 5.5.4 no argument", "warning"),
        ("RSET", "500 5.5.4 what", "warning"),
        ("VRFY b", "500 what", "warning"),
        ("MAIL FROM:<a@client.example>", "500 what", "error"),
        ("MAIL FROM:<a@client.example>", "502 5.5.4 not here", "error"),
    ],
)
def test_how_severe_the_refusal_of_a_required_command_is(command: str, reply: str, severity: str) -> None:
    assert found(session((), f"C {command}", f"S {reply}")) == [("RPL423", severity)]


def test_the_message_names_the_argument() -> None:
    (one,) = findings(session((), "C NOOP abc", "S 500 5.5.4 no argument wanted"))
    assert one.message == "The server refuses the argument of NOOP with 500; it should ignore it."
    assert one.reference == "RFC 5321 §4.1.1.9"


def test_vrfy_may_be_refused_with_502_and_what_is_listed_must_not() -> None:
    assert found(session((), "C VRFY b", "S 502 no")) == []
    assert found(session(("VRFY",), "C VRFY b", "S 500 no")) == [("EXT512", "error")]


# -- RPL425 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        "EHLO client.example",
        "EHLO [IPV6:2001:DB8::1]",
        "HELO client.example",
        "helo [192.0.2.7]",
    ],
)
def test_a_well_formed_hello_is_no_syntax_error(command: str) -> None:
    (one,) = findings(greeted(f"C {command}", "S 501 5.5.4 what"))
    assert (one.rule, one.severity, one.side) == ("RPL425", "warning", "server")
    assert f"{command[5:]} is well-formed, but was answered 501 (syntax error)." in one.message


@pytest.mark.parametrize(
    "reply", ["501 what", "501 5.1.7 what", "500 5.1.3 what", "500 5.1.7 w", "500 5.5.2 w", "500 5.5.4 w"]
)
@pytest.mark.parametrize("path", ["<a@client.example>", '<"a b"@client.example>', "<a@[IPv6:2001:db8::1]>"])
def test_a_well_formed_path_is_no_syntax_error(path: str, reply: str) -> None:
    assert found(session((), f"C MAIL FROM:{path}", f"S {reply}")) == [("RPL425", "warning")]
    assert found([*hello(), *OPEN, *lines(f"C RCPT TO:{path}", f"S {reply}"), *END]) == [("RPL425", "warning")]


@pytest.mark.parametrize(
    "reply",
    ["501 5.1.2 no", "501 5.1.8 no such domain", "501 5.7.1 no", "504 no", "550 no", "553 no", "554 no", "450 no"],
)
def test_other_reasons_are_not_about_syntax(reply: str) -> None:
    assert "RPL425" not in rules(session((), SENDER, f"S {reply}"))


def test_one_finding_for_each_verb() -> None:
    twice = lines(SENDER, "S 501 no", "C MAIL FROM:<b@client.example>", "S 501 no")
    script = greeted("C EHLO client.example", "S 501 no", "C HELO client.example", "S 250 mx.example")
    messages = [one.message for one in findings([*script[:-4], *twice, *END])]
    assert len(messages) == 2
    assert messages[1].endswith("It is the first of 2 such commands.")


@pytest.mark.parametrize("name", ["mailbox1", "my_pc.example", "[192.0.2]", "caf\xe9.example", "mx.example"])
def test_a_server_may_refuse_a_bad_hello_name_later(name: str) -> None:
    script = [("S", GREETING), *lines(f"C EHLO {name}", "S 250 mx.example", SENDER, "S 501 bad name")]
    assert "RPL425" not in rules(script)
    good = lines("C EHLO client.example", "S 250 mx.example", SENDER, "S 501 no")
    assert "RPL425" in rules([*script, *good])


def test_parameters_and_text_after_the_name_are_something_else() -> None:
    assert found(session(("X-Y",), "C MAIL FROM:<a@client.example> X-Y=1", "S 501 no")) == []
    assert found(greeted("C EHLO client.example and more", "S 501 no")) == []


def test_a_command_out_of_order_or_malformed_may_be_refused() -> None:
    assert "RPL425" not in rules(session((), "C RCPT TO:<b@mx.example>", "S 501 no"))
    assert "RPL425" not in rules([*hello(), *OPEN, *lines(SENDER, "S 501 no")])
    assert found(session((), "C MAIL FROM: <a@client.example>", "S 501 no")) == [("CMD305", "error")]
    assert found(greeted("C EHLO client.example ", "S 501 no")) == [("CMD316", "info")]
    assert "RPL425" not in rules(greeted("C LHLO client.example", "S 501 no"))


# -- RPL426 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [500, 501, 550, 551, 553, 554])
@pytest.mark.parametrize("name", ["Postmaster", "POSTMASTER"])
def test_postmaster_without_a_domain_is_refused(name: str, code: int) -> None:
    (one,) = findings([*hello(), *OPEN, *lines(f"C RCPT TO:<{name}>", f"S {code} no"), *END])
    assert (one.rule, one.severity, one.side) == ("RPL426", "error", "server")
    assert one.message == f"The server refused <{name}> with {code}; every server has to accept mail for it."


@pytest.mark.parametrize("reply", ["450 later", "503 no", "530 no", "552 full", "550 5.7.1 no", "550 5.1.8 bad sender"])
def test_other_answers_to_postmaster(reply: str) -> None:
    assert "RPL426" not in rules([*hello("AUTH PLAIN"), *OPEN, *lines("C RCPT TO:<Postmaster>", f"S {reply}"), *END])


@pytest.mark.parametrize("code", [550, 551, 553])
def test_the_postmaster_of_the_servers_own_name(code: int) -> None:
    asked = lines("C RCPT TO:<postmaster@MX.example>", f"S {code} no")
    assert found([*hello(), *OPEN, *asked, *END]) == [("RPL426", "error")]
    accepted = lines("C RCPT TO:<b@mx.example>", "S 250 ok")
    assert found([*hello(), *OPEN, *accepted, *asked, *END]) == [("RPL426", "error")]


@pytest.mark.parametrize("first", [True, False])
def test_the_postmaster_of_a_domain_that_is_accepted(first: bool) -> None:
    accepted = lines("C RCPT TO:<b@else.example>", "S 250 ok")
    refused = lines("C RCPT TO:<Postmaster@else.example>", "S 550 no")
    both = [*refused, *accepted] if first else [*accepted, *refused]
    script = [*hello(), *OPEN, *both, *lines("C RSET", "S 250 ok"), *END]
    (one,) = findings(script)
    assert (one.rule, one.severity) == ("RPL426", "error")
    assert one.evidence == "550 no"
    assert one.turn is not None


def test_a_postmaster_elsewhere_may_be_refused() -> None:
    script = [*hello(), *OPEN, *lines("C RCPT TO:<b@mx.example>", "S 250 ok", "C RCPT TO:<postmaster@far.example>")]
    assert found([*script, *lines("S 550 no relaying"), *END]) == []
    assert found([*script, *lines("S 501 5.1.8 no"), *END]) == []


def test_postmaster_outside_a_transaction_or_after_a_refused_greeting() -> None:
    assert "RPL426" not in rules(session((), "C RCPT TO:<Postmaster>", "S 550 no"))
    refused = lines("S 554 no service", "C RCPT TO:<Postmaster>", "S 550 no", "C QUIT", "S 221 bye")
    assert "RPL426" not in rules(refused)
    group = [("C", "MAIL FROM:<a@x.example>\r\nRCPT TO:<Postmaster>\r\n"), ("S", "550 no\r\n550 no\r\n")]
    assert "RPL426" not in rules([*hello("PIPELINING"), *group])


def test_lmtp_has_no_postmaster_of_its_own() -> None:
    script = lines(
        "S 220 mx LMTP", "C LHLO c.example", "S 250 mx", SENDER, "S 250 ok", "C RCPT TO:<Postmaster>", "S 550 no"
    )
    assert "RPL426" not in rules(script, port=24)


# -- RPL427 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [500, 501, 550, 551, 553, 554, 555])
def test_the_null_sender_is_refused(code: int) -> None:
    assert ("RPL427", "warning") in found(session((), "C MAIL FROM:<>", f"S {code} no"))
    assert "RPL427" not in rules(session((), SENDER, f"S {code} no"))


@pytest.mark.parametrize("code", [500, 501, 550, 553, 554])
def test_a_refused_null_sender_is_one_finding(code: int) -> None:
    assert found(session((), "C MAIL FROM:<>", f"S {code} no")) == [("RPL427", "warning")]


@pytest.mark.parametrize("reply", ["450 later", "503 no", "530 no", "552 full", "550 5.7.1 no"])
def test_other_answers_to_the_null_sender(reply: str) -> None:
    assert "RPL427" not in rules(session((), "C MAIL FROM:<>", f"S {reply}"))


def test_a_null_sender_with_parameters_or_in_submission() -> None:
    assert "RPL427" not in rules(session(("SIZE",), "C MAIL FROM:<> SIZE=9", "S 555 no"))
    assert "RPL427" in rules(session(("SIZE",), "C MAIL FROM:<> SIZE=9", "S 550 no"))
    assert "RPL427" not in rules(session((), "C MAIL FROM:<>", "S 550 no"), profile="submission")


# -- EXT521 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [500, 501, 504, 555])
@pytest.mark.parametrize(
    ("keywords", "parameter"),
    [
        (("8BITMIME",), "BODY=8BITMIME"),
        (("8BITMIME",), "body=7bit"),
        (("SIZE 1000",), "SIZE=900"),
        (("DSN",), "RET=HDRS ENVID=x"),
        (("SMTPUTF8", "8BITMIME"), "SMTPUTF8"),
        (("AUTH CRAM-MD5",), "AUTH=<>"),
    ],
)
def test_an_offered_parameter_is_refused(keywords: tuple[str, ...], parameter: str, code: int) -> None:
    script = session(keywords, f"C MAIL FROM:<a@client.example> {parameter}", f"S {code} no")
    assert found(script) == [("EXT521", "error")]


def test_the_message_names_the_offer_and_the_parameter() -> None:
    (one,) = findings(session(("8BITMIME",), "C MAIL FROM:<a@client.example> BODY=8BITMIME", "S 501 no"))
    assert one.message == "The server offers 8BITMIME, but answered 501 to MAIL with BODY=8BITMIME."
    assert one.reference == "RFC 5321 §2.2.1, §4.1.1.11; RFC 6152 §2"


@pytest.mark.parametrize(
    ("keywords", "parameter", "reply"),
    [
        (("SIZE 1000",), "SIZE=900", "552 full"),
        (("SIZE 1000",), "SIZE=900", "554 no"),
        (("SIZE 1000",), "SIZE=900", "501 5.1.8 no such domain"),
        (("SIZE 1000",), "SIZE=900", "501 5.7.1 no"),
        (("SIZE 1000",), "SIZE=2000", "501 too large"),  # EXT506
        (("SIZE 1000",), "SIZE=x", "501 no"),  # CMD308
        (("SIZE 1000",), "SIZE=9 BODY=7BIT", "501 no"),  # EXT502
        (("SIZE 1000", "DSN"), "SIZE=9 NOTIFY=NEVER", "501 no"),  # EXT519
        (("SIZE 1000", "X-Y"), "SIZE=9 X-Y=1", "501 no"),
        (("MT-PRIORITY",), "MT-PRIORITY=9", "501 no"),
        (("FUTURERELEASE 100 2027-01-01T00:00:00Z",), "HOLDFOR=9", "501 no"),
        (("DELIVERBY",), "BY=900;R", "501 no"),
    ],
)
def test_other_refusals_have_another_reason(keywords: tuple[str, ...], parameter: str, reply: str) -> None:
    assert "EXT521" not in rules(session(keywords, f"C MAIL FROM:<a@client.example> {parameter}", f"S {reply}"))


def test_a_parameter_of_rcpt_is_judged_too() -> None:
    script = [*hello("DSN"), *OPEN, *lines("C RCPT TO:<b@mx.example> NOTIFY=FAILURE", "S 555 no"), *END]
    assert found(script) == [("EXT521", "error")]
    assert found(script, profile="rfc821", select=("EXT521",)) == []


# -- RPL408 at the end of mail data ------------------------------------------------------------------------------------

DATA = [*envelope(), *lines("C DATA", "S 354 go")]


@pytest.mark.parametrize("code", [500, 501, 502, 503, 504])
def test_the_end_of_mail_data_is_no_command(code: int) -> None:
    script = [*hello(), *DATA, ("C", MESSAGE + ".\r\n"), *lines(f"S {code} what"), *END]
    assert found(script, select=("RPL", "SEQ")) == [("RPL408", "warning")]


@pytest.mark.parametrize("code", [552, 554, 451, 452, 450, 550])
def test_usual_answers_to_the_end_of_mail_data(code: int) -> None:
    script = [*hello(), *DATA, ("C", MESSAGE + ".\r\n"), *lines(f"S {code} no"), *END]
    assert found(script, select=("RPL", "SEQ")) == []


def test_after_an_empty_transaction_or_a_look_alike_the_code_is_not_judged() -> None:
    empty = [*hello(), *OPEN, *lines("C DATA", "S 354 go", "C .", "S 503 no recipients"), *END]
    assert "RPL408" not in rules(empty)
    text = MESSAGE + "\n.\nRSET\r\n.\r\n"
    assert "RPL408" not in rules([*hello(), *DATA, ("C", text), *lines("S 500 what"), *END])
    for fault in ("x" * 1200, "a\nb", "a\0b"):
        text = f"{MESSAGE}{fault}\r\n.\r\n"
        assert "RPL408" not in rules([*hello(), *DATA, ("C", text), *lines("S 500 line too long"), *END])


@pytest.mark.parametrize("code", [500, 501, 503])
@pytest.mark.parametrize("last", ["", " LAST"])
def test_a_chunk_is_a_command(code: int, last: str) -> None:
    chunk = [("C", f"BDAT {len(MESSAGE)}{last}\r\n{MESSAGE}")]
    script = [*hello("CHUNKING"), *envelope(), *chunk, *lines(f"S {code} no", "C RSET", "S 250 ok"), *END]
    assert "RPL408" not in rules(script)


def test_whole_mail_is_silent() -> None:
    assert found([*hello("SIZE 2000", "DSN", "8BITMIME"), *MAIL, *END]) == []
