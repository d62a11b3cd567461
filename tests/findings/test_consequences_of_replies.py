"""What follows from a reply whose lines differ, and from an AUTH response in two lines."""

from __future__ import annotations

import pytest
from scripts import END, Script, findings, lines, play

MIXED = [("S", "220 mx.example ESMTP\r\n"), ("C", "EHLO client.example\r\n")]
REPLY = [("S", "250-mx.example\r\n250-SIZE 9\r\n250-AUTH CRAM-MD5\r\n550 go away\r\n")]
PLAIN = [("S", "550 go away\r\n")]
SENDER = "C MAIL FROM:<a@client.example>"


def roots(script: Script) -> dict[str, str | None]:
    """For each rule that fired, the rule of the finding that its first finding follows from in the end."""
    found = findings(script)
    result: dict[str, str | None] = {}
    for one in found:
        cause = one
        while cause.caused_by is not None:
            cause = found[cause.caused_by]
        result.setdefault(one.rule, None if cause is one else cause.rule)
    return result


@pytest.mark.parametrize(
    ("entries", "rule"),
    [
        ((SENDER, "S 503 hello first"), "SEQ101"),
        ((SENDER, "S 503 hello first", "C RCPT TO:<b@mx.example>", "S 503 no"), "SEQ103"),
        (("C RCPT TO:<b@mx.example>", "S 503 no"), "SEQ103"),
        (("C DATA", "S 503 no"), "SEQ104"),
        (("C AUTH CRAM-MD5", "S 503 no"), "EXT501"),
        ((f"{SENDER} SIZE=5", "S 503 no"), "EXT502"),
    ],
)
def test_a_client_may_go_by_any_line_of_the_reply_to_its_hello(entries: tuple[str, ...], rule: str) -> None:
    mixed = roots([*MIXED, *REPLY, *lines(*entries), *END])
    assert mixed["RPL403"] is None
    assert mixed[rule] == "RPL403"
    assert [one for one, cause in mixed.items() if cause is None and not one.startswith("SEC")] == ["RPL403"]
    alone = roots([*MIXED, *PLAIN, *lines(*entries), *END])
    assert alone[rule] in {None, "SEQ101"}


def test_a_client_may_pipeline_if_a_line_offers_it() -> None:
    reply = [("S", "250-mx.example\r\n250-PIPELINING\r\n550 go away\r\n")]
    group = [("C", "MAIL FROM:<a@client.example>\r\nRSET\r\n"), ("S", "503 hello first\r\n250 ok\r\n")]
    assert roots([*MIXED, *reply, *group, *END])["EXT504"] == "RPL403"
    assert roots([*MIXED, *PLAIN, *group, *END])["EXT504"] is None


def test_the_next_hello_ends_it() -> None:
    again = lines("C HELO client.example", "S 550 no", SENDER, "S 503 no")
    assert roots([*MIXED, *REPLY, *again, *END])["SEQ101"] is None


def test_another_reply_whose_lines_differ_explains_nothing() -> None:
    script = [*MIXED, ("S", "250-mx.example\r\n250 SIZE 9\r\n"), ("C", "NOOP\r\n"), ("S", "250-ok\r\n251 ok\r\n")]
    assert roots([*script, *lines("C RCPT TO:<b@mx.example>", "S 503 no"), *END])["SEQ103"] is None


@pytest.mark.parametrize("code", [421, 521, 554])
def test_a_greeting_that_refuses_service_in_its_last_line(code: int) -> None:
    closed = [*lines("C EHLO client.example"), ("FS", ""), ("RC", "")]
    mixed = roots([("S", f"220-mx.example\r\n{code} no\r\n"), *closed])
    assert mixed["RPL403"] is None
    assert [cause for one, cause in mixed.items() if one in {"RPL412", "TCP902"} and cause != "RPL403"] == []


def test_without_a_mixed_greeting_the_close_is_a_finding_of_its_own() -> None:
    closed = [*lines("C EHLO client.example"), ("FS", ""), ("RC", "")]
    assert roots([("S", "220 mx.example\r\n"), *closed])["RPL412"] is None
    # a mixed greeting that opens the session explains nothing
    assert roots([("S", "554-mx.example\r\n220 mx.example\r\n"), *closed])["RPL412"] is None


def test_out_of_order_accepted_still_follows_from_the_command() -> None:
    script = [*lines("S 220 mx.example ESMTP", SENDER, "S 250 ok"), *END]
    connection = play(script)
    assert [(one.rule, one.caused_by) for one in connection.findings] == [("SEQ101", None), ("SEQ120", 0)]


def test_an_early_line_that_is_no_response_is_a_finding_of_its_own() -> None:
    script = [*MIXED, ("S", "250-mx.example\r\n250 AUTH CRAM-MD5\r\n"), ("C", "AUTH CRAM-MD5\r\nNOOP\r\n")]
    assert roots([*script, ("S", "535 no\r\n250 ok\r\n"), *END])["EXT504"] is None
