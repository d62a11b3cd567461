"""EXT: what the server offers and what the client uses."""

from __future__ import annotations

import pytest
from scripts import MESSAGE, Script, envelope, findings, hello, lines, talk

HELO = [("S", "220 mx.example\r\n"), ("C", "HELO client.example\r\n"), ("S", "250 mx.example\r\n")]


def rules(script: Script, **options: object) -> list[str]:
    return [f.rule for f in findings(script, select=("EXT",), **options)]  # type: ignore[arg-type]


def session(keywords: str, *entries: str) -> list[tuple[str, bytes | str]]:
    """A session whose server lists ``keywords``, separated by commas."""
    return [*hello(*[k.strip() for k in keywords.split(",") if k]), *lines(*entries)]


@pytest.mark.parametrize(
    ("line", "keyword"),
    [
        ("STARTTLS", "STARTTLS"),
        ("AUTH CRAM-MD5", "AUTH CRAM-MD5"),
        ("BURL imap://x LAST", "BURL imap"),
        ("BDAT 0", "CHUNKING"),
        ("ETRN x.example", "ETRN"),
        ("XCLIENT NAME=x", "XCLIENT NAME"),
        ("XFORWARD NAME=x", "XFORWARD NAME"),
    ],
)
def test_a_command_needs_its_keyword(line: str, keyword: str) -> None:
    assert rules(session("SIZE", f"C {line}", "S 454 no")) == ["EXT501"]
    assert rules(session(keyword, f"C {line}", "S 454 no")) == []
    assert rules([*HELO, *lines(f"C {line}", "S 454 no")]) == ["EXT501"]


def test_an_offer_that_the_client_did_not_wait_for_is_one_finding() -> None:
    early = [("S", "220 mx.example\r\n"), ("C", "EHLO c.example\r\nSTARTTLS\r\n")]
    assert rules([*early, ("S", "250-mx.example\r\n250 STARTTLS\r\n"), *lines("S 220 go")]) == ["EXT504"]
    assert "EXT501" in rules([*early, ("S", "250-mx.example\r\n250 SIZE\r\n"), *lines("S 454 no")])


def test_the_old_form_of_auth_counts() -> None:
    assert rules(session("AUTH=LOGIN", "C AUTH LOGIN", "S 334 VXNlcm5hbWU6", "C *", "S 501 ok")) == []


def test_commands_of_the_base_protocol_need_no_keyword() -> None:
    assert rules(session("", "C VRFY bob", "S 252 ok", "C EXPN x", "S 550 no", "C HELP", "S 214 ok")) == []


@pytest.mark.parametrize(
    ("parameter", "keyword"),
    [
        ("SIZE=5", "SIZE"),
        ("BODY=8BITMIME", "8BITMIME"),
        ("BODY=BINARYMIME", "BINARYMIME, CHUNKING"),
        ("SMTPUTF8", "SMTPUTF8, 8BITMIME"),
        ("AUTH=<>", "AUTH PLAIN"),
        ("RET=FULL ENVID=x", "DSN"),
        ("HOLDFOR=60", "FUTURERELEASE"),
        ("FOO=1", "XFOO"),
    ],
)
def test_a_parameter_needs_its_keyword(parameter: str, keyword: str) -> None:
    entries = [f"C MAIL FROM:<a@x.example> {parameter}", "S 250 ok"]
    assert rules(session("ETRN", *entries)) == ["EXT502"]
    assert rules(session(keyword, *entries)) == []


def test_several_missing_parameters_are_one_finding() -> None:
    (finding,) = findings(session("", "C MAIL FROM:<a@x.example> RET=HDRS SIZE=1", "S 555 no"), select=("EXT",))
    assert (finding.rule, finding.count, finding.length) == ("EXT502", 2, len("RET=HDRS"))
    assert finding.message == "MAIL uses RET and SIZE, which the server does not offer; the server answered 555."


def test_missing_parts_of_the_capture_are_not_judged() -> None:
    script = session("SIZE", "C MAIL FROM:<a@x.example> BODY=7BIT", "S 555 no", "C ETRN x", "S 500 no")
    assert rules(script) == ["EXT502", "EXT501"]
    assert rules(script[3:], midstream=True) == []
    assert rules([e for e in script if e[0] == "C"], onesided=True) == []
    lost = [*script[:2], ("GS", str(len(script[2][1]))), *script[3:]]
    assert rules(lost) == []


def test_mechanisms_are_listed_in_any_case() -> None:
    assert rules(session("AUTH cram-md5", "C AUTH CRAM-MD5", "S 454 no")) == []
    assert rules(session("AUTH CRAM-MD5", "C AUTH SCRAM-SHA-1", "S 504 no")) == ["EXT503"]


PAIR = ("C", "MAIL FROM:<a@x.example>\r\nRCPT TO:<b@mx.example>\r\n")


def test_without_pipelining_the_client_must_wait() -> None:
    replies = ("S", "250 ok\r\n250 ok\r\n")
    assert rules([*session("SIZE"), PAIR, replies]) == ["EXT504"]
    assert rules([*HELO, PAIR, replies]) == ["EXT504"]
    assert rules([*session("PIPELINING"), PAIR, replies]) == []
    assert rules([*session("PIPELINING"), PAIR, replies], profile="rfc821") == ["EXT504"]
    assert rules([*hello("SIZE"), *envelope()]) == []


def test_the_client_must_wait_for_the_reply_to_ehlo() -> None:
    script = [
        ("S", "220 mx.example\r\n"),
        ("C", "EHLO c.example\r\nMAIL FROM:<a@x.example>\r\n"),
        ("S", "250 mx\r\n250 ok\r\n"),
    ]
    assert rules(script) == ["EXT504"]
    assert rules([("C", "EHLO c.example\r\n"), ("S", "220 mx.example\r\n250 mx.example\r\n")]) == []
    again = [*session("PIPELINING"), script[1], script[2]]
    assert rules(again) == ["EXT504"]


@pytest.mark.parametrize("line", ["NOOP", "VRFY bob", "EXPN staff", "DATA", "AUTH CRAM-MD5", "AUTH PLAIN", "ETRN x"])
def test_some_commands_end_a_group(line: str) -> None:
    script = session("PIPELINING, AUTH PLAIN CRAM-MD5, ETRN")
    assert rules([*script, ("C", f"{line}\r\nRSET\r\n"), ("S", "451 no\r\n250 ok\r\n")]) == ["EXT505"]


def test_groups_that_are_allowed() -> None:
    open_ = session("PIPELINING, AUTH PLAIN, CHUNKING")
    group = "RSET\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<b@mx.example>\r\nDATA\r\n"
    replies = "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"
    data = [("C", f"{MESSAGE}.\r\nRSET\r\nNOOP\r\n"), ("S", "250 queued\r\n250 ok\r\n250 ok\r\n")]
    assert rules([*open_, ("C", group), ("S", replies), *data]) == []
    assert rules([*open_, ("C", "AUTH PLAIN AGEAYg==\r\nRSET\r\n"), ("S", "235 ok\r\n250 ok\r\n")]) == []
    chunks = ("C", "BDAT 2\r\nhiBDAT 0 LAST\r\nRSET\r\n")
    assert rules([*open_, *envelope(), chunks, ("S", "250 ok\r\n250 ok\r\n250 ok\r\n")]) == []


def test_message_text_waits_for_354() -> None:
    data = [("C", f"DATA\r\n{MESSAGE}.\r\n"), ("S", "354 go\r\n250 queued\r\n")]
    assert rules([*session("PIPELINING"), *envelope(), *data]) == ["EXT505"]
    assert rules([*session("SIZE"), *envelope(), *data]) == ["EXT504"]
    part = [("C", "DATA\r\nDate: x\r\n"), ("S", "354 go\r\n"), ("C", "\r\nhi\r\n.\r\n"), ("S", "250 queued\r\n")]
    assert rules([*session("PIPELINING"), *envelope(), *part]) == ["EXT505"]


def test_commands_injected_after_starttls_have_their_own_rules() -> None:
    refused = [("C", "STARTTLS\r\nEHLO x.example\r\nNOOP\r\n"), ("S", "454 no\r\n250 mx\r\n250 ok\r\n")]
    assert rules([*session("STARTTLS"), *refused]) == []
    assert rules([*session("STARTTLS, PIPELINING"), *refused]) == []


def test_messages_larger_than_the_server_accepts() -> None:
    declared = ["C MAIL FROM:<a@x.example> SIZE=2000", "S 552 no"]
    assert rules(session("SIZE 1000", *declared)) == ["EXT506"]
    assert rules(session("SIZE 2000", *declared)) == []
    assert rules(session("SIZE", *declared)) == []
    assert rules(session("SIZE 0", *declared)) == []


def test_the_size_that_was_sent_counts_once() -> None:
    size = len(MESSAGE)
    data = [*lines("C DATA", "S 354 go"), ("C", f"{MESSAGE}.\r\n"), ("S", "552 no\r\n")]
    assert rules([*hello(f"SIZE {size}"), *envelope(), *data]) == []
    (finding,) = findings([*hello(f"SIZE {size - 1}"), *envelope(), *data], select=("EXT",))
    assert finding.message == (
        f"The message has {size} octets, but the server accepts at most {size - 1}; the server answered 552."
    )
    assert rules([*hello(f"SIZE {size - 1}"), *envelope(f"SIZE={size}"), *data]) == ["EXT506"]
    chunks = [("C", "BDAT 6\r\nabc\r\n\n"), ("S", "250 ok\r\n"), ("C", "BDAT 5 LAST\r\nabc\r\n"), ("S", "552 no\r\n")]
    assert rules([*hello("SIZE 10", "CHUNKING"), *envelope(), *chunks]) == ["EXT506"]
    assert rules([*hello("SIZE 11", "CHUNKING"), *envelope(), *chunks]) == []


def test_keywords_that_depend_on_others() -> None:
    assert rules(session("SMTPUTF8")) == ["EXT509"]
    assert rules(session("SMTPUTF8, 8BITMIME")) == []
    assert rules(session("BINARYMIME")) == ["EXT510"]
    assert rules(session("BINARYMIME, CHUNKING")) == []


def ext_inside(script: Script) -> list[str]:
    return [f.rule for f in talk(script, select=("EXT",)).findings]


def test_starttls_is_offered_once() -> None:
    outside = session("STARTTLS", "C STARTTLS", "S 220 go")
    inside = [("TLS", ""), ("C", "EHLO c.example\r\n"), ("S", "250-mx.example\r\n250 STARTTLS\r\n")]
    assert ext_inside([*outside, *inside]) == ["EXT511"]
    assert ext_inside([*outside, *inside[:2], ("S", "250 mx.example\r\n")]) == []
    assert rules([*outside, *inside]) == ["EXT511"]  # decrypted before it was saved: the session is inside TLS too


def test_what_is_listed_is_implemented() -> None:
    assert rules(session("ETRN", "C ETRN x.example", "S 502 no")) == ["EXT512"]
    assert rules(session("ETRN", "C ETRN x.example", "S 459 no")) == []
    assert rules(session("ETRN", "C ETRN ", "S 500 no")) == []
    assert rules(session("AUTH PLAIN", "C AUTH PLAIN " + "A" * 600, "S 500 too long")) == []
    assert rules(session("", "C VRFY bob", "S 502 no")) == []


def test_requiretls_needs_tls() -> None:
    mail = lines("C MAIL FROM:<a@x.example> REQUIRETLS", "S 250 ok")
    assert rules([*hello("REQUIRETLS"), *mail]) == ["EXT515"]
    inside = [("TLS", ""), ("C", "EHLO c.example\r\n"), ("S", "250-mx.example\r\n250 REQUIRETLS\r\n")]
    assert rules([*session("STARTTLS", "C STARTTLS", "S 220 go"), *inside, *mail]) == []


def test_announced_limits() -> None:
    two = [*envelope(), *lines("C RCPT TO:<c@other.example>", "S 250 ok")]
    mails = [*two, *lines("C RSET", "S 250 ok"), *envelope()]
    assert rules([*hello("LIMITS RCPTMAX=1"), *two]) == ["EXT516"]
    assert rules([*hello("LIMITS RCPTMAX=2"), *two]) == []
    assert rules([*hello("LIMITS RCPTDOMAINMAX=1"), *two]) == ["EXT516"]
    assert rules([*hello("LIMITS RCPTDOMAINMAX=2"), *two]) == []
    assert rules([*hello("LIMITS MAILMAX=1"), *mails]) == ["EXT516"]
    assert rules([*hello("LIMITS MAILMAX=2"), *mails]) == []
    assert rules([*hello("LIMITS RCPTMAX=few"), *two]) == []
