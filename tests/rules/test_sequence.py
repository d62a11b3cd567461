"""SEQ: each rule fires in its case, with the right side and offset, and not in similar ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from scripts import MESSAGE, envelope, findings, hello, lines

if TYPE_CHECKING:
    from scripts import Script

    from smtpwire.analyzer.model import Finding

SEQ = ("SEQ",)
CHUNKS = ("CHUNKING", "BINARYMIME", "PIPELINING")
AUTH = "AUTH PLAIN LOGIN"


def seq(script: Script, profile: str | None = None, *, midstream: bool = False) -> list[Finding]:
    return findings(script, profile=profile, midstream=midstream, select=SEQ)


def names(script: Script, profile: str | None = None) -> list[str]:
    return [finding.rule for finding in seq(script, profile)]


GREETED = lines("S 220 mx.example ESMTP")
CHUNK = [*hello(*CHUNKS), *envelope(), *lines("C BDAT 5\r\nabc", "S 250 ok")]
LAST = [*hello(*CHUNKS), *envelope(), *lines("C BDAT 5 LAST\r\nabc", "S 250 ok")]
FAILED = [*hello(*CHUNKS), *envelope(), *lines("C BDAT 5\r\nabc", "S 452 full")]
REFUSED_RCPT = [
    *hello("PIPELINING"),
    *lines("C MAIL FROM:<a@client.example>", "S 250 ok", "C RCPT TO:<b@mx.example>", "S 550 no"),
]
REFUSED_DATA = [*hello(), *envelope(), *lines("C DATA", "S 451 later")]
LOGGED_IN = [*hello(AUTH), *lines("C AUTH PLAIN AGEAYg==", "S 235 ok")]

FIRES: list[tuple[str, Script]] = [
    ("SEQ101", [*GREETED, *lines("C MAIL FROM:<a@x.example>", "S 503 hello first")]),
    ("SEQ101", [*GREETED, *lines("C EHLO x", "S 550 no", "C MAIL FROM:<a@x.example>", "S 503 hello first")]),
    ("SEQ102", [*hello(), *envelope(), *lines("C MAIL FROM:<c@x.example>", "S 503 nested")]),
    ("SEQ102", [*REFUSED_RCPT, *lines("C MAIL FROM:<c@x.example>", "S 503 nested")]),
    ("SEQ102", [*CHUNK, *lines("C MAIL FROM:<c@x.example>", "S 503 nested")]),
    ("SEQ103", [*hello(), *lines("C RCPT TO:<b@mx.example>", "S 503 MAIL first")]),
    (
        "SEQ103",
        [*hello(), *lines("C MAIL FROM:<a@x>", "S 550 no", "C RCPT TO:<b@mx.example>", "S 503 MAIL first")],
    ),
    ("SEQ104", [*hello(), *lines("C DATA", "S 503 MAIL first")]),
    ("SEQ104", [*hello(*CHUNKS), *lines("C BDAT 3\r\n\x61", "S 503 MAIL first")]),
    ("SEQ105", [*REFUSED_RCPT, *lines("C DATA", "S 503 no recipients")]),
    ("SEQ105", [*REFUSED_RCPT, *lines("C DATA", "S 554 no recipients")]),
    ("SEQ106", [*CHUNK, *lines("C DATA", "S 503 BDAT")]),
    ("SEQ107", [*LAST, *lines("C BDAT 5 LAST\r\nabc", "S 503 no")]),
    ("SEQ108", [*FAILED, *lines("C BDAT 5 LAST\r\nabc", "S 503 RSET first")]),
    ("SEQ109", [*CHUNK, *lines("C RCPT TO:<c@mx.example>", "S 503 no")]),
    (
        "SEQ109",
        [
            *hello(*CHUNKS, AUTH),
            *envelope(),
            *lines("C BDAT 5\r\nabc", "S 250 ok", "C AUTH PLAIN AGEAYg==", "S 503 no"),
        ],
    ),
    ("SEQ110", [*hello(*CHUNKS), *envelope("BODY=BINARYMIME"), *lines("C DATA", "S 503 use BDAT")]),
    ("SEQ111", [*hello(AUTH), *envelope(), *lines("C AUTH PLAIN AGEAYg==", "S 503 no")]),
    ("SEQ112", [*LOGGED_IN, *lines("C AUTH PLAIN AGEAYg==", "S 503 again")]),
    (
        "SEQ113",
        [*REFUSED_DATA, *lines("C Subject: x", "S 500 what", "C", "S 500 what", "C .", "S 500 what")],
    ),
    ("SEQ114", [*hello(), *lines("C QUIT", "S 221 bye", "C NOOP")]),
    (
        "SEQ116",
        [
            *hello("STARTTLS"),
            *lines("C STARTTLS", "S 220 go", "TLS ", "C EHLO x", "S 250 mx", "C STARTTLS", "S 503 active"),
        ],
    ),
    ("SEQ117", [*GREETED, *lines("C LHLO x.example", "S 500 what")]),
]

FAULT_OF_THE_SERVER: list[tuple[str, Script]] = [
    ("SEQ120", [*hello(), *lines("C RCPT TO:<b@mx.example>", "S 250 ok")]),
    ("SEQ120", [*GREETED, *lines("C DATA", "S 354 go ahead")]),
    ("SEQ121", [*hello(), *lines("C RCPT TO:<b@mx.example>", "S 452 full")]),
    ("SEQ121", [*CHUNK, *lines("C DATA", "S 501 no")]),
]

IN_ORDER: list[tuple[str, Script]] = [
    ("SEQ122", [*REFUSED_RCPT, *lines("C DATA", "S 354 go ahead")]),
    ("SEQ123", [*hello(), *lines("C MAIL FROM:<a@x.example>", "S 503 no")]),
    ("SEQ123", [*hello(), *envelope(), *lines("C DATA", "S 503 no")]),
    ("SEQ124", [*GREETED, *lines("C NOOP", "S 503 hello first")]),
    ("SEQ124", [*hello(), *lines("C RSET", "S 503 no")]),
]

SILENT: list[tuple[str, Script]] = [
    ("101 a refused EHLO, then HELO", [*GREETED, *lines("C EHLO x", "S 502 no", "C HELO x", "S 250 ok")]),
    (
        "101 after HELO",
        [*GREETED, *lines("C EHLO x", "S 502 no", "C HELO x", "S 250 ok", "C MAIL FROM:<a@x>", "S 250 ok")],
    ),
    ("101 the server turned the client away", lines("S 554 no service", "C MAIL FROM:<a@x>", "S 503 no", "C QUIT")),
    (
        "102 RSET in between",
        [*hello(), *envelope(), *lines("C RSET", "S 250 ok", "C MAIL FROM:<c@x>", "S 250 ok")],
    ),
    (
        "102 EHLO in between",
        [*hello(), *envelope(), *lines("C EHLO x", "S 250 mx", "C MAIL FROM:<c@x>", "S 250 ok")],
    ),
    (
        "102 the first was refused",
        [*hello(), *lines("C MAIL FROM:<a@x>", "S 550 no", "C MAIL FROM:<c@x>", "S 250 ok")],
    ),
    (
        "102 the message was refused",
        [
            *hello(),
            *envelope(),
            *lines("C DATA", "S 354 go", f"C {MESSAGE}.", "S 554 spam", "C MAIL FROM:<c@x>", "S 250 ok"),
        ],
    ),
    (
        "102 after a refused DATA, which the server takes for the end",
        [*REFUSED_DATA, *lines("C MAIL FROM:<c@x>", "S 250 ok")],
    ),
    (
        "103 104 pipelined after a refused MAIL",
        [
            *hello("PIPELINING"),
            ("C", "MAIL FROM:<a@x.example>\r\nRCPT TO:<b@mx.example>\r\nDATA\r\n"),
            *lines("S 550 no", "S 503 no", "S 503 no"),
        ],
    ),
    (
        "105 one pipelined group",
        [
            *hello("PIPELINING"),
            ("C", "MAIL FROM:<a@x.example>\r\nRCPT TO:<b@mx.example>\r\nDATA\r\n"),
            *lines("S 250 ok", "S 550 no", "S 554 no recipients"),
        ],
    ),
    (
        "106 BDAT in one transaction, DATA in the next",
        [*LAST, *envelope(), *lines("C DATA", "S 354 go", f"C {MESSAGE}.", "S 250 ok")],
    ),
    ("107 an empty last chunk", [*CHUNK, *lines("C BDAT 0 LAST", "S 250 ok")]),
    (
        "107 a new MAIL in between",
        [*LAST, *envelope(), *lines("C BDAT 5 LAST\r\nabc", "S 250 ok")],
    ),
    ("108 RSET after the refused chunk", [*FAILED, *lines("C RSET", "S 250 ok")]),
    (
        "108 the second chunk was on its way",
        [
            *hello(*CHUNKS),
            *envelope(),
            ("C", "BDAT 5\r\nabc\r\nBDAT 5 LAST\r\nabc\r\n"),
            *lines("S 452 full", "S 503 no"),
        ],
    ),
    ("109 NOOP between chunks", [*CHUNK, *lines("C NOOP", "S 250 ok", "C BDAT 0 LAST", "S 250 ok")]),
    (
        "110 BINARYMIME by BDAT",
        [*hello(*CHUNKS), *envelope("BODY=BINARYMIME"), *lines("C BDAT 5 LAST\r\nabc", "S 250 ok")],
    ),
    ("111 AUTH in front of MAIL", [*LOGGED_IN, *envelope()]),
    (
        "112 the first AUTH failed",
        [*hello(AUTH), *lines("C AUTH PLAIN AGEAYg==", "S 535 no", "C AUTH PLAIN AGEAYg==", "S 235 ok")],
    ),
    (
        "112 the first AUTH was cancelled",
        [
            *hello(AUTH),
            *lines("C AUTH LOGIN", "S 334 VXNlcg==", "C *", "S 501 ok", "C AUTH PLAIN AGEAYg==", "S 235 ok"),
        ],
    ),
    ("113 RSET after the refused DATA", [*REFUSED_DATA, *lines("C RSET", "S 250 ok")]),
    (
        "113 no header field, and never a dot",
        [*REFUSED_DATA, *lines("C Hello Bob", "S 500 what", "C QUIT", "S 221 bye")],
    ),
    ("114 QUIT, then FIN", [*hello(), *lines("C QUIT", "S 221 bye", "FC ", "FS ")]),
    ("114 QUIT was refused", [*hello(), *lines("C QUIT now", "S 501 no argument", "C NOOP", "S 250 ok")]),
    (
        "116 the first STARTTLS was refused",
        [*hello("STARTTLS"), *lines("C STARTTLS", "S 454 later", "C STARTTLS", "S 454 later")],
    ),
    ("120 121 refused with 503", [*hello(), *envelope(), *lines("C EHLO x", "S 250 mx", "C NOOP", "S 250 ok")]),
    (
        "122 one of two recipients is valid",
        [*REFUSED_RCPT, *lines("C RCPT TO:<c@mx.example>", "S 250 ok", "C DATA", "S 354 go")],
    ),
    ("123 after a 554 greeting", lines("S 554 no service", "C EHLO x", "S 503 no", "C QUIT", "S 221 bye")),
    ("123 the command has a fault of its own", [*hello(), *lines("C MAIL FROM: a@x.example>", "S 503 no")]),
    ("123 policy", [*hello(), *lines("C MAIL FROM:<a@x.example>", "S 503 5.7.0 log in first")]),
    ("124 VRFY refused with 252", [*GREETED, *lines("C VRFY b", "S 252 perhaps")]),
    ("124 policy", [*GREETED, *lines("C NOOP", "S 530 5.7.0 STARTTLS first")]),
]


def last_command(script: Script) -> int:
    """Offset in the client's stream of the last line that starts with a verb."""
    offset = at = 0
    for who, text in script:
        if who == "C":
            if not str(text).startswith((".", "\r\n")):
                at = offset
            offset += len(text)
    return at


@pytest.mark.parametrize(("rule", "script"), FIRES, ids=[f"{rule}-{n}" for n, (rule, _) in enumerate(FIRES)])
def test_the_client_is_out_of_order(rule: str, script: Script) -> None:
    (finding,) = seq(script)
    assert finding.rule == rule
    assert finding.side == "client"
    assert finding.certainty == "certain"
    if rule != "SEQ113":
        assert finding.offset == last_command(script)


@pytest.mark.parametrize(
    ("rule", "script"),
    FAULT_OF_THE_SERVER,
    ids=[f"{rule}-{n}" for n, (rule, _) in enumerate(FAULT_OF_THE_SERVER)],
)
def test_both_are_at_fault_if_the_reply_is_not_503(rule: str, script: Script) -> None:
    client, server = seq(script)
    assert (client.side, client.caused_by) == ("client", None)
    assert client.offset == last_command(script)
    assert (server.rule, server.side) == (rule, "server")
    assert server.caused_by == 0
    assert server.offset == sum(len(text) for who, text in script[:-1] if who == "S")
    assert server.evidence == str(script[-1][1]).rstrip()


@pytest.mark.parametrize(("rule", "script"), IN_ORDER, ids=[f"{rule}-{n}" for n, (rule, _) in enumerate(IN_ORDER)])
def test_only_the_server_is_at_fault(rule: str, script: Script) -> None:
    found = [finding for finding in seq(script) if finding.side == "server"]
    assert [finding.rule for finding in found] == [rule]
    assert found[0].offset == sum(len(text) for who, text in script[:-1] if who == "S")


@pytest.mark.parametrize("script", [script for _, script in SILENT], ids=[name for name, _ in SILENT])
def test_nothing_is_out_of_order(script: Script) -> None:
    assert names(script) == []


EVERY_RULE = {f"SEQ{n}" for n in (*range(101, 115), 116, 117, *range(120, 125))}


def test_every_rule_has_a_case() -> None:
    assert {rule for rule, _ in (*FIRES, *FAULT_OF_THE_SERVER, *IN_ORDER)} == EVERY_RULE


@pytest.mark.parametrize("code", [421, 500, 502, 530, 538, 555])
def test_codes_with_another_reason_are_not_wrong(code: int) -> None:
    assert names([*hello(), *lines("C RCPT TO:<b@mx.example>", f"S {code} no")]) == ["SEQ103"]


def test_a_finding_names_the_frame_of_the_command() -> None:
    # SYN, SYN ACK, ACK; greeting and its ACK; EHLO, ACK, reply, ACK: the tenth frame is RCPT
    (finding,) = seq([*hello(), *lines("C RCPT TO:<b@mx.example>", "S 503 no")])
    assert finding.frame == 10
    assert finding.length == len("RCPT TO:<b@mx.example>\r\n")
    assert finding.evidence == "RCPT TO:<b@mx.example>"


def test_a_finding_caused_by_a_refused_hello_names_it() -> None:
    script = [
        *GREETED,
        *lines("C MAIL FROM:<a@x.example>", "S 503 no", "C RCPT TO:<b@mx.example>", "S 503 no", "C DATA", "S 503 no"),
    ]
    mail, rcpt, data = seq(script)
    assert [mail.rule, rcpt.rule, data.rule] == ["SEQ101", "SEQ103", "SEQ104"]
    assert mail.caused_by is None
    assert rcpt.caused_by == data.caused_by == 0


def test_the_audit_follows_a_server_that_accepts_what_it_must_not() -> None:
    script = [
        *GREETED,
        *lines("C MAIL FROM:<a@x.example>", "S 250 ok", "C RCPT TO:<b@mx.example>", "S 250 ok", "C DATA", "S 354 go"),
    ]
    assert names(script) == ["SEQ101", "SEQ120"]


def test_lmtp_accepts_only_lhlo() -> None:
    greeted = lines("S 220 mx.example LMTP")
    assert names([*greeted, *lines("C LHLO x.example", "S 250 mx.example")], "lmtp") == []
    assert names([*greeted, *lines("C EHLO x.example", "S 500 what")], "lmtp") == ["SEQ117"]
    # without a given profile the first accepted hello decides the protocol; on port 25 the server must not speak it
    assert names([*greeted, *lines("C LHLO x.example", "S 250 mx.example")]) == ["SEQ127"]


def test_an_empty_transaction_is_an_error_in_lmtp() -> None:
    script = [
        *lines("S 220 mx LMTP", "C LHLO x", "S 250 mx", "C MAIL FROM:<a@x>", "S 250 ok", "C DATA", "S 354 go"),
    ]
    found = {finding.rule: finding.severity for finding in seq(script, "lmtp")}
    assert found == {"SEQ105": "warning", "SEQ122": "error"}


def test_in_midstream_the_order_is_not_judged_before_a_hello() -> None:
    script = lines("C RCPT TO:<b@mx.example>", "S 503 MAIL first")
    assert seq(script, midstream=True) == []
    known = [*lines("C EHLO x", "S 250 mx"), *script]
    assert [finding.rule for finding in seq(known, midstream=True)] == ["SEQ103"]


def test_after_lost_bytes_the_order_is_not_judged() -> None:
    script: Script = [*hello(), ("GC", "40"), ("GS", "8"), *lines("C DATA", "S 503 MAIL first")]
    assert seq(script) == []
